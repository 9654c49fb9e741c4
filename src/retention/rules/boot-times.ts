import { formatDuration } from '../../kit/format.ts';
import { nonBreaking } from '../../kit/markdown.ts';
import type { InstanceFact } from '../../model/image-users.ts';

/** Median seconds from launch to in service: of instances of the family, and of all others of the same group, such as those of its base image. */
export interface BootTimes {
  readonly ofFamily: number | undefined;
  readonly ofOthers: number | undefined;
}

export function bootTimes(
  instances: readonly Pick<InstanceFact, 'id' | 'imageId'>[],
  launchSeconds: ReadonlyMap<string, number>,
  family: ReadonlySet<string>,
): BootTimes {
  const of = (isWanted: (imageId: string) => boolean) =>
    median(instances.filter(({ imageId }) => imageId !== '' && isWanted(imageId)).flatMap(({ id }) => launchSeconds.get(id) ?? []));
  return { ofFamily: of(imageId => family.has(imageId)), ofOthers: of(imageId => !family.has(imageId)) };
}

/** The lower of two in the middle: a time that was measured. */
function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** "1m 12s (other images: 6m 40s)". */
export function formatBoot({ ofFamily, ofOthers }: BootTimes): string {
  if (ofFamily === undefined) return '';
  const others = ofOthers === undefined ? '' : ` (other images: ${formatDuration(ofOthers)})`;
  return nonBreaking(`${formatDuration(ofFamily)}${others}`);
}
