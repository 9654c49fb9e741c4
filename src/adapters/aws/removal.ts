import {
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeSnapshotsCommand,
  DisableImageCommand,
  DisableImageDeprecationCommand,
  type EC2Client,
  type Snapshot as Ec2Snapshot,
  EnableImageCommand,
  EnableImageDeprecationCommand,
  ListImagesInRecycleBinCommand,
  ListSnapshotsInRecycleBinCommand,
} from '@aws-sdk/client-ec2';
import type { Snapshot, Tags } from '../../model/image.ts';
import type { Recycled, Removal, Removed, SnapshotResult } from '../../ports/images.ts';
import { always } from './complete.ts';
import { granteeOf, isDeniedAsGone, launchPermissions, tagFilters, tagsFromEc2 } from './ec2.ts';
import { asExpected, isCode, isRepeated } from './errors.ts';
import { allPages } from './pages.ts';

const GONE = ['InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable'] as const;

export const ec2Removal = (ec2: EC2Client): Removal => ({
  async deregister(imageId, { keepSnapshots }): Promise<Removed> {
    try {
      // One call: a kill between two calls would leave snapshots without an owner.
      const answer = await ec2.send(new DeregisterImageCommand({ ImageId: imageId, DeleteAssociatedSnapshots: !keepSnapshots }));
      return { result: 'removed', snapshots: (answer.DeleteSnapshotResults ?? []).map(fromEc2) };
    } catch (cause) {
      if (isCode(cause, ...GONE) || (isRepeated(cause) && (await isDeniedAsGone(ec2, cause, imageId)))) return { result: 'gone' };
      // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html
      if (isCode(cause, 'OperationNotPermitted')) return { result: 'protected', reason: (cause as Error).message };
      return asExpected(`deregister ${imageId} (ec2:DeregisterImage, ec2:DeleteSnapshot)`)(cause);
    }
  },

  async sharedWith(imageId) {
    const permissions = await launchPermissions(ec2, imageId).catch(failure => {
      if (isCode(failure, ...GONE)) return [];
      throw failure;
    });
    return permissions.map(permission => ({ who: granteeOf(permission) ?? 'unknown', account: permission.UserId }));
  },

  async deprecate(imageId, at) {
    const doing = `deprecate ${imageId} (ec2:EnableImageDeprecation)`;
    await ec2.send(new EnableImageDeprecationCommand({ ImageId: imageId, DeprecateAt: at })).catch(asExpected(doing));
  },

  async undeprecate(imageId) {
    const doing = `undo the deprecation of ${imageId} (ec2:DisableImageDeprecation)`;
    await ec2.send(new DisableImageDeprecationCommand({ ImageId: imageId })).catch(asExpected(doing));
  },

  async disable(imageId) {
    await ec2.send(new DisableImageCommand({ ImageId: imageId })).catch(asExpected(`disable ${imageId} (ec2:DisableImage)`));
  },

  async enable(imageId) {
    await ec2.send(new EnableImageCommand({ ImageId: imageId })).catch(asExpected(`enable ${imageId} (ec2:EnableImage)`));
  },

  recycled: kind => (kind === 'image' ? imagesInBin(ec2) : snapshotsInBin(ec2)),

  snapshots: tags => ownSnapshots(ec2, tags),

  async deleteSnapshot(snapshotId) {
    try {
      await ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotId }));
      return 'deleted';
    } catch (cause) {
      if (isCode(cause, 'InvalidSnapshot.NotFound') || (isRepeated(cause) && (await isDeniedAsGone(ec2, cause, snapshotId)))) return 'gone';
      if (isCode(cause, 'InvalidSnapshot.InUse')) return 'in-use';
      return asExpected(`delete ${snapshotId} (ec2:DeleteSnapshot)`)(cause);
    }
  },
});

const ownSnapshots = (ec2: EC2Client, tags: Tags): Promise<Snapshot[]> =>
  allPages(async NextToken => {
    const Filters = tagFilters(tags);
    const page = await ec2
      .send(new DescribeSnapshotsCommand({ OwnerIds: ['self'], Filters, MaxResults: 1000, NextToken }))
      .catch(asExpected('list snapshots (ec2:DescribeSnapshots)'));
    return { items: always(page.Snapshots, 'Snapshots of DescribeSnapshots').map(snapshotFromEc2), next: page.NextToken };
  });

const imagesInBin = (ec2: EC2Client): Promise<Recycled[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new ListImagesInRecycleBinCommand({ MaxResults: 1000, NextToken }))
      .catch(asExpected('list the images in the Recycle Bin (ec2:ListImagesInRecycleBin)'));
    return {
      items: always(page.Images, 'Images of ListImagesInRecycleBin').map(({ ImageId, RecycleBinExitTime }) => ({
        id: always(ImageId, 'ImageId in the Recycle Bin'),
        until: RecycleBinExitTime,
      })),
      next: page.NextToken,
    };
  });

const snapshotsInBin = (ec2: EC2Client): Promise<Recycled[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new ListSnapshotsInRecycleBinCommand({ MaxResults: 1000, NextToken }))
      .catch(asExpected('list the snapshots in the Recycle Bin (ec2:ListSnapshotsInRecycleBin)'));
    return {
      items: always(page.Snapshots, 'Snapshots of ListSnapshotsInRecycleBin').map(({ SnapshotId, RecycleBinExitTime }) => ({
        id: SnapshotId ?? '',
        until: RecycleBinExitTime,
      })),
      next: page.NextToken,
    };
  });

// HTTP 200 says nothing about the snapshots. A missing code is a failure.
const fromEc2 = ({ SnapshotId, ReturnCode }: { SnapshotId?: string | undefined; ReturnCode?: string | undefined }): SnapshotResult => ({
  snapshotId: SnapshotId ?? 'unknown snapshot',
  code: (ReturnCode ?? 'internal-error') as SnapshotResult['code'],
});

const snapshotFromEc2 = (snapshot: Ec2Snapshot): Snapshot => ({
  id: snapshot.SnapshotId ?? '',
  description: snapshot.Description ?? '',
  startedAt: snapshot.StartTime ?? new Date(),
  sizeGiB: snapshot.VolumeSize ?? 0,
  tags: tagsFromEc2(snapshot.Tags),
});
