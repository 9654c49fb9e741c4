import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { imageEver, mayLaunch } from './images.ts';
import { resolvedImage } from './launch-template-spec.ts';
import { checkId, notFound } from './resource-ids.ts';
import type { LabImage } from './state.ts';

/** The image of a launch. Throws the reason when it cannot be launched here. */
export function launchableImage(place: Place, wanted: string | undefined): LabImage {
  const id = resolvedImage(place, wanted);
  if (id === undefined) throw new AwsError('MissingParameter', 'The request must contain the parameter ImageId');
  checkId('image', id);
  const image = imageEver(place, id);
  if (image === undefined) throw notFound('image', id);
  const own = image.place.account === place.account;
  if (image.state === 'deregistered' && own) throw unavailable(`The image ID '${id}' is no longer available`);
  if (!mayLaunch(image, place)) throw new AwsError('AuthFailure', `Not authorized for images: [${id}]`);
  if (image.state !== 'available') throw unavailable(`The image ID '${id}' is in state '${image.state}' and cannot be launched`);
  return image;
}

/** The caller's own image that an operation changes. */
export function ownImage(place: Place, id: string | undefined): LabImage {
  if (id === undefined) throw new AwsError('MissingParameter', 'The request must contain the parameter ImageId');
  checkId('image', id);
  const image = imageEver(place, id);
  if (image === undefined) throw notFound('image', id);
  if (image.place.account !== place.account) {
    if (mayLaunch(image, place)) throw new AwsError('AuthFailure', `Not authorized for image:${id}`);
    throw notFound('image', id);
  }
  if (image.state === 'deregistered') throw unavailable(`The image ID '${id}' is no longer available`);
  return image;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
export const unavailable = (message: string) => new AwsError('InvalidAMIID.Unavailable', message);
