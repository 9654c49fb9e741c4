import type { DescribeImagesCommandInput, DescribeImagesCommandOutput } from '@aws-sdk/client-ec2';
import type { Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Fields, select } from './filters.ts';
import { aliasOf, imageShape, isPublic } from './image-shape.ts';
import { imageEver, images, mayLaunch, neighbours, organizations } from './images.ts';
import { checkPageSize, pageOf } from './paging.ts';
import { checkId, notFound } from './resource-ids.ts';
import { instances, type LabImage, tagsOf } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html */
export const describeImages: Operation<DescribeImagesCommandInput, DescribeImagesCommandOutput> = async (input, { place }) => {
  checkPageSize(input, 1, 1000);
  await almostThere(input, place);
  const named = input.ImageIds === undefined || input.ImageIds.length === 0 ? everyImage(place) : byId(place, input.ImageIds);
  const wanted = named
    .filter(image => image.state !== 'deregistered' && mayLaunch(image, place))
    .filter(image => isShown(image, place, input))
    .filter(image => ownedBy(image, place, input.Owners))
    .filter(image => sharedWith(image, place, input.ExecutableUsers));
  const found = select(wanted, input.Filters, FIELDS, ({ id }) => tagsOf(place, id));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  return { Images: page.map(image => imageShape(place, image)), NextToken };
};

/**
 * Packer polls a new image once and then every 15 real seconds, independent of the environment (packer-plugin-amazon 1.8.2 ignores the delay
 * here). In lab time that is a quarter of an hour, so its first poll is answered when the image is available, or after 1.5 seconds.
 */
async function almostThere({ ImageIds = [] }: DescribeImagesCommandInput, place: Place): Promise<void> {
  const isPending = () => imageEver(place, ImageIds[0] ?? '')?.state === 'pending';
  for (let looks = 0; looks < 30 && isPending(); looks += 1) await new Promise(done => setTimeout(done, 50));
}

const everyImage = (place: Place): readonly LabImage[] => neighbours(place).flatMap(owner => [...images(owner).values()]);

/**
 * A deregistered image is missing from the answer while an instance of it exists, and an error afterwards. An image of another account that
 * is not shared is missing from the answer too.
 */
function byId(place: Place, ids: readonly string[]): readonly LabImage[] {
  for (const id of ids) checkId('image', id);
  return ids.map(id => {
    const image = imageEver(place, id);
    if (image === undefined || (image.state === 'deregistered' && !isRun(place, id))) throw notFound('image', id);
    return image;
  });
}

const isRun = (place: Place, id: string) =>
  [...instances(place).values()].some(({ imageId, state }) => imageId === id && state !== 'terminated');

/** The owner always sees deprecated images. Disabled images are returned only with IncludeDisabled. */
function isShown(image: LabImage, { account, core }: Place, { IncludeDeprecated, IncludeDisabled }: DescribeImagesCommandInput): boolean {
  if (image.state === 'disabled' && IncludeDisabled !== true) return false;
  const deprecated = image.deprecateAt !== undefined && image.deprecateAt.getTime() <= core.clock.now();
  return !deprecated || IncludeDeprecated === true || image.place.account === account;
}

function ownedBy(image: LabImage, place: Place, owners: readonly string[] | undefined): boolean {
  if (owners === undefined || owners.length === 0) return true;
  return owners.some(owner => (owner === 'self' ? place.account : owner) === image.place.account || owner === aliasOf(image));
}

/** Explicit permissions only. The owner needs none and is not matched. */
function sharedWith({ launchers }: LabImage, place: Place, users: readonly string[] | undefined): boolean {
  if (users === undefined || users.length === 0) return true;
  return users.some(user => {
    if (user !== 'self' && user !== place.account) return launchers.has(user);
    const mine = (arn: string) => organizations(place.core).get(arn)?.has(place.account) === true;
    return launchers.has(place.account) || [...launchers].some(mine);
  });
}

const FIELDS: Fields<LabImage> = {
  'image-id': ({ id }) => id,
  name: ({ name }) => name,
  description: ({ description }) => description,
  state: ({ state }) => state,
  architecture: ({ architecture }) => architecture,
  'owner-id': ({ place }) => place.account,
  'owner-alias': aliasOf,
  'is-public': isPublic,
  'creation-date': ({ createdAt }) => createdAt.toISOString(),
  'manifest-location': ({ place, name }) => `${place.account}/${name}`,
  'source-instance-id': ({ source }) => source.instanceId,
  'source-image-id': ({ source }) => source.imageId,
  'source-image-region': ({ source }) => source.region,
  'state-reason-code': ({ stateReason }) => stateReason?.code,
  'state-reason-message': ({ stateReason }) => stateReason?.message,
  'root-device-name': ({ rootDevice }) => rootDevice,
  'root-device-type': () => 'ebs',
  'virtualization-type': () => 'hvm',
  'image-type': () => 'machine',
  hypervisor: () => 'xen',
  'ena-support': () => true,
  'image-allowed': () => true,
  platform: ({ platform }) => platform,
  'product-code': () => undefined,
  'block-device-mapping.device-name': ({ devices }) => devices.map(({ device }) => device),
  'block-device-mapping.snapshot-id': ({ devices }) => devices.map(({ snapshotId }) => snapshotId),
  'block-device-mapping.volume-size': ({ devices }) => devices.map(({ sizeGiB }) => sizeGiB),
  'block-device-mapping.volume-type': ({ devices }) => devices.map(({ volumeType }) => volumeType),
  'block-device-mapping.encrypted': ({ devices }) => devices.map(({ encrypted }) => encrypted),
  'block-device-mapping.delete-on-termination': ({ devices }) => devices.map(({ deleteOnTermination }) => deleteOnTermination),
};
