import { withDetails } from '../kit/errors.ts';
import { candidateName } from '../model/pointer.ts';
import { announce, withdrawOwn } from './announce.ts';
import { makeWay } from './clear-blockers.ts';
import { type Aside, stopped, takeBack } from './leftovers.ts';
import { moveAll, type RolledPart } from './move-pointers.ts';
import { isThere, planPromotion, throwIfRefused } from './plan.ts';
import type { Moved } from './pointer.ts';
import { inTurn, type Part } from './region-plans.ts';
import type { RolledGroup } from './roll-group.ts';
import { type Rolls, saidAs } from './roll-groups.ts';
import { type Check, rollEverywhere, standing } from './roll-regions.ts';
import type { RollWorld } from './rollout-state.ts';
import { proveStanding } from './steady-state.ts';

/** Does what was planned: announce, roll, prove, move the pointer; or everything as it was. */

/** What became of one region. */
export interface Delivered {
  readonly region: string;
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
  readonly check?: Check | undefined;
}

export async function deliver(parts: readonly Part[], deps: RollWorld, around: Around): Promise<readonly Delivered[]> {
  const aside: Aside = { cleared: [], remains: [] };
  let rolled: readonly Rolls[];
  try {
    await inTurn(parts.filter(takesPart), announced);
    await around.before();
    const ready = await inTurn(parts, part => cleared(part, aside));
    rolled = await rollEverywhere(ready, { deps, aside, check: around.check });
  } catch (failure) {
    const undoing = async () => {
      await around.undo();
      await withdrawn(parts);
    };
    const promotions = parts.map(({ promotion }) => promotion);
    throw await takeBack(failure, promotions, aside, undoing);
  }
  const ended = parts.map((part, i) => ({ ...part, rolls: rolled[i] as Rolls, moved: rolled[i]?.moved, crossed: false }));
  const told = () => ended.map(({ region, rolls, moved }) => ({ region, rolled: rolls.groups, moved }));
  if (rolled.some(({ moving }) => moving)) return told().map(each => ({ ...each, moved: undefined }));
  // If this fails the candidate stays: it tells a rollback where the way back leads.
  await proveAll(ended, around);
  await settle(ended, around);
  return told();
}

/** Nobody has waited for it everywhere. */
export const isMoving = (ended: readonly Delivered[]): boolean => ended.some(({ moved }) => moved === undefined);

/** As outputs tell it. */
export const refreshesOf = (ended: readonly Delivered[]) =>
  ended.flatMap(({ region, rolled }) => rolled.map(group => ({ region, ...group })));

async function proveAll(parts: readonly RolledPart[], { check }: Around): Promise<void> {
  try {
    await inTurn(parts, ({ promotion, region, deps, aws }) => proveStanding(promotion, check?.(region), deps, aws));
  } catch (failure) {
    if (parts.length === 1) throw failure;
    const rolled = parts.map(part => ({ part, groups: part.rolls.groups.filter(({ status }) => status !== 'nothing') }));
    throw withDetails(failure, { leftovers: standing(rolled) });
  }
}

/** From here on only forward: what fails last converges on the next run. */
async function settle(parts: readonly RolledPart[], around: Around): Promise<void> {
  try {
    await moveAll(parts);
    await inTurn(parts, ({ rolls, deps }) => deps.report.step('Finish', rolls.finish));
    await around.after();
    await withdrawn(parts);
  } catch (failure) {
    throw stopped(
      failure,
      parts.map(part => ({ ...part, groups: part.rolls.groups, moved: part.moved !== undefined })),
    );
  }
}

/** One that runs the image since long is not begun by this: it must not look so to the next run, which would take it back. */
const takesPart = ({ several, promotion }: Part): boolean => !several || promotion.pointer.candidate !== undefined || !isThere(promotion);

const announced = ({ promotion, deps, aws }: Part): Promise<void> =>
  deps.report.step(`Announce ${promotion.image.id} in ${candidateName(promotion.pointer.name)}`, () => announce(promotion, deps, aws));

/** Home last: what it announced decides where a rollback goes on that was lost half way. */
const withdrawn = (parts: readonly Part[]) =>
  inTurn(parts.filter(takesPart).reverse(), ({ promotion, deps, aws }) => withdrawOwn(promotion, deps, aws));

/** With what stood in the way cleared away, the plan is made again: it may have changed what a group runs. */
async function cleared<P extends Part>(part: P, aside: Aside): Promise<P> {
  const { promotion, deps, aws, region, several } = part;
  if (promotion.groups.every(({ obstacle }) => obstacle === undefined)) return part;
  const own: string[] = [];
  const way = { deps, aws, timeoutSeconds: promotion.roll.rollTimeout, saidAs: saidAs(promotion, deps), cleared: own };
  await deps.report
    .step('Make way', () => makeWay(promotion.groups, way))
    .finally(() => aside.cleared.push(...own.map(line => (several ? `${region}: ${line}` : line))));
  const again = { ...part, promotion: await planPromotion(promotion, aws) };
  throwIfRefused([again]);
  return again;
}
