import { formatCount, formatDuration } from '../../kit/format.ts';
import type { Group, RefreshPreferences } from '../../model/group.ts';
import type { GroupAction } from './group-action.ts';
import { type PreferenceOptions, peakOf, preferencesOf, replacedAtATime } from './preferences.ts';
import { estimate } from './warnings.ts';

/** What a rolling update costs in batches, time and instances, for the chosen pace and for the other one. */

interface Pace {
  readonly batches: number;
  readonly seconds: number;
  /** The most instances at once. */
  readonly peak: number;
}

export interface Paces {
  readonly chosen: Pace;
  /** Undefined where it would be the same. */
  readonly other: (Pace & { readonly name: 'safe' | 'fast' }) | undefined;
}

/** Sizes in another unit say nothing about instances: their number stands for the size. */
export const inInstances = (group: Group): Group =>
  group.sizeUnit === undefined ? group : { ...group, desired: group.members.length, sizeUnit: undefined };

/** Undefined where no refresh replaces instances. */
export function pacesOf(
  action: GroupAction,
  replaces: number,
  preferences: RefreshPreferences,
  options: PreferenceOptions,
  group: Group,
): Paces | undefined {
  if (action !== 'refresh') return undefined;
  const counted = inInstances(group);
  const paceOf = (with_: RefreshPreferences): Pace => {
    const batches = Math.ceil(replaces / replacedAtATime(counted, with_));
    return { batches, seconds: estimate(batches, with_, group), peak: peakOf(counted, with_) };
  };
  const name = options.pace === 'fast' ? 'safe' : 'fast';
  const unset = { minHealthy: undefined, maxHealthy: undefined, batchSize: undefined };
  const [chosen, other] = [paceOf(preferences), paceOf(preferencesOf({ ...options, ...unset, pace: name }, counted))];
  const isSame = chosen.batches === other.batches && chosen.peak === other.peak;
  return { chosen, other: isSame ? undefined : { ...other, name } };
}

/** `2 batches, about 8m, at most 3 instances at once (pace fast: 1 batch, about 6m, at most 4)` */
export function formatPaces({ chosen, other }: Paces): string {
  const format = ({ batches, seconds, peak }: Pace, unit: string) =>
    `${formatCount(batches, 'batch', 'batches')}, about ${formatDuration(seconds)}, at most ${unit === '' ? peak : formatCount(peak, unit)}`;
  const alternative = other === undefined ? '' : ` (pace ${other.name}: ${format(other, '')})`;
  return `${format(chosen, 'instance')} at once${alternative}`;
}
