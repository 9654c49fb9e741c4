import { RejectedError } from '../kit/errors.ts';
import { formatLaunch } from '../model/group.ts';
import { bringUp, takeOver } from './blue-green.ts';
import { newRolloutState, type RolloutDeps, type RolloutOrder, type RolloutPorts, type RolloutState } from './rollout-state.ts';
import type { GroupAction } from './rules/group-action.ts';
import { prepare } from './template-versions.ts';
import { handleRolloutFailure, undo } from './undo.ts';
import { startRefreshes, watch } from './watch-refresh.ts';

/** Brings groups to an image and proves it, or puts everything back and says why. Promote and rollback are the same roll. */

export interface RolloutResult {
  readonly groups: readonly GroupResult[];
  /** true: refreshes were started, and nobody has waited for them. */
  readonly moving: boolean;
  /** Leads the groups back although all went well: something after the roll did not. Tells what is left. */
  undo(): Promise<readonly string[]>;
  /** What is done when the pointer has moved: from there on only forward. */
  finish(): Promise<void>;
}

export interface GroupResult {
  readonly group: string;
  /** Blue-green: the group that comes in its place. */
  readonly successor: string | undefined;
  readonly refresh: string | undefined;
  readonly status: string;
  readonly from: string;
  readonly to: string;
}

export async function rollOut(order: RolloutOrder, deps: RolloutDeps, aws: RolloutPorts): Promise<RolloutResult> {
  const rollout = newRolloutState();
  const concerned = order.plans.filter(({ action }) => action !== 'nothing');
  const done = (moving = false) => ({
    groups: results(order, rollout, moving),
    moving,
    undo: () => undo({ order, rollout, deps, aws }),
    finish: () => takeOver(rollout.successors, { deps, aws }),
  });
  if (concerned.length === 0) return done();
  let held: boolean;
  try {
    await deps.report.step('Prepare the launch templates', () => prepare(order, rollout, deps, aws));
    held = await deps.report.step(`Roll to ${order.image.id}`, () => replaceAll(order, rollout, deps, aws));
  } catch (failure) {
    order.onFailure(failure);
    throw await handleRolloutFailure(failure, { order, rollout, deps, aws });
  }
  return done(held || (!order.wait && rollout.refreshes.size > 0));
}

/** Answers whether it stops here, with two groups side by side. */
async function replaceAll(order: RolloutOrder, rollout: RolloutState, deps: RolloutDeps, aws: RolloutPorts): Promise<boolean> {
  const halted = order.haltReason();
  if (halted !== undefined) throw new RejectedError(halted);
  const moving = order.plans.filter(({ action }) => action === 'refresh' || action === 'watch');
  const deadline = deps.clock.now() + order.timeoutSeconds * 1000;
  for (const wave of order.oneByOne ? moving.map(plan => [plan]) : [moving]) {
    await startRefreshes(wave, rollout, deps, aws);
    if (order.wait) await watch(wave, { order, rollout, deps, aws, deadline });
  }
  const swaps = order.plans.filter(({ action }) => action === 'swap');
  const held = swaps.length > 0 && (await bringUp(swaps, { order, rollout, deps, aws, deadline }));
  if (!held && (order.wait || moving.length === 0)) await changeTemplates(order, rollout, aws);
  return held;
}

/** Last, when the image has proven itself elsewhere: nothing proves it in a group without instances. */
async function changeTemplates({ plans }: RolloutOrder, rollout: RolloutState, { groups }: RolloutPorts): Promise<void> {
  for (const plan of plans.filter(({ action }) => action === 'template')) {
    const { name } = plan.facts.group;
    const target = rollout.targets.get(name);
    if (target === undefined) continue;
    rollout.templated.push(plan);
    await groups.setLaunch(name, target);
  }
}

const results = ({ plans }: RolloutOrder, rollout: RolloutState, moving: boolean): readonly GroupResult[] =>
  plans.map(({ facts: { group }, action, before }) => ({
    group: group.name,
    refresh: rollout.refreshes.get(group.name),
    status: statusOf(action, moving, rollout.successors.get(group.name)),
    successor: rollout.successors.get(group.name),
    from: formatLaunch(before),
    to: formatLaunch(rollout.targets.get(group.name) ?? group.launch),
  }));

function statusOf(action: GroupAction, moving: boolean, successor: string | undefined): string {
  if (successor !== undefined) return moving ? `beside ${successor}` : `replaced by ${successor}`;
  return action === 'refresh' || action === 'watch' ? (moving ? 'InProgress' : 'Successful') : action;
}
