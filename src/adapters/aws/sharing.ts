import {
  CopyImageCommand,
  type CreateVolumePermissionModifications,
  DescribeSnapshotAttributeCommand,
  DescribeSnapshotsCommand,
  type EC2Client,
  GetAllowedImagesSettingsCommand,
  type ImageCriterion,
  type LaunchPermission,
  type LaunchPermissionModifications,
  ModifyImageAttributeCommand,
  ModifySnapshotAttributeCommand,
} from '@aws-sdk/client-ec2';
import type { KMSClient } from '@aws-sdk/client-kms';
import { AccessError } from '../../kit/errors.ts';
import type { Criterion } from '../../model/allowed-images.ts';
import type { CopyOrder, Sharing } from '../../ports/images.ts';
import { granteeOf, launchPermissions, toEc2Tags } from './ec2.ts';
import { asExpected, isCode } from './errors.ts';
import { kmsKey } from './kms-keys.ts';

export const awsSharing = (ec2: EC2Client, kms: KMSClient): Sharing => ({
  launchers: async imageId => (await launchPermissions(ec2, imageId)).map(permission => granteeOf(permission) ?? ''),
  allowLaunch: (imageId, who) => changeLaunch(ec2, imageId, { Add: who.map(permission) }, `share ${imageId} with ${who.join(', ')}`),
  forbidLaunch: (imageId, who) => changeLaunch(ec2, imageId, { Remove: who.map(permission) }, `take ${imageId} from ${who.join(', ')}`),
  async readers(snapshotId) {
    const { CreateVolumePermissions = [] } = await ec2
      .send(new DescribeSnapshotAttributeCommand({ SnapshotId: snapshotId, Attribute: 'createVolumePermission' }))
      .catch(asExpected(`see who ${snapshotId} is shared with (ec2:DescribeSnapshotAttribute)`));
    return CreateVolumePermissions.map(({ UserId, Group }) => UserId ?? Group ?? '');
  },
  allowReading: (snapshotId, who) =>
    changeReading(ec2, snapshotId, { Add: who.map(UserId => ({ UserId })) }, `share ${snapshotId} with ${who.join(', ')}`),
  forbidReading: (snapshotId, who) =>
    changeReading(ec2, snapshotId, { Remove: who.map(UserId => ({ UserId })) }, `take ${snapshotId} from ${who.join(', ')}`),
  copy: order => copy(ec2, order),
  async keysOf(snapshotIds) {
    // IDs and pages exclude each other; an image has few volumes.
    const { Snapshots = [] } = await ec2
      .send(new DescribeSnapshotsCommand({ SnapshotIds: [...snapshotIds] }))
      .catch(asExpected('look at the snapshots of the image (ec2:DescribeSnapshots)'));
    return [...new Set(Snapshots.flatMap(({ KmsKeyId }) => (KmsKeyId === undefined ? [] : [KmsKeyId])))];
  },
  key: arn => kmsKey(kms, arn),
  async allowed() {
    try {
      const settings = await ec2
        .send(new GetAllowedImagesSettingsCommand({}))
        .catch(asExpected('see which images this account lets in (ec2:GetAllowedImagesSettings)'));
      const state = (settings.State ?? 'disabled') as 'enabled' | 'audit-mode' | 'disabled';
      return { state, criteria: (settings.ImageCriteria ?? []).map(criterion) };
    } catch (failure) {
      if (failure instanceof AccessError) return undefined;
      throw failure;
    }
  },
});

const criterion = ({
  ImageProviders,
  ImageNames,
  CreationDateCondition,
  DeprecationTimeCondition,
  ...further
}: ImageCriterion): Criterion => ({
  providers: ImageProviders ?? [],
  names: ImageNames ?? [],
  daysSinceCreated: CreationDateCondition?.MaximumDaysSinceCreated,
  daysSinceDeprecated: DeprecationTimeCondition?.MaximumDaysSinceDeprecated,
  further: Object.entries(further).flatMap(([name, value]) =>
    value === undefined || (Array.isArray(value) && value.length === 0) ? [] : [name],
  ),
});

async function changeLaunch(
  ec2: EC2Client,
  ImageId: string,
  LaunchPermission: LaunchPermissionModifications,
  doing: string,
): Promise<void> {
  await ec2.send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission })).catch(asExpected(`${doing} (ec2:ModifyImageAttribute)`));
}

async function changeReading(
  ec2: EC2Client,
  SnapshotId: string,
  CreateVolumePermission: CreateVolumePermissionModifications,
  doing: string,
): Promise<void> {
  await ec2
    .send(new ModifySnapshotAttributeCommand({ SnapshotId, CreateVolumePermission }))
    .catch(asExpected(`${doing} (ec2:ModifySnapshotAttribute)`));
}

const permission = (who: string): LaunchPermission => {
  if (who === 'all') return { Group: 'all' };
  if (!who.startsWith('arn:')) return { UserId: who };
  return who.includes(':ou/') ? { OrganizationalUnitArn: who } : { OrganizationArn: who };
};

async function copy(ec2: EC2Client, { from, name, description, tags, kmsKey: KmsKeyId, token }: CopyOrder): Promise<string | undefined> {
  const Tags = toEc2Tags(tags);
  try {
    const { ImageId } = await ec2.send(
      new CopyImageCommand({
        SourceRegion: from.region,
        SourceImageId: from.imageId,
        Name: name,
        Description: description.slice(0, 255),
        ...(KmsKeyId === undefined ? {} : { Encrypted: true, KmsKeyId }),
        TagSpecifications: (['image', 'snapshot'] as const).map(ResourceType => ({ ResourceType, Tags })),
        ClientToken: token,
      }),
    );
    return ImageId;
  } catch (cause) {
    if (isCode(cause, 'InvalidAMIName.Duplicate')) return undefined;
    return asExpected(`copy ${from.imageId} from ${from.region} (ec2:CopyImage)`)(cause);
  }
}
