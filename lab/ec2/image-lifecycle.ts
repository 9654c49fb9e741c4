import type {
  DisableImageCommandInput,
  DisableImageCommandOutput,
  DisableImageDeprecationCommandInput,
  DisableImageDeprecationCommandOutput,
  DisableImageDeregistrationProtectionCommandInput,
  DisableImageDeregistrationProtectionCommandOutput,
  EnableImageCommandInput,
  EnableImageCommandOutput,
  EnableImageDeprecationCommandInput,
  EnableImageDeprecationCommandOutput,
  EnableImageDeregistrationProtectionCommandInput,
  EnableImageDeregistrationProtectionCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { ownImage, unavailable } from './image-choice.ts';
import { isPublic, protectionOf } from './image-shape.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Not in the past, at most ten years ahead (two for public images), rounded to the minute. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html */
export const enableImageDeprecation: Operation<EnableImageDeprecationCommandInput, EnableImageDeprecationCommandOutput> = (
  { ImageId, DeprecateAt },
  { place },
) => {
  const image = ownImage(place, ImageId);
  if (DeprecateAt === undefined || Number.isNaN(DeprecateAt.getTime())) throw badTime('must be a date');
  // The caller's clock may be far behind the lab's. A date counts as past only if it is past for both.
  if (DeprecateAt.getTime() < Date.now()) throw badTime('cannot be in the past');
  const years = isPublic(image) ? 2 : 10;
  if (DeprecateAt.getTime() > place.core.clock.now() + years * 365.25 * DAY_MS)
    throw badTime(`cannot be more than ${years} years in the future`);
  image.deprecateAt = new Date(Math.round(DeprecateAt.getTime() / 60_000) * 60_000);
  return { Return: true };
};

const badTime = (rule: string) => new AwsError('InvalidParameterValue', `The deprecation date ${rule}.`);

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisableImageDeprecation.html */
export const disableImageDeprecation: Operation<DisableImageDeprecationCommandInput, DisableImageDeprecationCommandOutput> = (
  { ImageId },
  { place },
) => {
  ownImage(place, ImageId).deprecateAt = undefined;
  return { Return: true };
};

/** Removes all launch permissions. Enabling the image does not restore them. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html */
export const disableImage: Operation<DisableImageCommandInput, DisableImageCommandOutput> = ({ ImageId }, { place }) => {
  const image = ownImage(place, ImageId);
  if (image.state !== 'available' && image.state !== 'disabled')
    throw unavailable(`The image ID '${image.id}' is in state '${image.state}'`);
  image.state = 'disabled';
  image.launchers.clear();
  return { Return: true };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImage.html */
export const enableImage: Operation<EnableImageCommandInput, EnableImageCommandOutput> = ({ ImageId }, { place }) => {
  const image = ownImage(place, ImageId);
  if (image.state !== 'available' && image.state !== 'disabled')
    throw unavailable(`The image ID '${image.id}' is in state '${image.state}'`);
  image.state = 'available';
  return { Return: true };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html */
export const enableProtection: Operation<
  EnableImageDeregistrationProtectionCommandInput,
  EnableImageDeregistrationProtectionCommandOutput
> = ({ ImageId, WithCooldown = false }, { place }) => {
  const image = ownImage(place, ImageId);
  image.protection = { enabled: true, cooldown: WithCooldown, until: undefined };
  return { Return: protectionOf(image) };
};

/**
 * With a cooldown the image stays protected for another 24 hours.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisableImageDeregistrationProtection.html
 */
export const disableProtection: Operation<
  DisableImageDeregistrationProtectionCommandInput,
  DisableImageDeregistrationProtectionCommandOutput
> = ({ ImageId }, { place }) => {
  const image = ownImage(place, ImageId);
  const { enabled, cooldown, until } = image.protection;
  const wait = enabled && cooldown ? new Date(place.core.clock.now() + DAY_MS) : until;
  image.protection = { enabled: false, cooldown, until: wait };
  return { Return: protectionOf(image) };
};
