import type {
  DeleteSnapshotCommandInput,
  DeleteSnapshotCommandOutput,
  DescribeSnapshotAttributeCommandInput,
  DescribeSnapshotAttributeCommandOutput,
  DescribeSnapshotsCommandInput,
  DescribeSnapshotsCommandOutput,
  ModifySnapshotAttributeCommandInput,
  ModifySnapshotAttributeCommandOutput,
  Snapshot,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { AMAZON } from './base-images.ts';
import { type Fields, select, tagList } from './filters.ts';
import { neighbours, snapshotEver, snapshots } from './images.ts';
import { checkPageSize, pageOf, refuseIdsWithPages } from './paging.ts';
import { discardSnapshot } from './recycle-bin.ts';
import { pick } from './resource-ids.ts';
import { imagesOf, mayRead, refuseSharingOfDefaultKey } from './snapshot-state.ts';
import { type LabSnapshot, tagsOf } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html */
export const describeSnapshots: Operation<DescribeSnapshotsCommandInput, DescribeSnapshotsCommandOutput> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  refuseIdsWithPages(input.SnapshotIds, input, 'snapshotIds');
  const readable = (id: string) => {
    const snapshot = snapshotEver(place, id);
    return snapshot !== undefined && mayRead(snapshot, place.account) ? snapshot : undefined;
  };
  const named =
    input.SnapshotIds === undefined || input.SnapshotIds.length === 0 ? visible(place) : pick('snapshot', input.SnapshotIds, readable);
  const wanted = named
    .filter(snapshot => ownedBy(snapshot, place, input.OwnerIds))
    .filter(({ readers }) => input.RestorableByUserIds?.some(who => readers.has(who === 'self' ? place.account : who)) ?? true);
  const found = select(wanted, input.Filters, FIELDS, ({ id }) => tagsOf(place, id));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  return { Snapshots: page.map(snapshot => shape(place, snapshot)), NextToken };
};

const visible = (place: Place): readonly LabSnapshot[] =>
  neighbours(place)
    .flatMap(owner => [...snapshots(owner).values()])
    .filter(snapshot => mayRead(snapshot, place.account));

const aliasOf = ({ place }: LabSnapshot) => (place.account === AMAZON ? 'amazon' : undefined);

const ownedBy = (snapshot: LabSnapshot, { account }: Place, owners: readonly string[] | undefined): boolean =>
  owners?.some(owner => (owner === 'self' ? account : owner) === snapshot.place.account || owner === aliasOf(snapshot)) ?? true;

const shape = (viewer: Place, snapshot: LabSnapshot): Snapshot => ({
  ...{ SnapshotId: snapshot.id, VolumeId: snapshot.volumeId, VolumeSize: snapshot.sizeGiB, Description: snapshot.description },
  ...{ State: snapshot.state, StateMessage: snapshot.stateMessage || undefined, Progress: progress(snapshot) },
  ...{ StartTime: snapshot.startedAt, Encrypted: snapshot.encrypted, KmsKeyId: snapshot.kmsKeyId, StorageTier: 'standard' },
  ...{ OwnerId: snapshot.place.account, OwnerAlias: aliasOf(snapshot) },
  Tags: tagList(tagsOf(viewer, snapshot.id)),
});

const progress = ({ state }: LabSnapshot) => (state === 'completed' ? '100%' : '0%');

const FIELDS: Fields<LabSnapshot> = {
  'snapshot-id': ({ id }) => id,
  'volume-id': ({ volumeId }) => volumeId,
  'volume-size': ({ sizeGiB }) => sizeGiB,
  description: ({ description }) => description,
  status: ({ state }) => state,
  progress,
  'owner-id': ({ place }) => place.account,
  'owner-alias': aliasOf,
  'start-time': ({ startedAt }) => startedAt.toISOString(),
  encrypted: ({ encrypted }) => encrypted,
  'storage-tier': () => 'standard',
};

const own = (place: Place, id: string | undefined): readonly LabSnapshot[] =>
  pick('snapshot', [id ?? ''], wanted => snapshots(place).get(wanted));

/** Refused while a registered image uses the snapshot. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshot.html */
export const deleteSnapshot: Operation<DeleteSnapshotCommandInput, DeleteSnapshotCommandOutput> = ({ SnapshotId }, { place }) => {
  for (const snapshot of own(place, SnapshotId)) {
    const [user] = imagesOf(snapshot);
    if (user !== undefined) throw new AwsError('InvalidSnapshot.InUse', `The snapshot ${snapshot.id} is currently in use by ${user.id}`);
    discardSnapshot(snapshot);
  }
  return {};
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html */
export const modifySnapshotAttribute: Operation<ModifySnapshotAttributeCommandInput, ModifySnapshotAttributeCommandOutput> = (
  input,
  { place },
) => {
  const { CreateVolumePermission, OperationType, UserIds = [], GroupNames = [] } = input;
  const accounts = (side: 'Add' | 'Remove') => [
    ...(CreateVolumePermission?.[side] ?? []).map(({ UserId, Group }) => UserId ?? Group ?? ''),
    ...(OperationType === side.toLowerCase() ? [...UserIds, ...GroupNames] : []),
  ];
  for (const snapshot of own(place, input.SnapshotId)) {
    if (accounts('Add').length > 0) refuseSharingOfDefaultKey([snapshot.id], place);
    if (accounts('Add').includes('all') && snapshot.encrypted)
      throw new AwsError('OperationNotPermitted', 'Encrypted snapshots cannot be public.');
    for (const who of accounts('Add')) snapshot.readers.add(who);
    for (const who of accounts('Remove')) snapshot.readers.delete(who);
  }
  return {};
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshotAttribute.html */
export const describeSnapshotAttribute: Operation<DescribeSnapshotAttributeCommandInput, DescribeSnapshotAttributeCommandOutput> = (
  { SnapshotId, Attribute },
  { place },
) => {
  if (Attribute !== 'createVolumePermission')
    throw new AwsError('InvalidParameterValue', `The lab does not know the attribute ${Attribute}.`);
  const permissions = own(place, SnapshotId).flatMap(({ readers }) => [...readers]);
  return { SnapshotId, CreateVolumePermissions: permissions.map(who => (who === 'all' ? { Group: 'all' } : { UserId: who })) };
};
