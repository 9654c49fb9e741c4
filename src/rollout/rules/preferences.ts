import { UsageError } from '../../kit/errors.ts';
import { formatDuration } from '../../kit/format.ts';
import type { Group, RefreshPreferences } from '../../model/group.ts';
import type { RolloutInputs, RolloutOptions } from './settings.ts';
import { stackProblems } from './stack-settings.ts';

/** The refresh preferences that settings ask for, and combinations of settings that cannot work. */

type PreferenceKey =
  | ('pace' | 'minHealthy' | 'maxHealthy' | 'batchSize' | 'warmUp' | 'checkpoints' | 'checkpointDelay' | 'alarms' | 'shiftAt')
  | ('protectedInstances' | 'standbyInstances' | 'skipMatching');

/** `checksSeconds`: how long the checks on one instance may take; undefined without checks. */
export type PreferenceOptions = Pick<RolloutInputs, 'bake' | 'rollTimeout'> &
  Partial<Pick<RolloutInputs, PreferenceKey>> & { readonly checksSeconds?: number | undefined };

/** Throws a `UsageError` with every combination of settings that cannot work. Reads nothing. */
type ThroughWeights = Pick<RolloutInputs, 'strategy' | 'shiftAt' | 'shift' | 'groups' | 'groupTags'> & {
  readonly regions?: readonly string[] | undefined;
};

export function throwIfUnfit(options: RolloutOptions & ThroughWeights & Pick<PreferenceOptions, 'checksSeconds'>): void {
  const { strategy, hold, wait, order, groups = [], groupTags = {}, nodeGroups = [] } = options;
  const named = groups.length + Object.keys(groupTags).length;
  const all = named + nodeGroups.length;
  const problems = [
    ...preferenceProblems(options),
    ...shiftProblems(options),
    ...stackProblems(options, named),
    hold && strategy !== 'blue-green' && strategy !== 'two-groups' && '"hold" needs "strategy: blue-green" or "strategy: two-groups"',
    strategy === 'two-groups' &&
      (new Set(groups).size % 2 === 1 || new Set(groups).size < named) &&
      `"strategy: two-groups" takes "groups" in pairs, such as "groups: web-blue, web-green", and no "group-tags": got ${groups.join(', ')}`,
    !wait && order === 'one-by-one' && '"wait: false" starts all groups at once: remove it, or remove "order: one-by-one"',
    options.stack !== undefined && nodeGroups.length > 0 && '"stack" and "node-groups" cannot be combined: promote them one after another',
    strategy === 'none' &&
      all > 0 &&
      '"strategy: none" moves the pointer only, but "groups" or "group-tags" name groups: remove them (under "with:", "groups: []" overrides the file), or set "strategy: rolling"',
    strategy !== 'none' &&
      all === 0 &&
      options.stack === undefined &&
      '"groups" is missing: name the groups that run the image, or set "strategy: none" to move the pointer only',
  ].filter(problem => problem !== false);
  if (problems.length > 0) throw new UsageError(problems);
}

function shiftProblems({
  strategy,
  shiftAt,
  shift,
  groups = [],
  groupTags = {},
  regions = [],
}: ThroughWeights): readonly (string | false)[] {
  const isPair = strategy === 'two-groups';
  if (shiftAt === undefined) return [shift !== undefined && '"shift" needs "shift-at": what divides the traffic'];
  return [
    strategy !== 'blue-green' && !isPair && '"shift-at" needs "strategy: blue-green" or "strategy: two-groups"',
    (groups.length !== (isPair ? 2 : 1) || Object.keys(groupTags).length > 0) &&
      `"shift-at" takes one ${isPair ? 'pair of groups' : 'group'} and no "group-tags": got ${groups.join(', ')}`,
    regions.length > 0 && '"shift-at" works in one region: remove "regions"',
    shift?.some((percent, i) => percent <= (shift[i - 1] ?? 0)) === true &&
      `"shift" must be ascending without repeats, got ${shift.join(', ')}`,
    // The tag of the green group remembers them, and AWS takes 256 characters.
    (shift?.length ?? 0) > 8 && `"shift" takes at most 8 steps, got ${shift?.length}`,
    shift !== undefined && shift.at(-1) !== 100 && `"shift" must end with 100, got ${shift.join(', ')}`,
  ];
}

/** What AWS would refuse only after the first write, and what could never finish. */
export function preferenceProblems(options: PreferenceOptions): readonly string[] {
  const { minHealthy, maxHealthy, alarms = [], bake, rollTimeout, batchSize, checksSeconds = 0, pace } = options;
  const total = bake + pausesOf(options);
  return [
    maxHealthy !== undefined && minHealthy === undefined && '"max-healthy" needs "min-healthy": AWS takes both, or only the minimum',
    maxHealthy !== undefined &&
      minHealthy !== undefined &&
      maxHealthy - minHealthy > 100 &&
      `"max-healthy" must be at most 100 above "min-healthy", got ${maxHealthy} and ${minHealthy}`,
    ...checkpointProblems(options),
    checksSeconds >= bake &&
      `"bake" (${formatDuration(bake)}) must be longer than "checks-timeout" (${formatDuration(checksSeconds)}): AWS cannot roll back after the bake time`,
    alarms.length > 10 && `"alarms" takes at most 10 alarms, got ${alarms.length}`,
    batchSize !== undefined &&
      (minHealthy !== undefined || maxHealthy !== undefined) &&
      '"batch-size" replaces "min-healthy" and "max-healthy": set one or the other',
    pace === 'fast' &&
      [minHealthy, maxHealthy, batchSize].some(given => given !== undefined) &&
      '"pace: fast" replaces all instances in one batch: remove "min-healthy", "max-healthy" and "batch-size", or remove "pace"',
    total >= rollTimeout &&
      `"roll-timeout" (${formatDuration(rollTimeout)}) must be longer than "bake" and the pauses at "checkpoints" together (${formatDuration(total)})`,
  ].filter(problem => problem !== false);
}

const pausesOf = ({ checkpoints = [], checkpointDelay = 0 }: PreferenceOptions): number =>
  checkpoints.filter(percent => percent < 100).length * checkpointDelay;

function checkpointProblems({
  checkpoints = [],
  checkpointDelay,
  checksSeconds = 0,
  shiftAt,
}: PreferenceOptions): readonly (string | false)[] {
  const given = checkpoints.join(', ');
  return [
    checkpoints.some((percent, i) => i > 0 && percent <= (checkpoints[i - 1] ?? 0)) &&
      `"checkpoints" must be ascending without repeats, got ${given}`,
    checkpoints.length > 0 &&
      checkpoints.at(-1) !== 100 &&
      `"checkpoints" must end with 100, or AWS leaves the rest on the old image, got ${given}`,
    checkpointDelay !== undefined &&
      checkpoints.length === 0 &&
      shiftAt === undefined &&
      '"checkpoint-delay" needs "checkpoints", or "shift-at"',
    checkpoints.length > 0 &&
      checkpointDelay === undefined &&
      '"checkpoint-delay" is missing: AWS waits an hour at each of the "checkpoints" by default',
    checkpointDelay !== undefined &&
      checksSeconds >= checkpointDelay &&
      `"checkpoint-delay" (${formatDuration(checkpointDelay)}) must be longer than "checks-timeout" (${formatDuration(checksSeconds)}): AWS continues after the delay`,
  ];
}

/**
 * Every version that is rolled out has a number, so skip matching is safe. Protected and standby instances default to `ignore`,
 * because AWS's own default waits an hour for a person and then fails; the proof reports them.
 */
export const preferencesOf = (options: PreferenceOptions, group: Capacity): RefreshPreferences => ({
  ...healthyPercentages(options, group),
  warmUpSeconds: options.warmUp,
  checkpoints: options.checkpoints ?? [],
  checkpointDelaySeconds: options.checkpointDelay,
  bakeSeconds: options.bake,
  alarms: options.alarms ?? [],
  skipMatching: options.skipMatching ?? true,
  autoRollback: true,
  protectedInstances: options.protectedInstances ?? 'ignore',
  standbyInstances: options.standbyInstances ?? 'ignore',
});

type Capacity = Pick<Group, 'desired' | 'maintenance'>;

/** AWS's own default is 90 percent without a maximum: it terminates first, and a group of one instance is down in between. */
const LAUNCH_FIRST = { minHealthy: 100, maxHealthy: 110 } as const;

/** Every new instance next to the old ones: the group doubles for a while. */
const LAUNCH_ALL = { minHealthy: 100, maxHealthy: 200 } as const;

/**
 * AWS takes what is not given from the maintenance policy of the group, and refuses percentages that are more than 100 apart.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/understand-instance-refresh-default-values.html
 */
function healthyPercentages({ pace, minHealthy, maxHealthy, batchSize }: PreferenceOptions, { desired, maintenance }: Capacity) {
  if (pace === 'fast') return LAUNCH_ALL;
  const ofPolicy = maintenance?.maxHealthy;
  if (batchSize !== undefined) return { minHealthy: percentFor(batchSize, desired), maxHealthy: ofPolicy === undefined ? undefined : 100 };
  if (minHealthy === undefined) return maintenance === undefined ? LAUNCH_FIRST : { minHealthy, maxHealthy };
  return { minHealthy, maxHealthy: maxHealthy ?? (ofPolicy === undefined ? undefined : Math.min(ofPolicy, minHealthy + 100)) };
}

/** AWS takes whole percents and rounds the healthy minimum up. So a large group may get a smaller batch than asked for, never a larger one. */
function percentFor(batchSize: number, desired: number): number {
  if (desired <= batchSize) return 0;
  const most = Math.floor(((desired - batchSize) * 100) / desired);
  return replacedAtATime({ desired }, { minHealthy: most, maxHealthy: undefined }) > batchSize ? most + 1 : most;
}

/** How many instances AWS replaces at a time. https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html */
export function replacedAtATime(
  { desired, maintenance }: Capacity,
  preferences: Pick<RefreshPreferences, 'minHealthy' | 'maxHealthy'>,
): number {
  const minHealthy = preferences.minHealthy ?? maintenance?.minHealthy ?? 90;
  const maxHealthy = preferences.maxHealthy ?? (preferences.minHealthy === undefined ? maintenance?.maxHealthy : undefined);
  const floor = Math.ceil((desired * minHealthy) / 100);
  const ceiling = Math.floor((desired * Math.max(maxHealthy ?? 100, 100)) / 100);
  return Math.max(1, ceiling - floor);
}

/** The most instances that exist at once. AWS launches at least one more where it must keep all of them. */
export function peakOf(capacity: Capacity, preferences: Pick<RefreshPreferences, 'minHealthy' | 'maxHealthy'>): number {
  const { desired, maintenance } = capacity;
  const minHealthy = preferences.minHealthy ?? maintenance?.minHealthy ?? 90;
  const maxHealthy = preferences.maxHealthy ?? (preferences.minHealthy === undefined ? maintenance?.maxHealthy : undefined) ?? 100;
  return Math.max(Math.floor((desired * Math.max(maxHealthy, 100)) / 100), minHealthy === 100 ? desired + 1 : desired);
}
