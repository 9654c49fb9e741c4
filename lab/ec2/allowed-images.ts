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
import type { LabImage } from './state.ts';

interface Allowed {
  state: 'enabled' | 'audit-mode' | 'disabled';
  criteria: readonly ImageCriterionRequest[];
}

/** Of one account in one Region. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html */
export const allowedImages = slice((): Allowed => ({ state: 'disabled', criteria: [] }));

/** One criterion is enough; one's own images need none. The lab knows the owner of an image, as account or alias. */
export function isAllowed(image: LabImage, place: Place): boolean {
  if (image.place.account === place.account) return true;
  const alias = image.place.account === AMAZON ? 'amazon' : undefined;
  return allowedImages(place).criteria.some(
    ({ ImageProviders = [] }) => ImageProviders.includes(image.place.account) || (alias !== undefined && ImageProviders.includes(alias)),
  );
}

/** Not merely refused: an image that is not allowed is not seen. In audit mode it is only told. */
export const isHidden = (image: LabImage, place: Place): boolean => allowedImages(place).state === 'enabled' && !isAllowed(image, place);

export const getAllowedImagesSettings: Operation<GetAllowedImagesSettingsCommandInput, GetAllowedImagesSettingsCommandOutput> = (
  _,
  { place },
) => ({
  State: allowedImages(place).state,
  ImageCriteria: allowedImages(place).criteria.map(({ ImageProviders }) => ({ ImageProviders })),
  ManagedBy: 'account',
});

export const enableAllowedImagesSettings: Operation<EnableAllowedImagesSettingsCommandInput, EnableAllowedImagesSettingsCommandOutput> = (
  { AllowedImagesSettingsState = 'enabled' },
  { place },
) => {
  allowedImages(place).state = AllowedImagesSettingsState;
  return { AllowedImagesSettingsState };
};

export const replaceImageCriteria: Operation<
  ReplaceImageCriteriaInAllowedImagesSettingsCommandInput,
  ReplaceImageCriteriaInAllowedImagesSettingsCommandOutput
> = ({ ImageCriteria = [] }, { place }) => {
  allowedImages(place).criteria = ImageCriteria;
  return { ReturnValue: true };
};
