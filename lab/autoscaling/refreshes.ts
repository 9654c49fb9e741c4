import { randomUUID } from 'node:crypto';
import type {
  CancelInstanceRefreshCommandInput,
  CancelInstanceRefreshCommandOutput,
  DescribeInstanceRefreshesCommandInput,
  DescribeInstanceRefreshesCommandOutput,
  RollbackInstanceRefreshCommandInput,
  RollbackInstanceRefreshCommandOutput,
  StartInstanceRefreshCommandInput,
  StartInstanceRefreshCommandOutput,
} from '@aws-sdk/client-auto-scaling';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { desiredInstances, groupNamed, invalid, isLeaving } from './group.ts';
import { checkRecipe, completeRecipe } from './group-settings.ts';
import { matches } from './launch.ts';
import { records } from './records.ts';
import { activeRefresh, describedRefresh, rollsOut } from './refresh.ts';
import { rollbackBlocker, startRollback } from './refresh-end.ts';
import { checkAlarms, checkStart, choosesByRequirements, rulesOf } from './refresh-rules.ts';
import type { Group, Recipe, Refresh } from './state.ts';
import { poolProgress } from './warm-pool.ts';

/** There is no client token: a second call is refused, even if it is equal to the first. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html */
const startInstanceRefresh: Operation<StartInstanceRefreshCommandInput, StartInstanceRefreshCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  checkStart(input);
  const rules = rulesOf(group, input.Preferences ?? {});
  const desired = input.DesiredConfiguration && completeRecipe(place, input.DesiredConfiguration);
  if (desired !== undefined) checkRecipe(place, desired);
  checkAgainstGroup(group, desired, rules);
  checkAlarms(place, rules.alarms);
  if (activeRefresh(group) !== undefined)
    throw new AwsError(
      'InstanceRefreshInProgress',
      'An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.',
    );
  const present = [...group.members.values()].filter(member => !isLeaving(member));
  const excluded = present.filter(member => rules.skipMatching && matches(place, member, desired ?? group.recipe)).map(({ id }) => id);
  const known = new Set(present.map(({ id }) => id));
  const refresh: Refresh = {
    ...{ id: randomUUID(), status: 'Pending', reason: undefined, startedAt: place.core.clock.date(), endedAt: undefined, rules, desired },
    ...{ stale: new Set([...known].filter(id => !excluded.includes(id))), excluded: new Set(excluded), known },
    ...{ surplus: 0, checkpoint: 0, waitUntil: undefined, movedAt: place.core.clock.now(), best: 0 },
    ...{ percentage: 0, toUpdate: Math.max(0, desiredInstances(group) - excluded.length), rollback: undefined, waitForTransitions: true },
  };
  group.refreshes.unshift(refresh);
  return { InstanceRefreshId: refresh.id };
};

function checkAgainstGroup(group: Group, desired: Recipe | undefined, { skipMatching, autoRollback }: Refresh['rules']): void {
  const reason = autoRollback ? rollbackBlocker(group.place, group.recipe) : undefined;
  // The refusal is documented, its wording is not.
  if (reason !== undefined) throw invalid(`The request isn't valid. The AutoRollback parameter cannot be set to true because ${reason}.`);
  if (skipMatching && desired === undefined && group.recipe.LaunchConfigurationName !== undefined)
    throw invalid('Skip matching is not supported for a launch configuration. Specify a launch template in the desired configuration.');
  if ((desired !== undefined || skipMatching) && choosesByRequirements(desired ?? group.recipe))
    throw invalid('DesiredConfiguration and SkipMatching are not supported for groups with instance requirements.');
}

function noneActive(name: string): AwsError {
  return new AwsError('ActiveInstanceRefreshNotFound', `No in progress or pending Instance Refresh found for Auto Scaling group ${name}`);
}

/** Works for a rollback too. Replaced instances stay replaced. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CancelInstanceRefresh.html */
const cancelInstanceRefresh: Operation<CancelInstanceRefreshCommandInput, CancelInstanceRefreshCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const refresh = activeRefresh(group);
  if (refresh === undefined || refresh.status === 'Cancelling') throw noneActive(group.name);
  refresh.status = 'Cancelling';
  refresh.reason = 'Replacing instances before cancelling.';
  refresh.waitForTransitions = input.WaitForTransitioningInstances ?? true;
  return { InstanceRefreshId: refresh.id };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RollbackInstanceRefresh.html */
const rollbackInstanceRefresh: Operation<RollbackInstanceRefreshCommandInput, RollbackInstanceRefreshCommandOutput> = (
  input,
  { place },
) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const refresh = activeRefresh(group);
  if (refresh === undefined || !rollsOut(refresh)) throw noneActive(group.name);
  const reason = refresh.desired === undefined ? 'no desired configuration was specified' : rollbackBlocker(place, group.recipe);
  if (reason !== undefined)
    throw new AwsError('IrreversibleInstanceRefresh', `The instance refresh can't be rolled back because ${reason}.`);
  startRollback(group, refresh, 'A manual rollback was initiated by a user request.');
  return { InstanceRefreshId: refresh.id };
};

const SIX_WEEKS = 42 * 24 * 60 * 60 * 1000;

/** Newest first, of the last six weeks. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeInstanceRefreshes.html */
const describeInstanceRefreshes: Operation<DescribeInstanceRefreshesCommandInput, DescribeInstanceRefreshesCommandOutput> = (
  input,
  { place },
) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const { InstanceRefreshIds: ids = [] } = input;
  const found = group.refreshes
    .map((refresh, index) => ({ refresh, age: String(index).padStart(9, '0') }))
    .filter(({ refresh: { id } }) => ids.length === 0 || ids.includes(id))
    .filter(({ refresh: { startedAt } }) => place.core.clock.now() - startedAt.getTime() < SIX_WEEKS);
  const { items, NextToken } = records(place, found, ({ age }) => age, input);
  const warm = (refresh: Refresh) => (group.warmPool === undefined ? undefined : poolProgress(group, refresh));
  return { InstanceRefreshes: items.map(({ refresh }) => describedRefresh(group, refresh, warm(refresh))), NextToken };
};

export const refreshOperations: Operations = {
  CancelInstanceRefresh: cancelInstanceRefresh,
  DescribeInstanceRefreshes: describeInstanceRefreshes,
  RollbackInstanceRefresh: rollbackInstanceRefresh,
  StartInstanceRefresh: startInstanceRefresh,
};
