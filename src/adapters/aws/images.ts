import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeImagesCommand,
  type EC2Client,
  type Image as Ec2Image,
  type Filter,
} from '@aws-sdk/client-ec2';
import type { Architecture, Image, ImageState } from '../../domain/image.ts';
import type { ImageQuery, Images } from '../../world.ts';
import { asExpected, isCode } from './errors.ts';
import { allPages } from './pages.ts';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
const MOST_RESOURCES_PER_CALL = 500;

export const ec2Images = (ec2: EC2Client): Images => ({
  async get(id) {
    try {
      // Without an owner: an image that others share with us is asked for by its ID.
      const { Images: found = [] } = await ec2.send(
        new DescribeImagesCommand({ ImageIds: [id], IncludeDeprecated: true, IncludeDisabled: true }),
      );
      return found.map(fromEc2)[0];
    } catch (cause) {
      if (isCode(cause, 'InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable', 'InvalidAMIID.Malformed')) return undefined;
      return asExpected(`describe image ${id} (ec2:DescribeImages)`)(cause);
    }
  },
  async find(query) {
    const all = await Promise.all(listings(query).map(listing => pages(ec2, listing)));
    return [...new Map(all.flat().map(image => [image.id, image])).values()];
  },
  async tag(ids, tags) {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    for (const Resources of chunks(ids))
      await ec2.send(new CreateTagsCommand({ Resources, Tags })).catch(asExpected(`tag ${ids.join(', ')} (ec2:CreateTags)`));
  },
  async untag(ids, keys) {
    const Tags = keys.map(Key => ({ Key }));
    for (const Resources of chunks(ids))
      await ec2.send(new DeleteTagsCommand({ Resources, Tags })).catch(asExpected(`remove tags of ${ids.join(', ')} (ec2:DeleteTags)`));
  },
});

type Listing = ConstructorParameters<typeof DescribeImagesCommand>[0];

// Owner and executable-by narrow each other: an image that is shared with us is not our own, so it takes a second listing.
const listings = (query: ImageQuery): Listing[] => {
  const base: Listing = { IncludeDeprecated: true, IncludeDisabled: query.includeDisabled ?? false, Filters: filters(query) };
  const owned: Listing = { ...base, Owners: [...(query.owners ?? ['self'])] };
  return query.shared ? [owned, { ...base, ExecutableUsers: ['self'] }] : [owned];
};

const filters = ({ tags = {}, names = [], ids = [] }: ImageQuery): Filter[] => [
  ...Object.entries(tags).map(([key, value]) => ({ Name: `tag:${key}`, Values: [literally(value)] })),
  ...(names.length > 0 ? [{ Name: 'name', Values: [...names] }] : []),
  ...(ids.length > 0 ? [{ Name: 'image-id', Values: [...ids] }] : []),
];

// In a filter's value * and ? stand for anything. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
export const literally = (value: string) => value.replace(/[\\*?]/g, '\\$&');

const pages = (ec2: EC2Client, listing: Listing) =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeImagesCommand({ ...listing, MaxResults: 1000, NextToken }))
      .catch(asExpected('list images (ec2:DescribeImages)'));
    return { items: page.Images?.map(fromEc2), next: page.NextToken };
  });

const chunks = (ids: readonly string[]): string[][] =>
  Array.from({ length: Math.ceil(ids.length / MOST_RESOURCES_PER_CALL) }, (_, i) =>
    ids.slice(i * MOST_RESOURCES_PER_CALL, (i + 1) * MOST_RESOURCES_PER_CALL),
  );

export const tagsFromEc2 = (
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined,
): Record<string, string> => Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));

const dated = (iso: string | undefined): Date | undefined => (iso === undefined || iso === '' ? undefined : new Date(iso));

function fromEc2(image: Ec2Image): Image {
  const volumes = (image.BlockDeviceMappings ?? []).flatMap(({ Ebs }) => (Ebs === undefined ? [] : [Ebs]));
  return {
    id: image.ImageId ?? '',
    name: image.Name ?? '',
    state: (image.State ?? 'pending') as ImageState,
    stateReason: image.StateReason?.Message ?? '',
    architecture: (image.Architecture ?? 'x86_64') as Architecture,
    ownerId: image.OwnerId ?? '',
    ownerAlias: image.ImageOwnerAlias,
    createdAt: dated(image.CreationDate) ?? new Date(0),
    public: image.Public ?? false,
    tags: tagsFromEc2(image.Tags),
    snapshotIds: volumes.flatMap(({ SnapshotId }) => (SnapshotId === undefined ? [] : [SnapshotId])),
    platform: image.Platform === 'Windows' ? 'windows' : undefined,
    devices: (image.BlockDeviceMappings ?? []).flatMap(({ Ebs, DeviceName }) =>
      Ebs === undefined || DeviceName === undefined ? [] : [DeviceName],
    ),
    sizeGiB: volumes.reduce((sum, { VolumeSize = 0 }) => sum + VolumeSize, 0),
    encrypted: volumes.length > 0 && volumes.every(({ Encrypted }) => Encrypted === true),
    imdsV2: image.ImdsSupport === 'v2.0',
    ena: image.EnaSupport ?? false,
    deprecatedAt: dated(image.DeprecationTime),
    lastLaunchedAt: dated(image.LastLaunchedTime),
    protected: (image.DeregistrationProtection ?? 'disabled') !== 'disabled',
  };
}
