import type { Image, Snapshot } from '../../model/image.ts';
import { hasKeepTag, identity } from '../../model/image.ts';
import { imageIdsIn } from '../../model/image-users.ts';
import type { Policy } from './rules.ts';

// A build creates its snapshots before its image names them.
const MINIMUM_AGE_SECONDS = 86_400;

// EC2 writes these descriptions. Snapshots made by hand or by a schedule never belonged to an image, even if they inherited tags from a volume.
const wasOfImage = ({ description }: Snapshot): boolean => /^(Created by CreateImage|Copied for DestinationAmi)\b/.test(description);

// AWS Backup and Data Lifecycle Manager remove their own.
const isManaged = ({ tags }: Snapshot): boolean => Object.keys(tags).some(key => /^aws:(backup|dlm):/.test(key));

/**
 * Snapshots of the family that no image has, oldest first: leftovers of an interrupted removal. `images`: all of the account. `recycled`: images in the Recycle
 * Bin, which cannot be restored without their snapshots.
 */
export function orphanedSnapshots(
  snapshots: readonly Snapshot[],
  images: readonly Image[],
  policy: Policy,
  now: number,
  recycled: ReadonlySet<string> = new Set(),
): readonly Snapshot[] {
  const held = new Set(images.flatMap(({ snapshotIds }) => snapshotIds));
  const existing = new Set([...images.map(({ id }) => id), ...recycled]);
  const minimumAge = Math.max(policy.keep.youngerThanSeconds, MINIMUM_AGE_SECONDS);
  return snapshots
    .filter(snapshot => identity(snapshot, policy.scheme, 'family') === policy.family)
    .filter(({ id, description }) => !held.has(id) && !imageIdsIn(description).some(image => existing.has(image)))
    .filter(snapshot => !hasKeepTag(snapshot, policy.scheme) && !isManaged(snapshot) && wasOfImage(snapshot))
    .filter(({ startedAt }) => now - startedAt.getTime() >= minimumAge * 1000)
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime() || (a.id < b.id ? -1 : 1))
    .slice(0, policy.maxRemovals);
}
