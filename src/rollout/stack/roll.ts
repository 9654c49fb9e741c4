import { RejectedError, TimeoutError } from '../../kit/errors.ts';
import { throwIfRefused } from '../plan.ts';
import { throwIfReplaced } from '../pointer.ts';
import type { GroupResult } from '../roll-group.ts';
import { type GroupRollouts, type RegionRollout, wasBegun } from '../roll-groups.ts';
import type { RegionPlan } from '../rollout-spec.ts';
import { haltOthers } from '../rollout-state.ts';
import { groupsOf, type StackPlan } from '../rules/stack.ts';
import { formatChange, sameChanges } from '../rules/stack-changes.ts';
import { waitUntilSteady } from '../steady-state.ts';
import { revertFailed } from '../undo.ts';
import { cancelOurs, execute, type StackUpdate } from './execute.ts';
import { createChangeSet, groupsOfStack, planStack } from './plan.ts';
import { revertStack } from './revert.ts';
import { waitUntilSettled, watchUpdate } from './watch.ts';

/** Updates a stack to the image, and proves its instances, or leads back through the previous value of the parameter. */
export async function rollOutStack(plan: RegionPlan, rollout: RegionRollout): Promise<GroupRollouts> {
  const { deps, aws, roll, image } = plan;
  const update: StackUpdate = { token: undefined, stack: plan.stack as StackPlan };
  const undo = async () => {
    const remaining = await revertStack(update, plan);
    rollout.leftovers.remaining.push(...remaining);
    return remaining;
  };
  const done = (names: readonly string[], moving = false): GroupRollouts => {
    const begun = wasBegun(plan, rollout.open);
    const back = update.token === undefined && !begun ? async () => [] : undo;
    return { groups: results(update.stack, names, image.id, moving), moving, moved: undefined, finish: async () => {}, undo: back };
  };
  try {
    rollout.halt.signal.throwIfAborted();
    if (update.stack.clear !== undefined) update.stack = await deps.report.step('Wait for the stack', () => cleared(update.stack, plan));
    const { stack } = update.stack.facts;
    if (update.stack.action === 'nothing') return done(update.stack.facts.groups.map(({ name }) => name));
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
    const { stack } = update.stack.facts;
    const { name } = stack;
    throw await revertFailed(failure, {
      ...{ onCancel: roll.onCancel, deps, hasStarted: update.token !== undefined, undo },
      confirm: async () => void (await throwIfReplaced(plan, aws)),
      kept: [`the update of stack ${name} is not reverted`],
      active: async () => [`an update of stack ${name} to ${image.id} may be in progress`],
      requestRollback: async () =>
        (await cancelOurs(stack, aws))
          ? { leftovers: [`CloudFormation rolls stack ${name} back`], next: 'Nothing: CloudFormation returns the stack to the old image.' }
          : {
              leftovers: [`the update of stack ${name} ended before it could be cancelled`],
              next: 'Run mode "rollback" with the same stack.',
            },
    });
  }
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
  const { stack, operation } = planned.facts;
  if (planned.action === 'watch') {
    update.token = operation?.token;
    return;
  }
  const name = `ami-action-${image.id}`;
  const changes = await createChangeSet(stack, name, { name: planned.parameter, value: image.id }, deps, aws);
  if (!sameChanges(changes, planned.changes)) {
    await aws.stacks.removeChangeSet(stack.id, name);
    const now = changes.map(formatChange).join(', ') || 'nothing';
    throw new RejectedError(`Stack ${stack.name} changed since the plan: its update would now change ${now}.`, {
      next: 'Run the job again.',
    });
  }
  await throwIfReplaced(plan, aws);
  await execute({ stack, name, imageId: image.id }, update, aws);
}

const results = (planned: StackPlan, names: readonly string[], imageId: string, moving: boolean): readonly GroupResult[] => {
  const before = groupsOf(planned.facts);
  const status = planned.action === 'nothing' ? 'nothing' : moving ? 'InProgress' : 'Successful';
  return before.map(({ group: { name } }, i) => ({
    ...{ group: name, refresh: undefined, shifted: undefined, status, from: planned.before, to: imageId },
    successor: names.includes(name) ? undefined : names[i],
  }));
};
