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
import { DescribeKeyCommand, GetKeyPolicyCommand, type KMSClient, ListGrantsCommand } from '@aws-sdk/client-kms';
import { AccessError } from '../../kit/errors.ts';
import type { Criterion, ImageKey } from '../../model/image-access.ts';
import type { Copied, CopyOrder, Sharing } from '../../ports/images.ts';
import { granteeOf, launchPermissions, toEc2Tags } from './ec2.ts';
import { asExpected, isCode, unreadableAnswer } from './errors.ts';
import { allPages, listed } from './pages.ts';

export const awsSharing = (ec2: EC2Client, kms: KMSClient): Sharing => ({
  launchers: async imageId => (await launchPermissions(ec2, imageId)).map(permission => granteeOf(permission) ?? ''),
  allowLaunch: (imageId, who) => changeLaunch(ec2, imageId, { Add: who.map(permission) }, `share ${imageId} with ${who.join(', ')}`),
  forbidLaunch: (imageId, who) =>
    changeLaunch(ec2, imageId, { Remove: who.map(permission) }, `stop sharing ${imageId} with ${who.join(', ')}`),
  async readers(snapshotId) {
    const { CreateVolumePermissions } = await ec2
      .send(new DescribeSnapshotAttributeCommand({ SnapshotId: snapshotId, Attribute: 'createVolumePermission' }))
      .catch(asExpected(`read the permissions of ${snapshotId} (ec2:DescribeSnapshotAttribute)`));
    return listed(CreateVolumePermissions).map(({ UserId, Group }) => UserId ?? Group ?? '');
  },
  allowReading: (snapshotId, who) =>
    changeReading(ec2, snapshotId, { Add: who.map(UserId => ({ UserId })) }, `share ${snapshotId} with ${who.join(', ')}`),
  forbidReading: (snapshotId, who) =>
    changeReading(ec2, snapshotId, { Remove: who.map(UserId => ({ UserId })) }, `stop sharing ${snapshotId} with ${who.join(', ')}`),
  copy: order => copy(ec2, order),
  async keysOf(snapshotIds) {
    // DescribeSnapshots takes no page size with IDs; an image has few volumes.
    const { Snapshots } = await ec2
      .send(new DescribeSnapshotsCommand({ SnapshotIds: [...snapshotIds] }))
      .catch(asExpected('describe the snapshots of the image (ec2:DescribeSnapshots)'));
    return [...new Set(listed(Snapshots).flatMap(({ KmsKeyId }) => (KmsKeyId === undefined ? [] : [KmsKeyId])))];
  },
  key: arn => kmsKey(kms, arn),
  allowed: () =>
    ifAllowed(async () => {
      const settings = await ec2
        .send(new GetAllowedImagesSettingsCommand({}))
        .catch(asExpected('read the Allowed AMIs of the account (ec2:GetAllowedImagesSettings)'));
      const state = (settings.State ?? 'disabled') as 'enabled' | 'audit-mode' | 'disabled';
      return { state, criteria: (settings.ImageCriteria ?? []).map(criterion) };
    }),
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

async function copy(ec2: EC2Client, { from, name, description, tags, kmsKey: KmsKeyId, token }: CopyOrder): Promise<Copied> {
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
    if (ImageId === undefined) throw unreadableAnswer(`copy ${from.imageId} from ${from.region} (ec2:CopyImage)`, 'it names no image');
    return { imageId: ImageId };
  } catch (cause) {
    if (isCode(cause, 'InvalidAMIName.Duplicate')) return 'name exists';
    if (isCode(cause, 'InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable')) return 'source not visible';
    return asExpected(`copy ${from.imageId} from ${from.region} (ec2:CopyImage)`)(cause);
  }
}

/** Policy and grants are undefined where the role may not read them. */
async function kmsKey(kms: KMSClient, arn: string): Promise<ImageKey> {
  const { KeyMetadata } = await kms
    .send(new DescribeKeyCommand({ KeyId: arn }))
    .catch(asExpected(`describe key ${arn}, which encrypts the image (kms:DescribeKey)`));
  const known = { arn, managedByAws: KeyMetadata?.KeyManager === 'AWS', usable: KeyMetadata?.KeyState === 'Enabled' };
  if (known.managedByAws) return { ...known, policy: undefined, grantees: undefined };
  const [policy, grantees] = await Promise.all([ifAllowed(() => policyOf(kms, arn)), ifAllowed(() => granteesOf(kms, arn))]);
  return { ...known, policy, grantees };
}

async function policyOf(kms: KMSClient, KeyId: string): Promise<string> {
  const answer = await kms.send(new GetKeyPolicyCommand({ KeyId })).catch(asExpected(`read the policy of key ${KeyId} (kms:GetKeyPolicy)`));
  return answer.Policy ?? '{}';
}

const granteesOf = async (kms: KMSClient, KeyId: string): Promise<readonly string[]> =>
  allPages(async Marker => {
    const page = await kms
      .send(new ListGrantsCommand({ KeyId, Limit: 100, Marker }))
      .catch(asExpected(`list the grants of key ${KeyId} (kms:ListGrants)`));
    return { items: page.Grants?.map(({ GranteePrincipal = '' }) => GranteePrincipal), next: page.Truncated ? page.NextMarker : undefined };
  });

async function ifAllowed<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (failure) {
    if (failure instanceof AccessError) return undefined;
    throw failure;
  }
}
