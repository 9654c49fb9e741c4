import type { Disk } from '../machines/hypervisor.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { images, neighbours, snapshotEver, snapshots } from './images.ts';
import { dropTags, type LabImage, type LabSnapshot } from './state.ts';

/** A new snapshot. It stays `pending` until its state is set. */
export function addSnapshot(
  place: Place,
  made: Omit<LabSnapshot, 'place' | 'startedAt' | 'state' | 'stateMessage' | 'readers'>,
): LabSnapshot {
  const snapshot: LabSnapshot = {
    ...made,
    ...{ place, startedAt: place.core.clock.date(), state: 'pending', stateMessage: '', readers: new Set<string>() },
  };
  snapshots(place).set(snapshot.id, snapshot);
  return snapshot;
}

/** Registered images of any account that use the snapshot. */
export const imagesOf = (snapshot: LabSnapshot): readonly LabImage[] =>
  neighbours(snapshot.place)
    .flatMap(owner => [...images(owner).values()])
    .filter(({ state, devices }) => state !== 'deregistered' && devices.some(({ snapshotId }) => snapshotId === snapshot.id));

export function removeSnapshot({ id, place, disk }: LabSnapshot): void {
  snapshots(place).delete(id);
  dropTags(place, id, 'all');
  if (disk !== undefined) void disk().then(place.core.hypervisor.discard, () => undefined);
}

export const mayRead = ({ place, readers }: LabSnapshot, account: string): boolean =>
  place.account === account || readers.has('all') || readers.has(account);

/** The AWS managed key `aws/ebs`. Snapshots that it encrypts cannot be shared. https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html */
export const defaultKey = ({ account, region }: Place): string =>
  `arn:aws:kms:${region}:${account}:key/00000000-aaaa-4000-8000-0000000000eb`;

export const keyFor = (place: Place, encrypted: boolean, wanted: string | undefined): string | undefined => {
  if (!encrypted) return undefined;
  return wanted === undefined || wanted.endsWith('alias/aws/ebs') ? defaultKey(place) : wanted;
};

export function refuseSharingOfDefaultKey(snapshotIds: readonly (string | undefined)[], place: Place): void {
  for (const id of snapshotIds) {
    if (id === undefined || snapshotEver(place, id)?.kmsKeyId !== defaultKey(place)) continue;
    throw new AwsError('InvalidParameter', `Snapshot ${id} is encrypted with the default AWS managed key and cannot be shared`);
  }
}

/** Runs once, at the first call. */
export function lazily(make: () => Promise<Disk>): () => Promise<Disk> {
  let made: Promise<Disk> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
