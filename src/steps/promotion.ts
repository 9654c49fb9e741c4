import { type Admission, imageRefusals, pointerRefusals } from '../domain/admission.ts';
import { type Image, identity } from '../domain/image.ts';
import { candidateName, type Deed } from '../domain/pointer.ts';
import { preferencesOf } from '../domain/preferences.ts';
import { type GroupPlan, planGroup } from '../domain/roll-plan.ts';
import { RejectedError } from '../kit/errors.ts';
import type { Place, Powers } from '../world.ts';
import { announce, type Moved, movePointer, type PointerNow, withdraw } from './point.ts';
import { type Rolled, roll } from './roll.ts';
import { type FactPorts, readGroups } from './roll-facts.ts';
import type { RollWanted } from './roll-settings.ts';
import { isStillMoving, retold } from './roll-undo.ts';

/** From an image to the current image of an environment: planned whole, announced, rolled, proven, and then the pointer. */

export type PromotionPorts = FactPorts & Pick<Place, 'parameters'>;
export type PromotionWorld = Pick<Powers<never>, 'clock' | 'report' | 'run'>;

export interface PromotionOrder extends Admission {
  readonly deed: Deed;
  readonly image: Image;
  /** Why this image. */
  readonly because: string;
  /** What the environment ran until now. */
  readonly was: string | undefined;
  readonly pointer: PointerNow;
  readonly roll: RollWanted;
}

export interface Promotion extends PromotionOrder {
  readonly groups: readonly GroupPlan[];
  readonly refusals: readonly string[];
}

export async function planPromotion(order: PromotionOrder, place: PromotionPorts): Promise<Promotion> {
  const { image, pointer, roll: wanted } = order;
  const facts = wanted.strategy === 'none' ? [] : await readGroups(wanted, image.id, place);
  const groups = facts.map(fact => planGroup(fact, { ...wanted, image }));
  const moves = pointer.current?.value !== image.id;
  const refusals = [
    ...imageRefusals(image, order),
    ...(moves ? pointerRefusals(pointer.name, pointer.current, pointer.history) : []),
    ...groups.flatMap(group => group.refusals),
  ];
  return { ...order, groups, refusals };
}

export function throwIfRefused({ refusals, deed, image, environment }: Promotion): void {
  const [first, ...rest] = refusals;
  if (first === undefined) return;
  const said = rest.length === 0 ? first : `${refusals.length} reasons:\n- ${refusals.join('\n- ')}`;
  throw new RejectedError(`Refused to ${deed === 'promote' ? 'promote' : 'roll back to'} ${image.id} in ${environment}: ${said}`, {
    left: ['nothing was touched'],
  });
}

/** Everything is there already: the pointer names the image, and every group runs it. */
export const isThere = ({ groups, pointer, image }: Promotion): boolean =>
  pointer.current?.value === image.id && groups.every(({ deed }) => deed === 'nothing');

export interface Carried {
  readonly rolled: readonly Rolled[];
  readonly moved: Moved;
}

/** `before`: what must be so before the first group is rolled. `undo`: takes that back when the roll failed. */
export interface Around {
  before(): Promise<void>;
  undo(): Promise<void>;
  after(): Promise<void>;
}

export async function carryOut(promotion: Promotion, world: PromotionWorld, place: PromotionPorts, around: Around): Promise<Carried> {
  const { report } = world;
  const { pointer, image, roll: wanted } = promotion;
  const order = {
    image,
    plans: promotion.groups,
    preferences: preferencesOf(wanted),
    timeoutSeconds: wanted.timeout,
    spared: wanted.protectedInstances === 'ignore',
    saidAs: `ami-action ${promotion.deed} ${image.id}: commit ${identity(image, promotion.scheme, 'commit') ?? 'unknown'}, run ${world.run.url}`,
  };
  let rolled: readonly Rolled[];
  try {
    await report.step(`Announce ${image.id} in ${candidateName(pointer.name)}`, () => announce(promotion, world, place));
    await around.before();
    rolled = await roll(order, world, place);
  } catch (failure) {
    throw await takeBack(failure, promotion, place, around);
  }
  // From here on only forward: what fails last converges on the next run.
  const moved = await report.step(`Move ${pointer.name}`, () => movePointer(promotion, world, place));
  await around.after();
  await withdraw(pointer, place);
  return { rolled, moved };
}

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
