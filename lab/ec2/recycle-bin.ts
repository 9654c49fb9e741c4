import type {
  ListImagesInRecycleBinCommandInput,
  ListImagesInRecycleBinCommandOutput,
  ListSnapshotsInRecycleBinCommandInput,
  ListSnapshotsInRecycleBinCommandOutput,
  RestoreImageFromRecycleBinCommandInput,
  RestoreImageFromRecycleBinCommandOutput,
  RestoreSnapshotFromRecycleBinCommandInput,
  RestoreSnapshotFromRecycleBinCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { snapshots } from './images.ts';
import { checkPageSize, pageOf } from './paging.ts';
import { notFound } from './resource-ids.ts';
import { removeSnapshot } from './snapshot-state.ts';
import { dropTags, type LabImage, type LabSnapshot, setTags } from './state.ts';

/**
 * Deleted images and snapshots that retention rules keep. The rules belong to a service that the lab does not have. Tests set them here, one for
 * all images and one for all snapshots of a region. https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html
 */
export interface RetentionRules {
  imageDays: number | undefined;
  snapshotDays: number | undefined;
}

interface Retained<T> {
  readonly thing: T;
  readonly enteredAt: Date;
  readonly exitAt: Date;
}

export const retentionRules = slice((): RetentionRules => ({ imageDays: undefined, snapshotDays: undefined }));
const binned = slice(() => ({ images: new Map<string, Retained<LabImage>>(), snapshots: new Map<string, Retained<LabSnapshot>>() }));

const DAY_MS = 86_400_000;
/** Resources in the bin keep their tags and get this one. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/recycle-bin-factors.html */
const IN_BIN = 'aws:recycle-bin:resource-in-bin';

function retain<T extends { readonly id: string }>(place: Place, bin: Map<string, Retained<T>>, thing: T, days: number): void {
  const now = place.core.clock.now();
  bin.set(thing.id, { thing, enteredAt: new Date(now), exitAt: new Date(now + days * DAY_MS) });
  setTags(place, thing.id, { [IN_BIN]: 'true' });
}

/** Moves a deregistered image into the bin, if a rule keeps it. */
export function discardImage(image: LabImage): void {
  const { place, id } = image;
  const { imageDays } = retentionRules(place);
  if (imageDays === undefined) dropTags(place, id, 'all');
  else retain(place, binned(place).images, image, imageDays);
}

/** The same for a snapshot, with its content. */
export function discardSnapshot(snapshot: LabSnapshot): void {
  const { place, id } = snapshot;
  const { snapshotDays } = retentionRules(place);
  if (snapshotDays === undefined) {
    removeSnapshot(snapshot);
    return;
  }
  snapshots(place).delete(id);
  retain(place, binned(place).snapshots, snapshot, snapshotDays);
}

/** Resources in the bin cannot be deleted before their retention ends. */
function still<T extends { readonly id: string }>(place: Place, bin: Map<string, Retained<T>>): readonly Retained<T>[] {
  for (const [id, { exitAt }] of bin) {
    if (exitAt.getTime() > place.core.clock.now()) continue;
    bin.delete(id);
    dropTags(place, id, 'all');
  }
  return [...bin.values()];
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ListImagesInRecycleBin.html */
const listImages: Operation<ListImagesInRecycleBinCommandInput, ListImagesInRecycleBinCommandOutput> = (input, { place }) => {
  checkPageSize(input, 1, 1000);
  const held = still(place, binned(place).images).filter(({ thing }) => input.ImageIds?.includes(thing.id) ?? true);
  const { page, NextToken } = pageOf(place, held, ({ thing }) => thing.id, input);
  const Images = page.map(({ thing: { id, name, description }, enteredAt, exitAt }) => ({
    ...{ ImageId: id, Name: name, Description: description, RecycleBinEnterTime: enteredAt, RecycleBinExitTime: exitAt },
  }));
  return { Images, NextToken };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ListSnapshotsInRecycleBin.html */
const listSnapshots: Operation<ListSnapshotsInRecycleBinCommandInput, ListSnapshotsInRecycleBinCommandOutput> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  const held = still(place, binned(place).snapshots).filter(({ thing }) => input.SnapshotIds?.includes(thing.id) ?? true);
  const { page, NextToken } = pageOf(place, held, ({ thing }) => thing.id, input);
  const Snapshots = page.map(({ thing: { id, volumeId, description }, enteredAt, exitAt }) => ({
    ...{ SnapshotId: id, VolumeId: volumeId, Description: description, RecycleBinEnterTime: enteredAt, RecycleBinExitTime: exitAt },
  }));
  return { Snapshots, NextToken };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RestoreSnapshotFromRecycleBin.html */
const restoreSnapshot: Operation<RestoreSnapshotFromRecycleBinCommandInput, RestoreSnapshotFromRecycleBinCommandOutput> = (
  { SnapshotId = '' },
  { place },
) => {
  const bin = binned(place).snapshots;
  const held = still(place, bin).find(({ thing }) => thing.id === SnapshotId);
  if (held === undefined) throw notFound('snapshot', SnapshotId);
  bin.delete(SnapshotId);
  snapshots(place).set(SnapshotId, held.thing);
  dropTags(place, SnapshotId, [IN_BIN]);
  return { SnapshotId };
};

/**
 * Its snapshots must be restored first. The documentation does not name the error code.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RestoreImageFromRecycleBin.html
 */
const restoreImage: Operation<RestoreImageFromRecycleBinCommandInput, RestoreImageFromRecycleBinCommandOutput> = (
  { ImageId = '' },
  { place },
) => {
  const bin = binned(place).images;
  const held = still(place, bin).find(({ thing }) => thing.id === ImageId);
  if (held === undefined) throw notFound('image', ImageId);
  const missing = held.thing.devices.find(({ snapshotId }) => snapshotId !== undefined && !snapshots(place).has(snapshotId));
  if (missing !== undefined) throw new AwsError('InvalidSnapshot.NotFound', `The snapshot '${missing.snapshotId}' does not exist.`);
  bin.delete(ImageId);
  held.thing.state = 'available';
  dropTags(place, ImageId, [IN_BIN]);
  return { Return: true };
};

export const recycleBinOperations: Operations = {
  ListImagesInRecycleBin: listImages,
  ListSnapshotsInRecycleBin: listSnapshots,
  RestoreImageFromRecycleBin: restoreImage,
  RestoreSnapshotFromRecycleBin: restoreSnapshot,
};
