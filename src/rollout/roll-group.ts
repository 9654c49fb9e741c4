import { RejectedError } from '../kit/errors.ts';
import { formatLaunch } from '../model/group.ts';
import { bringUp, takeOver } from './blue-green.ts';
import { prepare } from './prepare-version.ts';
import { type Deeds, noDeeds, type RollOrder, type RollPorts, type RollWorld } from './rollout-state.ts';
import type { RollDeed } from './rules/group-action.ts';
import { aftermath, undo } from './undo.ts';
import { startRefreshes, watch } from './watch-refresh.ts';

/** Brings groups to an image and proves it, or puts everything back and says why. Promote and rollback are the same roll. */

export interface Rolled {
  readonly groups: readonly RolledGroup[];
  /** true: refreshes were started, and nobody has waited for them. */
  readonly moving: boolean;
  /** Leads the groups back although all went well: something after the roll did not. Tells what is left. */
  undo(): Promise<readonly string[]>;
  /** What is done when the pointer has moved: from there on only forward. */
  finish(): Promise<void>;
}

export interface RolledGroup {
  readonly group: string;
  /** Blue-green: the group that comes in its place. */
  readonly successor: string | undefined;
  readonly refresh: string | undefined;
  readonly status: string;
  readonly from: string;
  readonly to: string;
}

export async function roll(order: RollOrder, deps: RollWorld, aws: RollPorts): Promise<Rolled> {
  const deeds = noDeeds();
  const concerned = order.plans.filter(({ deed }) => deed !== 'nothing');
  const done = (moving = false) => ({
    groups: rolled(order, deeds, moving),
    moving,
    undo: () => undo({ order, deeds, deps, aws }),
    finish: () => takeOver(deeds.successors, { deps, aws }),
  });
  if (concerned.length === 0) return done();
  let held: boolean;
  try {
    await deps.report.step('Prepare the launch templates', () => prepare(order, deeds, deps, aws));
    held = await deps.report.step(`Roll to ${order.image.id}`, () => replaceAll(order, deeds, deps, aws));
  } catch (failure) {
    order.failed(failure);
    throw await aftermath(failure, { order, deeds, deps, aws });
  }
  return done(held || (!order.wait && deeds.refreshes.size > 0));
}

/** Answers whether it stops here, with two groups side by side. */
async function replaceAll(order: RollOrder, deeds: Deeds, deps: RollWorld, aws: RollPorts): Promise<boolean> {
  const halted = order.halted();
  if (halted !== undefined) throw new RejectedError(halted);
  const moving = order.plans.filter(({ deed }) => deed === 'refresh' || deed === 'watch');
  const deadline = deps.clock.now() + order.timeoutSeconds * 1000;
  for (const wave of order.oneByOne ? moving.map(plan => [plan]) : [moving]) {
    await startRefreshes(wave, deeds, deps, aws);
    if (order.wait) await watch(wave, { order, deeds, deps, aws, deadline });
  }
  const swaps = order.plans.filter(({ deed }) => deed === 'swap');
  const held = swaps.length > 0 && (await bringUp(swaps, { order, deeds, deps, aws, deadline }));
  if (!held && (order.wait || moving.length === 0)) await changeTemplates(order, deeds, aws);
  return held;
}

/** Last, when the image has proven itself elsewhere: nothing proves it in a group without instances. */
async function changeTemplates({ plans }: RollOrder, deeds: Deeds, { groups }: RollPorts): Promise<void> {
  for (const plan of plans.filter(({ deed }) => deed === 'template')) {
    const { name } = plan.facts.group;
    const target = deeds.targets.get(name);
    if (target === undefined) continue;
    deeds.templated.push(plan);
    await groups.setLaunch(name, target);
  }
}

const rolled = ({ plans }: RollOrder, deeds: Deeds, moving: boolean): readonly RolledGroup[] =>
  plans.map(({ facts: { group }, deed, before }) => ({
    group: group.name,
    refresh: deeds.refreshes.get(group.name),
    status: statusOf(deed, moving, deeds.successors.get(group.name)),
    successor: deeds.successors.get(group.name),
    from: formatLaunch(before),
    to: formatLaunch(deeds.targets.get(group.name) ?? group.launch),
  }));

function statusOf(deed: RollDeed, moving: boolean, successor: string | undefined): string {
  if (successor !== undefined) return moving ? `beside ${successor}` : `replaced by ${successor}`;
  return deed === 'refresh' || deed === 'watch' ? (moving ? 'InProgress' : 'Successful') : deed;
}
