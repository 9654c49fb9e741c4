import {
  CreateImageCommand,
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeImagesCommand,
  type EC2Client,
  type Image as Ec2Image,
  type Filter,
} from '@aws-sdk/client-ec2';
import { batches } from '../../kit/concurrently.ts';
import type { Architecture, Image, ImageState } from '../../model/image.ts';
import type { Capture, ImageQuery, Images } from '../../ports/images.ts';
import { always } from './complete.ts';
import { listTags, literally, MOST_FILTER_VALUES, tagFilters, tagsFromEc2, toEc2Tags } from './ec2.ts';
import { asExpected, isCode } from './errors.ts';
import { ownInstanceId } from './instance-metadata.ts';
import { allPages } from './pages.ts';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
const MOST_RESOURCES_PER_CALL = 500;

export const ec2Images = (ec2: EC2Client): Images => ({
  async get(id) {
    try {
      // Without an owner: this also finds an image that another account shares.
      const request = { ImageIds: [id], IncludeDeprecated: true, IncludeDisabled: true };
      // The first page may be empty.
      const found = await allPages(async NextToken => {
        const { Images: items, NextToken: next } = await ec2.send(new DescribeImagesCommand({ ...request, NextToken }));
        return { items, next };
      });
      return found.map(fromEc2)[0];
    } catch (cause) {
      if (isCode(cause, 'InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable', 'InvalidAMIID.Malformed')) return undefined;
      return asExpected(`describe image ${id} (ec2:DescribeImages)`)(cause);
    }
  },
  async find(query) {
    const base: Listing = { IncludeDeprecated: true, IncludeDisabled: query.includeDisabled ?? false };
    const { ids, ...others } = query;
    const Owners = [...(query.owners ?? ['self'])];
    const owned = ids?.length
      ? await listByIds(ec2, ids, { ...base, Owners }, filters(others))
      : await listImages(ec2, { ...base, Owners, Filters: filters(others) });
    if (!query.shared) return owned;
    const known = new Set(owned.map(({ id }) => id));
    const tagged = (await taggedImages(ec2, query)).filter(id => !known.has(id));
    return [...owned, ...(await listByIds(ec2, tagged, base, filters(query)))];
  },
  async tag(ids, tags) {
    const Tags = toEc2Tags(tags);
    for (const Resources of batches(ids, MOST_RESOURCES_PER_CALL))
      await ec2.send(new CreateTagsCommand({ Resources, Tags })).catch(asExpected(`tag ${ids.join(', ')} (ec2:CreateTags)`));
  },
  async untag(ids, keys) {
    const Tags = keys.map(Key => ({ Key }));
    for (const Resources of batches(ids, MOST_RESOURCES_PER_CALL))
      await ec2.send(new DeleteTagsCommand({ Resources, Tags })).catch(asExpected(`remove tags of ${ids.join(', ')} (ec2:DeleteTags)`));
  },
});

export const ec2Capture = (ec2: EC2Client): Capture => ({
  self: ownInstanceId,
  async image({ instanceId, name, noReboot, tags }) {
    const Tags = toEc2Tags(tags);
    // Tagged in the call that creates it: an interrupted run leaves no image without an owner.
    const TagSpecifications = (['image', 'snapshot'] as const).map(ResourceType => ({ ResourceType, Tags }));
    try {
      const { ImageId } = await ec2.send(
        new CreateImageCommand({ InstanceId: instanceId, Name: name, NoReboot: noReboot, TagSpecifications }),
      );
      return ImageId;
    } catch (cause) {
      // CreateImage has no client token: the name makes it idempotent.
      if (isCode(cause, 'InvalidAMIName.Duplicate')) return undefined;
      return asExpected(`create an image of ${instanceId} (ec2:CreateImage, ec2:CreateTags)`)(cause);
    }
  },
});

type Listing = ConstructorParameters<typeof DescribeImagesCommand>[0];

/**
 * Images that other accounts share, found by the tags that they have in this account. The filter "executable by self" would miss those that are shared
 * with the organization.
 */
async function taggedImages(ec2: EC2Client, { tags = {} }: ImageQuery): Promise<readonly string[]> {
  const [first] = Object.entries(tags);
  if (first === undefined) return [];
  const found = await listTags(ec2, [
    { Name: 'resource-type', Values: ['image'] },
    { Name: 'key', Values: [literally(first[0])] },
    { Name: 'value', Values: [literally(first[1])] },
  ]);
  return found.map(({ ResourceId = '' }) => ResourceId);
}

const filters = ({ tags = {}, names = [], ids = [], sourceInstances = [] }: ImageQuery): Filter[] => [
  ...tagFilters(tags),
  ...(names.length > 0 ? [{ Name: 'name', Values: [...names] }] : []),
  ...(ids.length > 0 ? [{ Name: 'image-id', Values: [...ids] }] : []),
  ...(sourceInstances.length > 0 ? [{ Name: 'source-instance-id', Values: [...sourceInstances] }] : []),
];

/** By filter, never by ID: one image that does not exist would fail the whole call. A call takes 200 values in all its filters. */
async function listByIds(ec2: EC2Client, ids: readonly string[], listing: Listing, others: readonly Filter[]): Promise<Image[]> {
  const room = MOST_FILTER_VALUES - others.reduce((sum, { Values = [] }) => sum + Values.length, 0);
  const found = batches(ids, Math.max(1, room)).map(Values =>
    listImages(ec2, { ...listing, Filters: [...others, { Name: 'image-id', Values }] }),
  );
  return (await Promise.all(found)).flat();
}

const listImages = (ec2: EC2Client, listing: Listing) =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeImagesCommand({ ...listing, MaxResults: 1000, NextToken }))
      .catch(asExpected('list images (ec2:DescribeImages)'));
    return { items: always(page.Images, 'Images of DescribeImages').map(fromEc2), next: page.NextToken };
  });

/** Undefined where it is missing or cannot be read. */
function dated(iso: string | undefined): Date | undefined {
  const at = Date.parse(iso ?? '');
  return Number.isNaN(at) || at <= 0 ? undefined : new Date(at);
}

function fromEc2(image: Ec2Image): Image {
  const volumes = (image.BlockDeviceMappings ?? []).flatMap(({ Ebs }) => (Ebs === undefined ? [] : [Ebs]));
  return {
    id: always(image.ImageId, 'ImageId of an image'),
    name: image.Name ?? '',
    state: (image.State ?? 'pending') as ImageState,
    stateReason: image.StateReason?.Message ?? '',
    architecture: (image.Architecture ?? 'x86_64') as Architecture,
    ownerId: image.OwnerId ?? '',
    ownerAlias: image.ImageOwnerAlias,
    createdAt: dated(image.CreationDate),
    public: image.Public ?? false,
    tags: tagsFromEc2(image.Tags),
    snapshotIds: volumes.flatMap(({ SnapshotId }) => (SnapshotId === undefined ? [] : [SnapshotId])),
    // The API reference has "Windows", DescribeImages answers "windows".
    platform: /^windows/i.test(image.Platform ?? image.PlatformDetails ?? '') ? 'windows' : undefined,
    devices: (image.BlockDeviceMappings ?? []).flatMap(({ Ebs, DeviceName }) =>
      Ebs === undefined || DeviceName === undefined ? [] : [DeviceName],
    ),
    rootDevice: image.RootDeviceName,
    sourceInstanceId: image.SourceInstanceId,
    sourceImageId: image.SourceImageId,
    sizeGiB: volumes.reduce((sum, { VolumeSize = 0 }) => sum + VolumeSize, 0),
    encrypted: volumes.length > 0 && volumes.every(({ Encrypted }) => Encrypted === true),
    imdsV2: image.ImdsSupport === 'v2.0',
    ena: image.EnaSupport ?? false,
    deprecatedAt: dated(image.DeprecationTime),
    lastLaunchedAt: dated(image.LastLaunchedTime),
    protected: (image.DeregistrationProtection ?? 'disabled') !== 'disabled',
  };
}
