import { CancelledError, type ErrorDetails, RejectedError, TimeoutError } from '../../kit/errors.ts';
import { indeterminate, isInProgress, RESUME } from '../indeterminate.ts';
import { throwIfRefused } from '../plan.ts';
import { movePointer, throwIfReplaced } from '../pointer.ts';
import type { GroupResult } from '../roll-group.ts';
import { type GroupRollouts, type RegionRollout, wasBegun } from '../roll-groups.ts';
import type { RegionPlan } from '../rollout-spec.ts';
import { haltOthers } from '../rollout-state.ts';
import { groupsOf, type StackPlan } from '../rules/stack.ts';
import { formatChange, judgeChanges, sameChanges } from '../rules/stack-changes.ts';
import { waitUntilSteady } from '../steady-state.ts';
import { revertFailed } from '../undo.ts';
import { cancelOurs, execute, type StackUpdate } from './execute.ts';
import { createChangeSet, groupsOfStack, planStack } from './plan.ts';
import { restorePointer, revertStack } from './revert.ts';
import { waitUntilSettled, watchUpdate } from './watch.ts';

/**
 * Updates a stack to the image, and proves its instances, or leads back through the previous value of the parameter. A pointer that the stack reads
 * moves first, and goes back first.
 */
export async function rollOutStack(plan: RegionPlan, rollout: RegionRollout): Promise<GroupRollouts> {
  const { deps, aws, roll, image, operation } = plan;
  const update: StackUpdate = { token: tokenOf(plan.stack as StackPlan), stack: plan.stack as StackPlan };
  const undo = async () => {
    const remaining = await revertStack(update, plan);
    rollout.leftovers.remaining.push(...remaining);
    return remaining;
  };
  const done = (names: readonly string[], moving = false): GroupRollouts => {
    const begun = wasBegun(plan, rollout.open);
    const back = update.token === undefined && update.moved === undefined && !begun ? async () => [] : undo;
    return { groups: results(update.stack, names, image.id, moving), moving, moved: update.moved, finish: async () => {}, undo: back };
  };
  try {
    rollout.halt.signal.throwIfAborted();
    // Back to an image that ran: nothing reads the other one again. A promotion waits first.
    if (operation === 'rollback') await moveFirst(update, plan);
    if (update.stack.clear !== undefined) update.stack = await deps.report.step('Wait for the stack', () => cleared(update.stack, plan));
    const { stack } = update.stack.facts;
    if (update.stack.action === 'nothing') return done(update.stack.facts.groups.map(({ name }) => name));
    await moveFirst(update, plan);
    await deps.report.step(`Update stack ${stack.name} to ${image.id}`, async () => {
      await start(update, plan);
      if (roll.wait) await watchUpdate(stack, { token: update.token ?? '', order: rollout }, plan);
    });
    const names = (await groupsOfStack(stack, aws.groups)).filter(({ desired }) => desired > 0).map(({ name }) => name);
    const what = `Instances of stack ${stack.name}`;
    if (roll.wait) await waitUntilSteady(names, plan, { what, check: rollout.check, bakeSeconds: roll.bake }).catch(notInTime);
    return done(names, !roll.wait);
  } catch (failure) {
    haltOthers({ halt: rollout.halt, region: plan.region }, failure);
    throw await failed(failure, update, plan, rollout, undo);
  }
}

async function failed(
  failure: unknown,
  update: StackUpdate,
  plan: RegionPlan,
  { leftovers }: RegionRollout,
  undo: () => Promise<readonly string[]>,
): Promise<unknown> {
  const { deps, aws, roll, image, operation, pointer } = plan;
  const { clear, facts } = update.stack;
  const { name } = facts.stack;
  // The update that leads away from this image is being ended: nothing may lead there again.
  if (operation === 'rollback' && clear !== undefined && update.moved !== undefined) {
    const line = `${pointer.name} names ${image.id}, and stack ${name} has not returned to it yet`;
    leftovers.remaining.push(line);
    return indeterminate(failure, [line], 'When the stack has ended its update, run mode "rollback" with the same stack again.');
  }
  // AWS may store the value after it was read: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
  if (isInProgress(failure) && update.moving === true && update.moved === undefined)
    return indeterminate(failure, [`${pointer.name} may name ${image.id}, which the instances have not proven`], RESUME);
  const hasMoved = failure instanceof CancelledError && update.moved !== undefined;
  return revertFailed(failure, {
    ...{ onCancel: roll.onCancel, deps, hasStarted: update.token !== undefined || hasMoved, undo },
    confirm: async () => void (await throwIfReplaced(plan, aws)),
    kept: [`the update of stack ${name} is not reverted`],
    active: async () => [
      ...(update.moved === undefined ? [] : [`${pointer.name} names ${image.id}, which the instances have not proven`]),
      update.token === undefined
        ? `stack ${name} has not been updated to ${image.id}`
        : `an update of stack ${name} to ${image.id} may be in progress`,
    ],
    requestRollback: () => requestRollback(update, plan),
  });
}

/** Once, and only where the stack reads it. */
async function moveFirst(update: StackUpdate, plan: RegionPlan): Promise<void> {
  const { deps, aws, pointer } = plan;
  if (update.stack.key === undefined || update.moved !== undefined) return;
  const move = async () => {
    const now = await throwIfReplaced(plan, aws);
    update.moving = true;
    return movePointer(plan, now, deps, aws);
  };
  update.moved = await deps.report.step(`Move ${pointer.name}, which the stack reads`, move);
}

const tokenOf = ({ action, facts }: StackPlan): string | undefined => (action === 'watch' ? facts.operation?.token : undefined);

/** A cancelled job has seconds: both are asked at once, and neither is waited for. */
async function requestRollback(update: StackUpdate, plan: RegionPlan): Promise<ErrorDetails> {
  const { facts, key } = update.stack;
  const { name } = facts.stack;
  const isStarted = update.token !== undefined;
  const [kept, isCancelled] = await Promise.all([
    restorePointer(update, plan, { isReadBack: false }),
    isStarted && cancelOurs(facts.stack, plan.aws),
  ]);
  const line = isCancelled
    ? `CloudFormation rolls stack ${name} back`
    : isStarted
      ? `the update of stack ${name} ended before it could be cancelled`
      : `stack ${name} has not been updated`;
  const back = key !== undefined && kept.length === 0 ? [`${key} was moved back, and was not read again`] : [];
  const isOver = kept.length === 0 && (isCancelled || !isStarted);
  const next = isOver ? 'Nothing: the stack keeps or gets back the old image.' : 'Run mode "rollback" with the same stack.';
  return { leftovers: [...kept, ...back, line], next };
}

/** A complete update does not end by itself: instances that are not healthy in time are a failure. */
const notInTime = (cause: unknown): never => {
  throw cause instanceof TimeoutError ? new RejectedError(cause.message, { cause }) : cause;
};

/** Ends our own update, or waits for the end of the one in progress; then plans again. */
async function cleared({ clear, facts: { stack } }: StackPlan, plan: RegionPlan): Promise<StackPlan> {
  const { deps, aws } = plan;
  if (clear === 'cancel') await cancelOurs(stack, aws);
  await waitUntilSettled(stack, plan);
  const again = await planStack(plan, deps, aws);
  throwIfRefused([{ ...plan, refusals: again.refusals }]);
  return again;
}

async function start(update: StackUpdate, plan: RegionPlan): Promise<void> {
  const { stack: planned } = update;
  const { deps, aws, image } = plan;
  const { stack } = planned.facts;
  update.token = tokenOf(planned);
  if (update.token !== undefined) return;
  const name = `ami-action-${image.id}`;
  const parameter = { name: planned.parameter, value: image.id, key: planned.key };
  const changes = await createChangeSet({ stack, name, parameter }, deps, aws);
  const problem =
    planned.changes.length === 0
      ? unseenProblem(stack.name, judgeChanges(changes, planned.parameter), deps)
      : sameChanges(changes, planned.changes)
        ? undefined
        : `Stack ${stack.name} changed since the plan: its update would now change ${changes.map(formatChange).join(', ') || 'nothing'}.`;
  if (problem !== undefined) {
    await aws.stacks.removeChangeSet(stack.id, name);
    throw new RejectedError(problem, { next: 'Run the job again.' });
  }
  await throwIfReplaced(plan, aws);
  await execute({ stack, name, imageId: image.id }, update, aws);
}

/** Of an update without a preview: an update reads every parameter in Parameter Store again, so it may change more than the groups. */
function unseenProblem(name: string, { refusals, warnings, harmful }: ReturnType<typeof judgeChanges>, { report }: RegionPlan['deps']) {
  for (const warning of warnings) report.warn(`Stack ${name}: ${warning}`);
  if (harmful.length === 0) return refusals[0] && `Stack ${name}: ${refusals[0]}.`;
  return `The update of stack ${name}, which the plan could not show, would also remove or replace ${harmful.map(formatChange).join(', ')}. Update the stack yourself once.`;
}

const results = (planned: StackPlan, names: readonly string[], imageId: string, moving: boolean): readonly GroupResult[] => {
  const before = groupsOf(planned.facts);
  const status = planned.action === 'nothing' ? 'nothing' : moving ? 'InProgress' : 'Successful';
  return before.map(({ group: { name } }, i) => ({
    ...{ group: name, refresh: undefined, shifted: undefined, status, from: planned.before, to: imageId },
    successor: names.includes(name) ? undefined : names[i],
  }));
};
