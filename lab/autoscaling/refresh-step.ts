import { alarmState } from '../cloudwatch/alarms.ts';
import { desiredInstances, isSuspended } from './group.ts';
import { retire } from './health.ts';
import { activeRefresh, pace, quota, reached, rollsOut } from './refresh.ts';
import { endRefresh, failRefresh } from './refresh-end.ts';
import { type Survey, survey, waitingFor } from './refresh-survey.ts';
import type { Group, Recipe, Refresh } from './state.ts';
import { poolIsRenewed, renewPool } from './warm-pool.ts';

/** One step of the group's active refresh, if it has one: updates its state and replaces the next instances. */
export function stepRefresh(group: Group): void {
  const refresh = activeRefresh(group);
  if (refresh === undefined || isSuspended(group, 'InstanceRefresh')) return;
  const now = group.place.core.clock.now();
  refresh.surplus = 0;
  if (refresh.status === 'Pending') Object.assign(refresh, { status: 'InProgress', movedAt: now });
  const alarm = rollsOut(refresh) ? refresh.rules.alarms.find(name => alarmState(group.place, name) === 'ALARM') : undefined;
  if (refresh.status === 'Cancelling') finishCancelling(group, refresh);
  else if (alarm !== undefined) failRefresh(group, refresh, `The CloudWatch alarm ${alarm} is in the ALARM state.`);
  else moveOn(group, refresh, now);
}

function moveOn(group: Group, refresh: Refresh, now: number): void {
  const seen = survey(group, refresh);
  forgetGone(group, refresh);
  note(refresh, seen, now);
  if (isFinished(group, refresh, seen)) finish(group, refresh, now);
  else if (!isPausing(refresh, seen, now)) {
    refresh.reason = waitingFor(seen, group.launchTrouble?.message);
    const { refreshPatience } = group.place.core.timings;
    if (now <= refresh.movedAt + (refreshPatience + refresh.rules.warmupSeconds) * 1000) replace(group, refresh, seen);
    else failRefresh(group, refresh, `The problem persisted for ${refreshPatience} seconds. ${refresh.reason ?? ''}`);
  }
}

function finishCancelling(group: Group, refresh: Refresh): void {
  const moving = [...group.members.values()].some(({ state }) => state === 'Pending' || state === 'Terminating');
  if (!moving || !refresh.waitForTransitions) endRefresh(group, refresh, 'Cancelled', 'Cancelled due to user request.');
}

function forgetGone({ members }: Group, { stale }: Refresh): void {
  for (const id of stale) if (members.get(id) === undefined || members.get(id)?.state === 'Terminating') stale.delete(id);
}

/** Percentages count healthy, warm instances. During a rollback they decrease. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html */
function note(refresh: Refresh, { total, done, unready, replaceable, blocked }: Survey, now: number): void {
  const { rollback } = refresh;
  const undone = rollback === undefined ? 0 : Math.max(0, rollback.total - replaceable.length - blocked.length - unready.length);
  const moved = rollback === undefined ? done : undone;
  if (moved > refresh.best) Object.assign(refresh, { best: moved, movedAt: Math.max(refresh.movedAt, now) });
  if (rollback === undefined) {
    refresh.percentage = total === 0 ? 100 : Math.floor((done * 100) / total);
    refresh.toUpdate = total - done;
  } else {
    const share = rollback.total === 0 ? 1 : undone / rollback.total;
    refresh.percentage = Math.floor((rollback.PercentageCompleteOnRollback ?? 0) * (1 - share));
  }
}

function isFinished(group: Group, refresh: Refresh, { total, goal, replaceable, blocked, unready, complete }: Survey): boolean {
  const liveIsDone = complete && unready.length === 0 && replaceable.length + blocked.length <= total - goal;
  if (!liveIsDone || refresh.status === 'Baking') return liveIsDone;
  // Instances in service go before those in a warm pool.
  renewPool(group, refresh);
  return poolIsRenewed(group, refresh);
}

function finish(group: Group, refresh: Refresh, now: number): void {
  const { rules, waitUntil } = refresh;
  if (refresh.status === 'RollbackInProgress') {
    endRefresh(group, refresh, 'RollbackSuccessful', 'The rollback completed successfully.');
  } else if (refresh.status === 'InProgress' && rules.bakeSeconds > 0) {
    const until = now + rules.bakeSeconds * 1000;
    Object.assign(refresh, { status: 'Baking', waitUntil: until, movedAt: until, reason: `Baking for ${rules.bakeSeconds} seconds.` });
  } else if (refresh.status !== 'Baking' || now >= (waitUntil ?? 0)) {
    if (refresh.desired !== undefined) group.recipe = recipeOf(refresh.desired);
    endRefresh(group, refresh, 'Successful', undefined);
  }
}

const recipeOf = ({ LaunchTemplate, MixedInstancesPolicy }: Recipe): Recipe => ({ LaunchTemplate, MixedInstancesPolicy });

/** At a checkpoint and during the bake time no instance is replaced. */
function isPausing(refresh: Refresh, { total, done }: Survey, now: number): boolean {
  if (refresh.status !== 'InProgress') return refresh.status === 'Baking' && now < (refresh.waitUntil ?? 0);
  const checkpoint = reached(total, done, refresh.rules, refresh.checkpoint);
  if (checkpoint !== undefined) {
    const until = now + refresh.rules.checkpointSeconds * 1000;
    Object.assign(refresh, { checkpoint, waitUntil: until, movedAt: until });
    refresh.reason = `The checkpoint at ${checkpoint}% has been reached. Waiting for ${refresh.rules.checkpointSeconds} seconds before continuing.`;
  }
  return now < (refresh.waitUntil ?? 0);
}

/** Terminates as many instances as the healthy percentages allow, and requests as many new ones. */
function replace(group: Group, refresh: Refresh, { total, replaceable, blocked, serving }: Survey): void {
  if (refresh.status === 'Baking' || isSuspended(group, 'Terminate')) return;
  const rollsBack = refresh.status === 'RollbackInProgress';
  const { atLeast, atMost } = pace(desiredInstances(group), refresh.rules);
  const until = rollsBack ? total : quota(total, refresh.rules, refresh.checkpoint);
  let quotaLeft = replaceable.length + blocked.length - (total - until);
  let spare = serving - atLeast;
  for (const member of replaceable) {
    const serves = member.state === 'InService' && member.health === 'Healthy';
    if (quotaLeft <= 0 || (serves && spare <= 0)) continue;
    if (serves) spare -= 1;
    quotaLeft -= 1;
    refresh.stale.delete(member.id);
    retire(group, member, `an instance was taken out of service in response to an instance refresh${rollsBack ? ' rollback' : ''}.`);
  }
  const waiting = replaceable.filter(({ id, state }) => refresh.stale.has(id) && state !== 'Standby').length;
  refresh.surplus = Math.max(0, Math.min(atMost - desiredInstances(group), quotaLeft, waiting));
}
