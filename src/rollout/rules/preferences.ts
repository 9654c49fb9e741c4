import { formatDuration } from '../../kit/format.ts';
import type { RefreshPreferences } from '../../model/group.ts';

/** The settings, as far as they must fit each other. Each alone was checked before. */
export interface PreferenceOptions {
  readonly minHealthy?: number | undefined;
  readonly maxHealthy?: number | undefined;
  readonly warmUp?: number | undefined;
  readonly checkpoints?: readonly number[] | undefined;
  readonly checkpointDelay?: number | undefined;
  readonly bake: number;
  readonly alarms?: readonly string[] | undefined;
  readonly protectedInstances?: RefreshPreferences['protectedInstances'] | undefined;
  readonly standbyInstances?: RefreshPreferences['standbyInstances'] | undefined;
  readonly skipMatching?: boolean | undefined;
  readonly rollTimeout: number;
  /** Instances at a time, instead of percentages. */
  readonly batchSize?: number | undefined;
  /** How long the checks on an instance may take; undefined without checks. */
  readonly checksSeconds?: number | undefined;
}

/** Everything that AWS would refuse only after the first write, and everything that could never finish. */
export function preferenceProblems(wanted: PreferenceOptions): readonly string[] {
  const {
    minHealthy,
    maxHealthy,
    checkpoints = [],
    checkpointDelay,
    alarms = [],
    bake,
    rollTimeout,
    batchSize,
    checksSeconds = 0,
  } = wanted;
  const pauses = checkpoints.filter(percent => percent < 100).length * (checkpointDelay ?? 0);
  return [
    maxHealthy !== undefined && minHealthy === undefined && '"max-healthy" needs "min-healthy": AWS takes both or only the minimum',
    maxHealthy !== undefined &&
      minHealthy !== undefined &&
      maxHealthy - minHealthy > 100 &&
      `"max-healthy" may be at most 100 above "min-healthy", got ${maxHealthy} and ${minHealthy}`,
    checkpoints.some((percent, i) => i > 0 && percent <= (checkpoints[i - 1] ?? 0)) &&
      `"checkpoints" must rise, each once, got ${checkpoints.join(', ')}`,
    checkpoints.length > 0 &&
      checkpoints.at(-1) !== 100 &&
      `"checkpoints" must end with 100, or AWS leaves the rest on the old image, got ${checkpoints.join(', ')}`,
    checkpointDelay !== undefined && checkpoints.length === 0 && '"checkpoint-delay" does nothing without "checkpoints"',
    checkpoints.length > 0 &&
      checkpointDelay === undefined &&
      '"checkpoint-delay" is missing: AWS would wait an hour at each of the "checkpoints"',
    checksSeconds >= bake &&
      `"bake" (${formatDuration(bake)}) must be longer than "checks-timeout" (${formatDuration(checksSeconds)}): after it AWS can no longer roll back`,
    checkpointDelay !== undefined &&
      checksSeconds >= checkpointDelay &&
      `"checkpoint-delay" (${formatDuration(checkpointDelay)}) must be longer than "checks-timeout" (${formatDuration(checksSeconds)}): AWS goes on by itself`,
    alarms.length > 10 && `"alarms" may name at most 10, got ${alarms.length}`,
    batchSize !== undefined &&
      (minHealthy !== undefined || maxHealthy !== undefined) &&
      '"batch-size" says the same as "min-healthy" and "max-healthy": use one or the other',
    bake + pauses >= rollTimeout &&
      `"roll-timeout" (${formatDuration(rollTimeout)}) must be longer than "bake" and the pauses at "checkpoints" together (${formatDuration(bake + pauses)})`,
  ].filter(problem => problem !== false);
}

/**
 * Skip matching is right here because every version that we roll to has a number: an instance that was launched from it
 * needs no replacement, unless somebody wants every one fresh. Where a group of instances must not be touched and nobody said what to do, they are left alone,
 * and the proof finds them; AWS's own default would wait an hour for a person and then fail.
 */
export const preferencesOf = (wanted: PreferenceOptions, desired: number): RefreshPreferences => ({
  minHealthy: wanted.batchSize === undefined ? wanted.minHealthy : percentFor(wanted.batchSize, desired),
  maxHealthy: wanted.maxHealthy,
  warmUpSeconds: wanted.warmUp,
  checkpoints: wanted.checkpoints ?? [],
  checkpointDelaySeconds: wanted.checkpointDelay,
  bakeSeconds: wanted.bake,
  alarms: wanted.alarms ?? [],
  skipMatching: wanted.skipMatching ?? true,
  autoRollback: true,
  protectedInstances: wanted.protectedInstances ?? 'ignore',
  standbyInstances: wanted.standbyInstances ?? 'ignore',
});

/**
 * The share that stays in service while so many are replaced. AWS takes whole percents and rounds what must be healthy up, so a large
 * group cannot be told every number: then fewer are replaced at a time than was said, never more. 100 percent is one at a time.
 */
function percentFor(batchSize: number, desired: number): number {
  if (desired <= batchSize) return 0;
  const most = Math.floor(((desired - batchSize) * 100) / desired);
  return replacedAtATime(desired, { minHealthy: most, maxHealthy: undefined }) > batchSize ? most + 1 : most;
}

/** How many instances AWS replaces at a time. https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html */
export function replacedAtATime(
  desired: number,
  { minHealthy = 90, maxHealthy }: Pick<RefreshPreferences, 'minHealthy' | 'maxHealthy'>,
): number {
  const floor = Math.ceil((desired * minHealthy) / 100);
  const ceiling = Math.floor((desired * Math.max(maxHealthy ?? 100, 100)) / 100);
  return Math.max(1, ceiling - floor);
}
