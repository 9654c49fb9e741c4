import type {
  EnableAllowedImagesSettingsCommandInput,
  EnableAllowedImagesSettingsCommandOutput,
  GetAllowedImagesSettingsCommandInput,
  GetAllowedImagesSettingsCommandOutput,
  ImageCriterionRequest,
  ReplaceImageCriteriaInAllowedImagesSettingsCommandInput,
  ReplaceImageCriteriaInAllowedImagesSettingsCommandOutput,
} from '@aws-sdk/client-ec2';
import type { Operation } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { AMAZON } from './base-images.ts';
import { type Fields, select } from './filters.ts';
import type { LabImage } from './state.ts';

interface Allowed {
  state: 'enabled' | 'audit-mode' | 'disabled';
  criteria: readonly ImageCriterionRequest[];
}

/** Setting of one account in one Region. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html */
export const allowedImages = slice((): Allowed => ({ state: 'disabled', criteria: [] }));

/** One criterion must match completely. The account's own images are always allowed. */
export function isAllowed(image: LabImage, place: Place): boolean {
  return image.place.account === place.account || allowedImages(place).criteria.some(criterion => meets(image, criterion));
}

const NAME: Fields<LabImage> = { name: ({ name }) => name };

function meets(image: LabImage, criterion: ImageCriterionRequest): boolean {
  const { ImageProviders = [], ImageNames = [], MarketplaceProductCodes = [], CreationDateCondition, DeprecationTimeCondition } = criterion;
  const { clock } = image.place.core;
  const alias = image.place.account === AMAZON ? 'amazon' : image.place.account;
  const days = (since: Date | undefined) => (since === undefined ? 0 : (clock.now() - since.getTime()) / 86_400_000);
  return (
    (ImageProviders.length === 0 || ImageProviders.includes(image.place.account) || ImageProviders.includes(alias)) &&
    (ImageNames.length === 0 || select([image], [{ Name: 'name', Values: ImageNames }], NAME, () => ({})).length > 0) &&
    MarketplaceProductCodes.length === 0 &&
    days(image.createdAt) <= (CreationDateCondition?.MaximumDaysSinceCreated ?? Number.POSITIVE_INFINITY) &&
    days(image.deprecateAt) <= (DeprecationTimeCondition?.MaximumDaysSinceDeprecated ?? Number.POSITIVE_INFINITY)
  );
}

/** An image that is not allowed is not described at all. In audit mode it is described with a mark. */
export const isHidden = (image: LabImage, place: Place): boolean => allowedImages(place).state === 'enabled' && !isAllowed(image, place);

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetAllowedImagesSettings.html */
export const getAllowedImagesSettings: Operation<GetAllowedImagesSettingsCommandInput, GetAllowedImagesSettingsCommandOutput> = (
  _,
  { place },
) => ({
  State: allowedImages(place).state,
  ImageCriteria: [...allowedImages(place).criteria],
  ManagedBy: 'account',
});

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableAllowedImagesSettings.html */
export const enableAllowedImagesSettings: Operation<EnableAllowedImagesSettingsCommandInput, EnableAllowedImagesSettingsCommandOutput> = (
  { AllowedImagesSettingsState = 'enabled' },
  { place },
) => {
  allowedImages(place).state = AllowedImagesSettingsState;
  return { AllowedImagesSettingsState };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceImageCriteriaInAllowedImagesSettings.html */
export const replaceImageCriteria: Operation<
  ReplaceImageCriteriaInAllowedImagesSettingsCommandInput,
  ReplaceImageCriteriaInAllowedImagesSettingsCommandOutput
> = ({ ImageCriteria = [] }, { place }) => {
  allowedImages(place).criteria = ImageCriteria;
  return { ReturnValue: true };
};
