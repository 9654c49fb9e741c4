import type { Image, Snapshot } from '../../model/image.ts';
import { hasKeepTag, identity } from '../../model/image.ts';
import { imageIdsIn } from '../../model/image-users.ts';
import type { Policy } from './rules.ts';

// A build makes its snapshots before its image says which they are.
const YOUNGEST_SECONDS = 86_400;

// EC2 describes so what it makes for an image. One that was made by hand or by a schedule was never an image's, whatever tags it took over from its volume.
const wasOfImage = ({ description }: Snapshot): boolean => /^(Created by CreateImage|Copied for DestinationAmi)\b/.test(description);

// AWS Backup and Data Lifecycle Manager remove their own.
const isKeptByOthers = ({ tags }: Snapshot): boolean => Object.keys(tags).some(key => /^aws:(backup|dlm):/.test(key));

/**
 * Snapshots of ours that no image has any more: what a removal left behind that went wrong halfway. `images`: all of the account, of whatever family. `recycled`:
 * images in the Recycle Bin, which cannot be restored without their snapshots.
 */
export function orphans(
  snapshots: readonly Snapshot[],
  images: readonly Image[],
  policy: Policy,
  now: number,
  recycled: ReadonlySet<string> = new Set(),
): readonly Snapshot[] {
  const held = new Set(images.flatMap(({ snapshotIds }) => snapshotIds));
  const there = new Set([...images.map(({ id }) => id), ...recycled]);
  const youngest = Math.max(policy.keep.youngerThanSeconds, YOUNGEST_SECONDS);
  return snapshots
    .filter(snapshot => identity(snapshot, policy.scheme, 'family') === policy.family)
    .filter(({ id, description }) => !held.has(id) && !imageIdsIn(description).some(image => there.has(image)))
    .filter(snapshot => !hasKeepTag(snapshot, policy.scheme) && !isKeptByOthers(snapshot) && wasOfImage(snapshot))
    .filter(({ startedAt }) => now - startedAt.getTime() >= youngest * 1000)
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime() || (a.id < b.id ? -1 : 1))
    .slice(0, policy.maxRemovals);
}
