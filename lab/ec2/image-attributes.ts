import type {
  DescribeImageAttributeCommandInput,
  DescribeImageAttributeCommandOutput,
  ImageAttribute,
  LaunchPermission,
  ModifyImageAttributeCommandInput,
  ModifyImageAttributeCommandOutput,
  ResetImageAttributeCommandInput,
  ResetImageAttributeCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { ownImage, unavailable } from './image-choice.ts';
import { mappings, protectionOf } from './image-shape.ts';
import { refuseSharingOfDefaultKey } from './snapshot-state.ts';
import type { LabImage } from './state.ts';

const SHOWN: Readonly<Record<string, (image: LabImage) => ImageAttribute>> = {
  launchPermission: ({ launchers }) => ({ LaunchPermissions: [...launchers].map(permission) }),
  description: ({ description }) => ({ Description: { Value: description } }),
  deregistrationProtection: image => ({ DeregistrationProtection: { Value: protectionOf(image) } }),
  lastLaunchedTime: ({ lastLaunchedAt }) => ({ LastLaunchedTime: { Value: lastLaunchedAt?.toISOString() } }),
  imdsSupport: ({ imdsV2 }) => ({ ImdsSupport: imdsV2 ? { Value: 'v2.0' } : {} }),
  blockDeviceMapping: image => ({ BlockDeviceMappings: mappings(image) }),
};

function permission(grantee: string): LaunchPermission {
  if (grantee === 'all') return { Group: 'all' };
  if (!grantee.startsWith('arn:')) return { UserId: grantee };
  return grantee.includes(':ou/') ? { OrganizationalUnitArn: grantee } : { OrganizationArn: grantee };
}

/** Only the owner may call it. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageAttribute.html */
export const describeImageAttribute: Operation<DescribeImageAttributeCommandInput, DescribeImageAttributeCommandOutput> = (
  { ImageId, Attribute = '' },
  { place },
) => {
  const image = ownImage(place, ImageId);
  const show = SHOWN[Attribute];
  if (show === undefined) throw new AwsError('InvalidParameterValue', `The lab does not know the attribute ${Attribute} of an image.`);
  return { ImageId: image.id, ...show(image) };
};

/** Adding an existing permission or removing a missing one changes nothing. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html */
export const modifyImageAttribute: Operation<ModifyImageAttributeCommandInput, ModifyImageAttributeCommandOutput> = (input, { place }) => {
  const image = ownImage(place, input.ImageId);
  const description = input.Description?.Value ?? (input.Attribute === 'description' ? input.Value : undefined);
  if (description !== undefined) image.description = description;
  const imds = input.ImdsSupport?.Value ?? (input.Attribute === 'imdsSupport' ? input.Value : undefined);
  if (imds === 'v2.0') image.imdsV2 = true;
  const { add, remove } = permissionChanges(input);
  if (add.length + remove.length === 0) {
    if (description === undefined && imds === undefined) {
      throw new AwsError('InvalidParameterCombination', 'The lab changes the description, IMDS support or launch permissions of an image.');
    }
    return {};
  }
  if (image.state !== 'available') throw unavailable(`The image ID '${image.id}' is in state '${image.state}' and cannot be shared`);
  if (add.length > 0) {
    refuseSharingOfDefaultKey(
      image.devices.map(({ snapshotId }) => snapshotId),
      place,
    );
  }
  for (const grantee of add) image.launchers.add(grantee);
  for (const grantee of remove) image.launchers.delete(grantee);
  return {};
};

/** The request has two forms: `LaunchPermission`, or `OperationType` with lists. */
function permissionChanges(input: ModifyImageAttributeCommandInput): { add: readonly string[]; remove: readonly string[] } {
  const { LaunchPermission, OperationType, UserIds = [], UserGroups = [], OrganizationArns = [], OrganizationalUnitArns = [] } = input;
  const users = UserIds.map(UserId => ({ UserId }));
  const groups = UserGroups.map(Group => ({ Group: Group as 'all' }));
  const listed = [...users, ...groups, ...[...OrganizationArns, ...OrganizationalUnitArns].map(OrganizationArn => ({ OrganizationArn }))];
  const side = (permissions: readonly LaunchPermission[] | undefined, verb: string) =>
    [...(permissions ?? []), ...(OperationType === verb ? listed : [])].map(checked);
  return { add: side(LaunchPermission?.Add, 'add'), remove: side(LaunchPermission?.Remove, 'remove') };
}

function checked({ UserId, Group, OrganizationArn, OrganizationalUnitArn }: LaunchPermission): string {
  if (UserId !== undefined && !/^\d{12}$/.test(UserId)) throw badItem(UserId, 'userId');
  if (Group !== undefined && Group !== 'all') throw badItem(Group, 'userGroup');
  const arn = OrganizationArn ?? OrganizationalUnitArn;
  if (arn !== undefined && !/^arn:aws[\w-]*:organizations::\d{12}:(organization|ou)\/o-/.test(arn)) throw badItem(arn, 'organizationArn');
  return UserId ?? Group ?? arn ?? '';
}

const badItem = (value: string, type: string) =>
  new AwsError('InvalidAMIAttributeItemValue', `Invalid attribute item value "${value}" for ${type} item type.`);

/** Removes all launch permissions. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ResetImageAttribute.html */
export const resetImageAttribute: Operation<ResetImageAttributeCommandInput, ResetImageAttributeCommandOutput> = (input, { place }) => {
  if (input.Attribute !== 'launchPermission') throw new AwsError('InvalidParameterValue', `Invalid attribute ${input.Attribute}`);
  ownImage(place, input.ImageId).launchers.clear();
  return {};
};
