import { ActionError, CancelledError, type ErrorDetails, withDetails } from '../kit/errors.ts';
import { formatLaunch } from '../model/group.ts';
import { type Compensations, collectFailure, compensations, messageOf } from './compensations.ts';
import { removeGreenGroup, startRemoval } from './green-group.ts';
import { indeterminate, isInProgress, RESUME, ROLL_BACK_THE_REST } from './indeterminate.ts';
import { releaseReverted, removeConverted } from './launch-configuration/release.ts';
import { isReplaced, orReplaced } from './pointer.ts';
import { earlierGroups, revertEarlierGroup, revertGroup } from './revert-group.ts';
import type { FailedRollout, RolloutDeps, RolloutOrder } from './rollout-state.ts';
import { isEmptied, launcherOf } from './rules/group-pair.ts';
import { restoreTraffic } from './shift/traffic.ts';
import { removeVersions } from './template-versions.ts';

/** Reverts what the rollout has done so far. Returns the failure with what could not be reverted. */
export function handleRolloutFailure(failure: unknown, failed: FailedRollout): Promise<unknown> {
  const { rollout, deps, order } = failed;
  const successors = [...rollout.successors];
  return revertFailed(failure, {
    ...{ onCancel: order.onCancel, deps, hasStarted: rollout.refreshes.size > 0 || successors.length > 0 },
    kept: [...rollout.refreshes].map(formatRefresh),
    active: async () => [
      ...(await restoreAll(failed)),
      ...[...rollout.refreshes].map(formatActive),
      ...successors.map(pair => servesAlone(pair, order) ?? `${pair[1]} exists next to ${pair[0]}, which still serves`),
    ],
    confirm: order.confirm,
    requestRollback: () => requestRollback(failed),
    undo: () => undo(failed),
  });
}

/** What a failed rollout has done so far, and how it is undone. */
interface Started {
  readonly onCancel: RolloutOrder['onCancel'];
  readonly deps: RolloutDeps;
  readonly hasStarted: boolean;
  /** What stays because another run took over. */
  readonly kept: readonly string[];
  /** What goes on unwatched. */
  active(): Promise<readonly string[]>;
  /** Throws where another run took over the environment. */
  confirm(): Promise<void>;
  /** For a cancelled job, which has seconds. */
  requestRollback(): Promise<ErrorDetails>;
  /** Returns what could not be reverted. */
  undo(): Promise<readonly string[]>;
}

export async function revertFailed(cause: unknown, { onCancel, deps, hasStarted, ...started }: Started): Promise<unknown> {
  const failure = isInProgress(cause) || isReplaced(cause) ? cause : await orReplaced(cause, started.confirm);
  if (isReplaced(failure)) return withDetails(failure, { leftovers: started.kept });
  if (failure instanceof CancelledError && onCancel === 'rollback' && hasStarted)
    return withDetails(failure, await started.requestRollback());
  if (isInProgress(failure) && hasStarted) return indeterminate(failure, await started.active(), RESUME);
  const remaining = await deps.report.step('Revert', started.undo);
  // A bug carries no leftovers.
  if (!(failure instanceof ActionError)) for (const line of remaining) deps.report.warn(`Not reverted: ${line}`);
  return withDetails(failure, {
    leftovers: remaining.length === 0 ? ['Reverted: every group launches and runs what it did before'] : remaining,
  });
}

/** The run that took over found it, or replaces what it did. */
const formatRefresh = ([group, id]: readonly [string, string | undefined]): string => `refresh ${id} of ${group} is not reverted`;

const formatActive = ([group, id]: readonly [string, string | undefined]): string =>
  id === undefined
    ? `a refresh of ${group} was requested without an answer: it may be in progress`
    : `refresh ${id} of ${group} is in progress`;

/** Traffic of a rollout that this run no longer watches goes back to the old group, best effort. Returns what could not be. */
async function restoreAll({ rollout, order, deps, aws }: FailedRollout): Promise<readonly string[]> {
  const isShifted = (old: string) => order.plans.some(({ facts, shift }) => facts.group.name === old && shift !== undefined);
  const pairs = [...rollout.successors].filter(pair => isShifted(pair[0]) && servesAlone(pair, order) === undefined);
  const restore = async ([old, successor]: readonly [string, string]) => {
    const groups = await aws.groups.find({ names: [old, successor] });
    const [oldGroup, green] = [old, successor].map(name => groups.find(group => group.name === name));
    if (green !== undefined) await restoreTraffic(green, oldGroup, { deps, aws });
  };
  const lines = pairs.map(pair =>
    collectFailure(
      () => restore(pair),
      `${pair[1]} still gets ${rollout.shifted.has(pair[0]) ? `${rollout.shifted.get(pair[0])} %` : 'a part'} of the traffic`,
    ),
  );
  return (await Promise.all(lines)).flat();
}

/** An earlier run emptied its old group: without it nothing would serve. */
const servesAlone = ([old, successor]: readonly [string, string], { plans }: RolloutOrder): string | undefined =>
  plans.some(({ facts: { group } }) => group.name === old && isEmptied(group))
    ? `${successor} stays, because ${old} is already emptied`
    : undefined;

const ROLLBACK_RESULTS = {
  started: 'is being rolled back by AWS',
  over: 'ended before it could be rolled back',
  impossible: 'cannot be rolled back by AWS and goes on',
};

/** A cancelled job has seconds: each refresh is asked once to roll back, without waiting. */
async function requestRollback(failed: FailedRollout): Promise<ErrorDetails> {
  const { order, rollout, aws } = failed;
  const removals = [...rollout.successors].map(async ([old, successor]) => {
    const stays = servesAlone([old, successor], order);
    if (stays !== undefined) return { ok: false, line: stays };
    return startRemoval({ old, successor }, failed).catch(cause => ({ ok: false, line: `${successor} stays: ${messageOf(cause)}` }));
  });
  const rollbacks = [...rollout.refreshes].map(async ([group, id]) => {
    const refresh = id === undefined ? `the requested refresh of ${group}` : `refresh ${id} of ${group}`;
    return aws.groups.rollBack(group).then(
      result => ({ ok: result === 'started', line: `${refresh} ${ROLLBACK_RESULTS[result]}` }),
      cause => ({ ok: false, line: `${refresh} goes on: ${messageOf(cause)}` }),
    );
  });
  const results = await Promise.all([...removals, ...rollbacks]);
  const next = results.every(({ ok }) => ok) ? 'Nothing: AWS returns the groups to the old image.' : ROLL_BACK_THE_REST;
  return { leftovers: results.map(({ line }) => line), next };
}

/** Best effort: the pointer first, because groups launch what it names. Returns what could not be reverted, and adds it to the order. */
export async function undo(failed: FailedRollout): Promise<readonly string[]> {
  const { rollout, aws, order } = failed;
  const stack = compensations();
  const kept = addGroups(stack.child(), failed);
  for (const { facts, before, by } of rollout.templated) {
    const { name } = facts.group;
    const what = by === 'configuration' ? 'launch configuration' : 'template version';
    stack.add(`${name} still launches the new ${what}`, () => aws.groups.setLaunch(name, before));
  }
  for (const pair of [...rollout.successors].reverse()) {
    const [old, successor] = pair;
    const stays = servesAlone(pair, order);
    const plan = order.plans.find(({ facts }) => facts.group.name === old);
    const remove = async () => {
      await removeGreenGroup({ old, successor }, failed);
      if (plan?.facts.idle !== undefined) await aws.groups.setLaunch(successor, plan.before);
      rollout.successors.delete(old);
    };
    stack.add(`${successor} exists next to ${old}`, stays === undefined ? remove : async () => [stays]);
  }
  stack.add('the pointer could not be moved back', () => order.restore());
  const remaining = [...(await stack.run()), ...kept];
  order.remaining.push(...remaining);
  const pinned = order.plans
    .filter(({ mustPin }) => mustPin)
    .map(
      ({ facts, before }) =>
        `${launcherOf(facts).name} stays pinned to ${formatLaunch(before)}, which was ${formatLaunch(launcherOf(facts).launch)}`,
    );
  return [
    ...remaining,
    ...(await collectFailure(() => removeVersions(failed), 'created template versions could not be deleted')),
    ...(await collectFailure(() => removeConverted(failed), 'created launch templates could not be deleted')),
    ...(await collectFailure(() => releaseReverted(failed), 'created launch configurations could not be deleted')),
    ...pinned,
  ];
}

/** All groups that this or an earlier run has rolled out; with `undo: failed` only those that failed. Returns the others, which keep the image. */
function addGroups(stack: Compensations, failed: FailedRollout): readonly string[] {
  const { rollout, order } = failed;
  const { id } = order.image;
  const moved = order.plans.filter(({ facts }) => rollout.refreshes.has(facts.group.name));
  const all = order.undo === 'all' || rollout.failed.size === 0;
  const reverted = moved.filter(({ facts }) => all || rollout.failed.has(facts.group.name));
  const earlier = earlierGroups(failed);
  for (const plan of reverted) stack.add(`${plan.facts.group.name} could not be rolled back`, () => revertGroup(plan, failed));
  for (const plan of all ? earlier : []) {
    const label = `${plan.facts.group.name} runs ${id} since an earlier run and could not be rolled back`;
    stack.add(label, () => revertEarlierGroup(plan, failed));
  }
  const kept = [...moved.filter(plan => !reverted.includes(plan)), ...(all ? [] : earlier)];
  return kept.map(({ facts }) => `${facts.group.name} runs ${id}`);
}
