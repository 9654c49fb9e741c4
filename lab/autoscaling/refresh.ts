import type {
  InstanceRefresh,
  InstanceRefreshStatus,
  InstanceRefreshWarmPoolProgress,
  RefreshPreferences,
} from '@aws-sdk/client-auto-scaling';
import type { Group, Recipe, Refresh, Rules } from './state.ts';

const ENDED: ReadonlySet<InstanceRefreshStatus> = new Set(['Successful', 'Failed', 'Cancelled', 'RollbackFailed', 'RollbackSuccessful']);

export const activeRefresh = (group: Pick<Group, 'refreshes'>): Refresh | undefined =>
  group.refreshes.find(({ status }) => !ENDED.has(status));

const ROLLING_OUT: ReadonlySet<InstanceRefreshStatus> = new Set(['Pending', 'InProgress', 'Baking']);

export const rollsOut = ({ status }: Refresh): boolean => ROLLING_OUT.has(status);

/**
 * The configuration that the group launches now. While a refresh with a desired configuration rolls out, scale-outs and replacements of unhealthy
 * instances use that configuration. Otherwise, and during rollback and cancellation, they use the saved one.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html (Desired configuration)
 */
export function recipeNow(group: Pick<Group, 'recipe' | 'refreshes'>): Recipe {
  const refresh = activeRefresh(group);
  return refresh?.desired !== undefined && rollsOut(refresh) ? refresh.desired : group.recipe;
}

/**
 * The minimum of ready instances and the maximum of instances. Where the percentages leave no room, one at a time: launched first if the
 * maximum is set or no instance may go (100/100), terminated first otherwise.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html (Minimum and maximum healthy percentage)
 */
export function pace(
  desired: number,
  { minHealthy, maxHealthy }: Pick<Rules, 'minHealthy' | 'maxHealthy'>,
): { atLeast: number; atMost: number } {
  const atLeast = Math.ceil((desired * minHealthy) / 100);
  const atMost = Math.floor((desired * (maxHealthy ?? 100)) / 100);
  if (atLeast < desired || atMost > desired) return { atLeast, atMost };
  return maxHealthy !== undefined || minHealthy === 100 ? { atLeast, atMost: desired + 1 } : { atLeast: desired - 1, atMost };
}

/** How many of `total` may be replaced before the next checkpoint. */
export const quota = (total: number, { checkpoints }: Pick<Rules, 'checkpoints'>, passed: number): number =>
  Math.ceil((total * (checkpoints.find(percent => percent > passed) ?? 100)) / 100);

/** The highest checkpoint that `done` of `total` has reached and whose delay has not started. The last checkpoint has no delay. */
export function reached(total: number, done: number, { checkpoints }: Pick<Rules, 'checkpoints'>, passed: number): number | undefined {
  return checkpoints.slice(0, -1).findLast(percent => percent > passed && (done * 100) / total >= percent);
}

/** The part of the group that a refresh replaces: the last checkpoint may be below 100 %. */
export const goal = (total: number, { checkpoints }: Pick<Rules, 'checkpoints'>): number =>
  Math.ceil((total * (checkpoints.at(-1) ?? 100)) / 100);

const preferences = (rules: Rules): RefreshPreferences => ({
  MinHealthyPercentage: rules.minHealthy,
  MaxHealthyPercentage: rules.maxHealthy,
  InstanceWarmup: rules.warmupSeconds,
  CheckpointPercentages: rules.checkpoints.length === 0 ? undefined : [...rules.checkpoints],
  CheckpointDelay: rules.checkpoints.length === 0 ? undefined : rules.checkpointSeconds,
  BakeTime: rules.bakeSeconds === 0 ? undefined : rules.bakeSeconds,
  SkipMatching: rules.skipMatching,
  AutoRollback: rules.autoRollback,
  ScaleInProtectedInstances: rules.protectedOnes,
  StandbyInstances: rules.standby,
  AlarmSpecification: rules.alarms.length === 0 ? undefined : { Alarms: [...rules.alarms] },
});

/** Only groups with a warm pool have its progress. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html */
export function describedRefresh(
  { name }: Pick<Group, 'name'>,
  refresh: Refresh,
  WarmPoolProgress: InstanceRefreshWarmPoolProgress | undefined,
): InstanceRefresh {
  const { percentage, toUpdate, rollback } = refresh;
  const LivePoolProgress = { PercentageComplete: percentage, InstancesToUpdate: toUpdate };
  const { total: _, ...RollbackDetails } = rollback ?? { total: 0 };
  return {
    InstanceRefreshId: refresh.id,
    AutoScalingGroupName: name,
    Status: refresh.status,
    StatusReason: refresh.reason?.slice(0, 1023),
    StartTime: refresh.startedAt,
    EndTime: refresh.endedAt,
    PercentageComplete: percentage,
    InstancesToUpdate: toUpdate,
    ProgressDetails: WarmPoolProgress && { LivePoolProgress, WarmPoolProgress },
    Preferences: preferences(refresh.rules),
    DesiredConfiguration: refresh.desired,
    RollbackDetails: rollback === undefined ? undefined : RollbackDetails,
    Strategy: 'Rolling',
  };
}
