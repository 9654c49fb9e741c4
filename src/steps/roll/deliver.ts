import { identity } from '../../domain/image.ts';
import { candidateName } from '../../domain/pointer.ts';
import type { GroupPlan } from '../../domain/roll/plan.ts';
import type { Powers } from '../../world.ts';
import { makeWay } from './make-way.ts';
import { announce, type Moved, movePointer, putBack, withdraw } from './point.ts';
import { type Promotion, type PromotionPorts, planPromotion, throwIfRefused } from './promotion.ts';
import { type RolledGroup, type RollOrder, roll } from './roll.ts';
import { proveStanding } from './standing.ts';
import { isStillMoving, retold } from './undo.ts';

/** Does what was planned: announce, roll, prove, move the pointer; or everything as it was. */

export type DeliverWorld = Pick<Powers<never>, 'clock' | 'report' | 'run'>;

export interface Delivered {
  readonly rolled: readonly RolledGroup[];
  /** Undefined: the roll has begun, and nobody waits for it. */
  readonly moved: Moved | undefined;
}

/** `before`: what must be so before the first group is rolled. `undo`: takes that back when the roll failed. */
export interface Around {
  before(): Promise<void>;
  undo(): Promise<void>;
  after(): Promise<void>;
  /** Why an instance of a group does not do what it must. Undefined: there are no checks. */
  readonly check?: RollOrder['check'];
}

export async function deliver(planned: Promotion, world: DeliverWorld, place: PromotionPorts, around: Around): Promise<Delivered> {
  const { report } = world;
  const { pointer, image } = planned;
  let rolled: Rolls;
  try {
    await report.step(`Announce ${image.id} in ${candidateName(pointer.name)}`, () => announce(planned, world, place));
    await around.before();
    rolled = await rollAll(await cleared(planned, world, place), world, place, around.check);
  } catch (failure) {
    throw await takeBack(failure, planned, place, around);
  }
  if (rolled.moving) return { rolled: rolled.groups, moved: undefined };
  // If this fails the candidate stays: it tells a rollback where the way back leads.
  await proveStanding(planned, around.check, world, place);
  // From here on only forward: what fails last converges on the next run.
  const moved = rolled.moved ?? (await report.step(`Move ${pointer.name}`, () => movePointer(planned, world, place)));
  await report.step('Finish', rolled.finish);
  await around.after();
  await withdraw(pointer, place);
  return { rolled: rolled.groups, moved };
}

/** With what stood in the way cleared away, the plan is made again: it may have changed what a group runs. */
async function cleared(planned: Promotion, world: DeliverWorld, place: PromotionPorts): Promise<Promotion> {
  if (planned.groups.every(({ obstacle }) => obstacle === undefined)) return planned;
  const way = { world, place, timeoutSeconds: planned.roll.rollTimeout, saidAs: saidAs(planned, world) };
  await world.report.step('Make way', () => makeWay(planned.groups, way));
  const again = await planPromotion(planned, place);
  throwIfRefused(again);
  return again;
}

interface Rolls {
  readonly groups: readonly RolledGroup[];
  readonly moving: boolean;
  /** Moved already, because groups read it. */
  readonly moved: Moved | undefined;
  finish(): Promise<void>;
}

/** Groups that name a version come first: until they have proven the image, no group that reads the pointer sees it. */
async function rollAll(promotion: Promotion, world: DeliverWorld, place: PromotionPorts, check: RollOrder['check']): Promise<Rolls> {
  const named = await roll(orderFor(promotion, 'version', { world, restore: nothing, check }), world, place);
  const readers = promotion.groups.filter(({ by, deed }) => by === 'pointer' && deed !== 'nothing');
  if (named.moving || readers.length === 0) return { ...named, moved: undefined };
  let moved: Moved;
  try {
    moved = await world.report.step(`Move ${promotion.pointer.name}, which groups read`, () => movePointer(promotion, world, place));
    const restore = () => world.report.step(`Put ${promotion.pointer.name} back`, () => putBack(promotion, world, place));
    const read = await roll(orderFor(promotion, 'pointer', { world, restore, check }), world, place);
    return { groups: [...named.groups, ...read.groups], moving: read.moving, moved, finish: named.finish };
  } catch (failure) {
    if (isStillMoving(failure)) throw failure;
    throw promotion.roll.undo === 'all' ? retold(failure, { left: await named.undo() }) : failure;
  }
}

const nothing = async (): Promise<readonly string[]> => [];

const orderFor = (
  promotion: Promotion,
  by: GroupPlan['by'],
  { world, restore, check }: { world: DeliverWorld } & Pick<RollOrder, 'restore' | 'check'>,
): RollOrder => ({
  image: promotion.image,
  plans: promotion.groups.filter(plan => plan.by === by),
  timeoutSeconds: promotion.roll.rollTimeout,
  spared: promotion.roll.protectedInstances === 'ignore',
  oneByOne: promotion.roll.order === 'one-by-one',
  hold: promotion.roll.hold,
  bakeSeconds: promotion.roll.bake,
  undo: promotion.roll.undo,
  wait: promotion.roll.wait,
  saidAs: saidAs(promotion, world),
  restore,
  check,
  onCancel: promotion.roll.onCancel,
});

const saidAs = ({ deed, image, scheme }: Promotion, { run }: DeliverWorld): string =>
  `ami-action ${deed} ${image.id}: commit ${identity(image, scheme, 'commit') ?? 'unknown'}, run ${run.url}`;

async function takeBack(failure: unknown, { pointer }: Promotion, place: PromotionPorts, around: Around): Promise<unknown> {
  const candidate = candidateName(pointer.name);
  if (isStillMoving(failure)) return retold(failure, { left: [`${candidate} keeps the image from being pruned until then`] });
  try {
    await around.undo();
    await withdraw(pointer, place);
    return failure;
  } catch (cause) {
    return retold(failure, { left: [`${candidate}: ${cause instanceof Error ? cause.message : String(cause)}`] });
  }
}
