import { ActionError, CancelledError, type ErrorDetails, withDetails } from '../kit/errors.ts';
import { formatLaunch } from '../model/group.ts';
import { drop } from './blue-green.ts';
import { indeterminate, isInProgress, RESUME, ROLL_BACK_THE_REST } from './indeterminate.ts';
import { earlierGroups, revertEarlierGroup, revertGroup } from './revert-group.ts';
import type { FailedRollout, RolloutOrder } from './rollout-state.ts';
import { isEmptied } from './rules/group-pair.ts';
import { removeVersions } from './template-versions.ts';

/** Puts back what the roll had done so far, and tells the failure with what is left. */
export async function handleRolloutFailure(failure: unknown, failed: FailedRollout): Promise<unknown> {
  const { rollout, deps, order } = failed;
  const [begun, beside] = [rollout.refreshes.size > 0, [...rollout.successors]];
  if (failure instanceof CancelledError && order.onCancel === 'rollback' && (begun || beside.length > 0)) {
    return withDetails(failure, await rollBackAndGo(failed));
  }
  if (isInProgress(failure) && (begun || beside.length > 0)) {
    const left = [
      ...[...rollout.refreshes].map(goesOn),
      ...beside.map(pair => alone(pair, order) ?? `${pair[1]} stays beside ${pair[0]}, which still serves`),
    ];
    return indeterminate(failure, left, RESUME);
  }
  const left = await deps.report.step('Put everything back', () => undo(failed));
  // A bug tells of itself only.
  if (!(failure instanceof ActionError)) for (const line of left) deps.report.warn(`Left behind: ${line}`);
  return withDetails(failure, { leftovers: left.length === 0 ? ['nothing: every group launches and runs what it did before'] : left });
}

const goesOn = ([group, id]: readonly [string, string | undefined]): string =>
  id === undefined
    ? `a refresh of ${group} was asked for and nobody answered: it may go on by itself`
    : `refresh ${id} of ${group} goes on by itself`;

/** Its old group was emptied by a run before this one: without it nothing would serve. */
const alone = ([old, successor]: readonly [string, string], { plans }: RolloutOrder): string | undefined =>
  plans.some(({ facts: { group } }) => group.name === old && isEmptied(group))
    ? `${successor} stays: ${old} was emptied for it already`
    : undefined;

/** A cancelled job has seconds: each refresh is asked once to go back, and nobody waits. */
async function rollBackAndGo({ order, rollout, aws }: FailedRollout): Promise<ErrorDetails> {
  const said = {
    started: 'is being rolled back by AWS',
    over: 'had ended before it could be rolled back',
    impossible: 'cannot be rolled back by AWS, and goes on',
  };
  const reason = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
  const gone = [...rollout.successors].map(async ([old, successor]) => {
    const stays = alone([old, successor], order);
    if (stays !== undefined) return { ok: false, line: stays };
    return aws.groups.remove(successor).then(
      () => ({ ok: true, line: `${successor} is being removed` }),
      cause => ({ ok: false, line: `${successor} stays: ${reason(cause)}` }),
    );
  });
  const back = [...rollout.refreshes].map(async ([group, id]) => {
    const refresh = `refresh ${id ?? 'that was asked for'} of ${group}`;
    return aws.groups.rollBack(group).then(
      how => ({ ok: how === 'started', line: `${refresh} ${said[how]}` }),
      cause => ({ ok: false, line: `${refresh} goes on: ${reason(cause)}` }),
    );
  });
  const ends = await Promise.all([...gone, ...back]);
  const next = ends.every(({ ok }) => ok) ? 'Nothing: AWS brings the old image back by itself.' : ROLL_BACK_THE_REST;
  return { leftovers: ends.map(({ line }) => line), next };
}

/** Best effort, each part by itself: what could not be put back is told, and noted in the order. */
export async function undo(failed: FailedRollout): Promise<readonly string[]> {
  const { rollout, aws, order } = failed;
  const remaining = [...(await collectFailure(() => order.restore(), 'the pointer could not be put back'))];
  for (const pair of rollout.successors) {
    const [old, successor] = pair;
    const stays = alone(pair, order);
    if (stays !== undefined) {
      remaining.push(stays);
      continue;
    }
    const away = () => drop(successor, failed).then(() => void rollout.successors.delete(old));
    remaining.push(...(await collectFailure(() => away().then(nothing), `${successor} stays beside ${old}`)));
  }
  for (const { facts, before } of rollout.templated) {
    const { name } = facts.group;
    const back = () => aws.groups.setLaunch(name, before).then(nothing);
    remaining.push(...(await collectFailure(back, `${name} still launches the new template version`)));
  }
  remaining.push(...(await groupsBack(failed)));
  order.remaining.push(...remaining);
  const pinned = order.plans
    .filter(({ mustPin }) => mustPin)
    .map(
      ({ facts: { group }, before }) =>
        `${group.name} stays pinned to ${formatLaunch(before)}, which is what ${formatLaunch(group.launch)} meant`,
    );
  return [...remaining, ...(await collectFailure(() => removeVersions(failed), 'template versions that were made stay')), ...pinned];
}

/** All that have moved, now or by an earlier run; by setting only those that failed. */
async function groupsBack(failed: FailedRollout): Promise<readonly string[]> {
  const { rollout, order } = failed;
  const moved = order.plans.filter(({ facts }) => rollout.refreshes.has(facts.group.name));
  const all = order.undo === 'all' || rollout.failed.size === 0;
  const back = moved.filter(({ facts }) => all || rollout.failed.has(facts.group.name));
  const earlier = earlierGroups(failed);
  const said = await Promise.all([
    ...back.map(plan => collectFailure(() => revertGroup(plan, failed), `${plan.facts.group.name} could not be rolled back`)),
    ...(all ? earlier : []).map(plan =>
      collectFailure(
        () => revertEarlierGroup(plan, failed),
        `${plan.facts.group.name} runs ${order.image.id} since an earlier run and could not be led back`,
      ),
    ),
  ]);
  const stay = [...moved.filter(plan => !back.includes(plan)), ...(all ? [] : earlier)];
  return [...stay.map(({ facts }) => `${facts.group.name} runs ${order.image.id}`), ...said.flat()];
}

const nothing = (): readonly string[] => [];

export async function collectFailure(work: () => Promise<readonly string[]>, otherwise: string): Promise<readonly string[]> {
  try {
    return await work();
  } catch (cause) {
    return [`${otherwise}: ${cause instanceof Error ? cause.message : String(cause)}`];
  }
}
