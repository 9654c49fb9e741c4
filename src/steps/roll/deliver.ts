import { candidateName } from '../../domain/pointer.ts';
import type { Powers } from '../../world.ts';
import { announce, withdrawOwn } from './announce.ts';
import { stopped, takeBack } from './left-behind.ts';
import { makeWay } from './make-way.ts';
import { type Moved, movePointer } from './point.ts';
import { type Promotion, type PromotionPorts, planPromotion, throwIfRefused } from './promotion.ts';
import type { RolledGroup, RollOrder } from './roll.ts';
import { proveStanding } from './standing.ts';
import { type Rolls, rollAll, saidAs } from './turns.ts';

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

/** What a failure must tell, wherever it comes from. */
export interface Aside {
  /** What was cleared away for the roll, and stays so. */
  readonly cleared: string[];
  /** What could not be put back. */
  readonly remains: string[];
}

export async function deliver(planned: Promotion, world: DeliverWorld, place: PromotionPorts, around: Around): Promise<Delivered> {
  const { report } = world;
  const { pointer, image } = planned;
  const aside: Aside = { cleared: [], remains: [] };
  let rolled: Rolls;
  try {
    await report.step(`Announce ${image.id} in ${candidateName(pointer.name)}`, () => announce(planned, world, place));
    await around.before();
    const promotion = await cleared(planned, aside, world, place);
    rolled = await rollAll(promotion, { aside, world, place, check: around.check });
  } catch (failure) {
    const undoing = () => around.undo().then(() => withdrawOwn(planned, world, place));
    throw await takeBack(failure, planned, aside, undoing);
  }
  if (rolled.moving) return { rolled: rolled.groups, moved: undefined };
  // If this fails the candidate stays: it tells a rollback where the way back leads.
  await proveStanding(planned, around.check, world, place);
  // From here on only forward: what fails last converges on the next run.
  let { moved } = rolled;
  try {
    moved ??= await report.step(`Move ${pointer.name}`, () => movePointer(planned, world, place));
    await report.step('Finish', rolled.finish);
    await around.after();
    await withdrawOwn(planned, world, place);
  } catch (failure) {
    throw stopped(failure, planned, rolled.groups, moved !== undefined);
  }
  return { rolled: rolled.groups, moved };
}

/** With what stood in the way cleared away, the plan is made again: it may have changed what a group runs. */
async function cleared(planned: Promotion, aside: Aside, world: DeliverWorld, place: PromotionPorts): Promise<Promotion> {
  if (planned.groups.every(({ obstacle }) => obstacle === undefined)) return planned;
  const way = { world, place, timeoutSeconds: planned.roll.rollTimeout, saidAs: saidAs(planned, world), cleared: aside.cleared };
  await world.report.step('Make way', () => makeWay(planned.groups, way));
  const again = await planPromotion(planned, place);
  throwIfRefused(again);
  return again;
}
