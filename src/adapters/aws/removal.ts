import {
  DeregisterImageCommand,
  DescribeImageAttributeCommand,
  DisableImageDeprecationCommand,
  type EC2Client,
  EnableImageDeprecationCommand,
} from '@aws-sdk/client-ec2';
import type { Removal, Removed, SnapshotResult } from '../../world.ts';
import { asExpected, isCode } from './errors.ts';

const GONE = ['InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable'] as const;

export const ec2Removal = (ec2: EC2Client): Removal => ({
  async deregister(imageId, { keepSnapshots }): Promise<Removed> {
    try {
      // One call: killed between two, the snapshots would stay behind with nothing that tells whose they are.
      const answer = await ec2.send(new DeregisterImageCommand({ ImageId: imageId, DeleteAssociatedSnapshots: !keepSnapshots }));
      return { result: 'removed', snapshots: (answer.DeleteSnapshotResults ?? []).map(fromEc2) };
    } catch (cause) {
      if (isCode(cause, ...GONE)) return { result: 'gone' };
      // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html
      if (isCode(cause, 'OperationNotPermitted')) return { result: 'protected', because: (cause as Error).message };
      return asExpected(`deregister ${imageId} (ec2:DeregisterImage, ec2:DeleteSnapshot)`)(cause);
    }
  },

  async sharedWith(imageId) {
    const { LaunchPermissions = [] } = await ec2
      .send(new DescribeImageAttributeCommand({ ImageId: imageId, Attribute: 'launchPermission' }))
      .catch(cause =>
        isCode(cause, ...GONE)
          ? { LaunchPermissions: [] }
          : asExpected(`see who ${imageId} is shared with (ec2:DescribeImageAttribute)`)(cause),
      );
    return LaunchPermissions.map(({ UserId, Group, OrganizationArn, OrganizationalUnitArn }) =>
      UserId === undefined ? (OrganizationArn ?? OrganizationalUnitArn ?? Group ?? 'somebody') : `account ${UserId}`,
    );
  },

  async deprecate(imageId, at) {
    const doing = `deprecate ${imageId} (ec2:EnableImageDeprecation)`;
    await ec2.send(new EnableImageDeprecationCommand({ ImageId: imageId, DeprecateAt: at })).catch(asExpected(doing));
  },

  async undeprecate(imageId) {
    const doing = `take back the deprecation of ${imageId} (ec2:DisableImageDeprecation)`;
    await ec2.send(new DisableImageDeprecationCommand({ ImageId: imageId })).catch(asExpected(doing));
  },
});

// HTTP 200 says nothing about the snapshots: a code that is missing is a failure too.
const fromEc2 = ({ SnapshotId, ReturnCode }: { SnapshotId?: string | undefined; ReturnCode?: string | undefined }): SnapshotResult => ({
  snapshotId: SnapshotId ?? 'unknown snapshot',
  code: (ReturnCode ?? 'internal-error') as SnapshotResult['code'],
});
