import type { Image, Tags } from '../image.ts';
import { identity } from '../image.ts';
import { imageIdsIn } from './references.ts';
import { isToKeep, type Policy } from './rules.ts';

/** What a snapshot says about itself. */
export interface Snapshot {
  readonly id: string;
  readonly description: string;
  readonly startedAt: Date;
  readonly sizeGiB: number;
  readonly tags: Tags;
}

// A build makes its snapshots before its image says which they are.
const YOUNGEST_SECONDS = 86_400;

/** Snapshots of ours that no image has any more: what a removal left behind that went wrong halfway. `images`: all of the account, of whatever family. */
export function orphans(snapshots: readonly Snapshot[], images: readonly Image[], policy: Policy, now: number): readonly Snapshot[] {
  const held = new Set(images.flatMap(({ snapshotIds }) => snapshotIds));
  const there = new Set(images.map(({ id }) => id));
  const youngest = Math.max(policy.keep.youngerThanSeconds, YOUNGEST_SECONDS);
  return snapshots
    .filter(snapshot => identity(snapshot, policy.scheme, 'family') === policy.family)
    .filter(({ id, description }) => !held.has(id) && !imageIdsIn(description).some(image => there.has(image)))
    .filter(snapshot => !isToKeep(snapshot, policy.scheme) && !('aws:backup:source-resource' in snapshot.tags))
    .filter(({ startedAt }) => now - startedAt.getTime() >= youngest * 1000)
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime() || (a.id < b.id ? -1 : 1))
    .slice(0, policy.maxRemovals);
}
