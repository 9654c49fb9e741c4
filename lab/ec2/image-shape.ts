import type { BlockDeviceMapping, Image, PlatformValues } from '@aws-sdk/client-ec2';
import type { Place } from '../place.ts';
import { allowedImages, isAllowed } from './allowed-images.ts';
import { AMAZON } from './base-images.ts';
import { tagList } from './filters.ts';
import { snapshotEver } from './images.ts';
import { type LabImage, tagsOf } from './state.ts';

/** The image as DescribeImages returns it to one account: with its own tags, not those of the owner. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharing-amis.html */
export function imageShape(viewer: Place, image: LabImage): Image {
  const own = viewer.account === image.place.account;
  return {
    ImageId: image.id,
    Name: image.name,
    Description: image.description === '' ? undefined : image.description,
    ImageLocation: `${image.place.account}/${image.name}`,
    ImageOwnerAlias: aliasOf(image),
    OwnerId: image.place.account,
    State: image.state,
    StateReason: image.stateReason && { Code: image.stateReason.code, Message: image.stateReason.message },
    Architecture: image.architecture,
    CreationDate: image.createdAt.toISOString(),
    Public: isPublic(image),
    // Only where allowed AMIs are enabled or in audit mode.
    ImageAllowed: allowedImages(viewer).state === 'disabled' ? undefined : isAllowed(image, viewer),
    DeprecationTime: image.deprecateAt?.toISOString(),
    // Only the owner sees it.
    DeregistrationProtection: own ? protectionOf(image) : undefined,
    LastLaunchedTime: own ? image.lastLaunchedAt?.toISOString() : undefined,
    BlockDeviceMappings: mappings(image),
    ...{ RootDeviceName: image.rootDevice, RootDeviceType: 'ebs', ImageType: 'machine', VirtualizationType: 'hvm', Hypervisor: 'xen' },
    ...{ EnaSupport: true, SriovNetSupport: 'simple' },
    ...(image.platform === undefined ? LINUX : WINDOWS),
    BootMode: image.architecture === 'arm64' ? 'uefi' : 'uefi-preferred',
    ImdsSupport: image.imdsV2 ? 'v2.0' : undefined,
    SourceInstanceId: nonEmpty(image.source.instanceId),
    SourceImageId: nonEmpty(image.source.imageId),
    SourceImageRegion: nonEmpty(image.source.region),
    Tags: tagList(tagsOf(viewer, image.id)),
  };
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-info-fields.html
const LINUX = { PlatformDetails: 'Linux/UNIX', UsageOperation: 'RunInstances' };
// In small letters, whatever the reference lists. https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-images.html#examples
const WINDOWS = { Platform: 'windows' as PlatformValues, PlatformDetails: 'Windows', UsageOperation: 'RunInstances:0002' };

const nonEmpty = (text: string): string | undefined => (text === '' ? undefined : text);

export const aliasOf = ({ place }: LabImage): string | undefined => (place.account === AMAZON ? 'amazon' : undefined);

export const isPublic = ({ launchers }: LabImage): boolean => launchers.has('all');

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html */
export function protectionOf({ protection, place }: LabImage): string {
  if (protection.enabled) return protection.cooldown ? 'enabled-with-cooldown' : 'enabled-without-cooldown';
  const waiting = protection.until !== undefined && protection.until.getTime() > place.core.clock.now();
  return waiting ? `disabled-after-${protection.until?.toISOString()}` : 'disabled';
}

export const mappings = ({ devices, place }: LabImage): BlockDeviceMapping[] =>
  devices.map(({ device, snapshotId, sizeGiB, volumeType, deleteOnTermination, encrypted }) => ({
    DeviceName: device,
    Ebs: {
      ...{
        SnapshotId: snapshotId,
        VolumeSize: sizeGiB,
        VolumeType: volumeType,
        DeleteOnTermination: deleteOnTermination,
        Encrypted: encrypted,
      },
      ...(snapshotId === undefined ? {} : kms(place, snapshotId)),
    },
  }));

function kms(place: Place, snapshotId: string): { KmsKeyId?: string } {
  const KmsKeyId = snapshotEver(place, snapshotId)?.kmsKeyId;
  return KmsKeyId === undefined ? {} : { KmsKeyId };
}
