import { formatLaunch } from '../model/group.ts';
import { startGreenGroups } from './blue-green.ts';
import { haltOthers, newRolloutState, type RolloutDeps, type RolloutOrder, type RolloutPorts, type RolloutState } from './rollout-state.ts';
import type { GroupAction } from './rules/group-action.ts';
import { releaseAll, takeOver } from './take-over.ts';
import { prepare } from './template-versions.ts';
import { handleRolloutFailure, undo } from './undo.ts';
import { startRefreshes, watch } from './watch-refresh.ts';

/** Rolls groups out to an image and verifies it, or reverts them. Promote and rollback are the same rollout. */

export interface RolloutResult {
  readonly groups: readonly GroupResult[];
  /** Refreshes were started and not waited for, or both groups of a pair stay. */
  readonly moving: boolean;
  /** Reverts the groups because a later step failed. Returns what could not be reverted. */
  undo(): Promise<readonly string[]>;
  /** Runs after the pointer has moved: it cannot be undone. */
  finish(): Promise<void>;
}

export interface GroupResult {
  readonly group: string;
  /** Blue-green: the group that replaces it. */
  readonly successor: string | undefined;
  /** With weights: percent of the traffic that the successor got. */
  readonly shifted: number | undefined;
  readonly refresh: string | undefined;
  readonly status: string;
  readonly from: string;
  readonly to: string;
}

export async function rollOut(order: RolloutOrder, deps: RolloutDeps, aws: RolloutPorts): Promise<RolloutResult> {
  const rollout = newRolloutState();
  const done = (moving = false) => ({
    groups: results(order, rollout, moving),
    moving,
    undo: () => undo({ order, rollout, deps, aws }),
    finish: async () => {
      await takeOver(rollout.successors, { deps, aws, confirm: order.confirm });
      const others = order.plans.filter(({ action }) => action !== 'swap');
      await releaseAll(others, { aws });
    },
  });
  if (order.plans.every(({ action }) => action === 'nothing')) return done();
  let held: boolean;
  try {
    await deps.report.step('Prepare the launch templates', () => prepare(order, rollout, deps, aws));
    held = await deps.report.step(`Roll out ${order.image.id}`, () => replaceAll(order, rollout, deps, aws));
  } catch (failure) {
    haltOthers(order, failure);
    throw await handleRolloutFailure(failure, { order, rollout, deps, aws });
  }
  return done(held || (!order.wait && rollout.refreshes.size > 0));
}

/** Returns whether the rollout stops here, with both groups of a pair. */
async function replaceAll(order: RolloutOrder, rollout: RolloutState, deps: RolloutDeps, aws: RolloutPorts): Promise<boolean> {
  order.halt.signal.throwIfAborted();
  const moving = order.plans.filter(({ action }) => action === 'refresh' || action === 'watch');
  const deadline = deps.clock.now() + order.timeoutSeconds * 1000;
  for (const phase of order.oneByOne ? moving.map(plan => [plan]) : [moving]) {
    if (phase.length > 0) await order.confirm();
    await startRefreshes(phase, rollout, deps, aws);
    if (order.wait) await watch(phase, { order, rollout, deps, aws, deadline });
  }
  const swaps = order.plans.filter(({ action }) => action === 'swap');
  if (swaps.length > 0) await order.confirm();
  const held = swaps.length > 0 && (await startGreenGroups(swaps, { order, rollout, deps, aws, deadline }));
  if (!held && (order.wait || moving.length === 0)) await changeTemplates(order, rollout, aws);
  return held;
}

/** Last, because a group without instances cannot show that the image works. */
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
    shifted: rollout.shifted.get(group.name),
    from: formatLaunch(before),
    to: formatLaunch(rollout.targets.get(group.name) ?? group.launch),
  }));

function statusOf(action: GroupAction, moving: boolean, successor: string | undefined): string {
  if (successor !== undefined) return moving ? `next to ${successor}` : `replaced by ${successor}`;
  return action === 'refresh' || action === 'watch' ? (moving ? 'InProgress' : 'Successful') : action;
}
