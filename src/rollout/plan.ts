import { RejectedError } from '../kit/errors.ts';
import type { Group } from '../model/group.ts';
import type { Image } from '../model/image.ts';
import type { RolloutOperation } from '../model/pointer.ts';
import type { RegionClients } from '../ports/deps.ts';
import { type FactPorts, readGroups } from './facts.ts';
import type { PointerState } from './pointer.ts';
import { type Admission, imageRefusals, pointerRefusals } from './rules/admission.ts';
import { type GroupPlan, planGroup } from './rules/plan.ts';
import type { RolloutOptions } from './rules/settings.ts';

/** What a promotion would do, read and decided before the first write. */

export type PromotionClients = FactPorts & Pick<RegionClients, 'parameters'>;

export interface PromotionOrder extends Admission {
  readonly operation: RolloutOperation;
  readonly image: Image;
  /** Why this image. */
  readonly reason: string;
  /** What the environment ran until now. */
  readonly was: string | undefined;
  readonly pointer: PointerState;
  readonly roll: RolloutOptions;
}

export interface Promotion extends PromotionOrder {
  readonly groups: readonly GroupPlan[];
  readonly refusals: readonly string[];
}

/** `listed`: every group there is, where somebody has asked just now. */
export async function planPromotion(order: PromotionOrder, aws: PromotionClients, listed?: readonly Group[]): Promise<Promotion> {
  const { image, pointer, operation, roll: wanted } = order;
  const facts = wanted.strategy === 'none' ? [] : await readGroups(wanted, image.id, aws, listed);
  const pointerNow = { name: pointer.name, value: pointer.current?.value, movedAt: movedEarly(pointer) };
  const groups = facts.map(fact => planGroup(fact, { ...wanted, image, operation, pointer: pointerNow }));
  const moves = pointerNow.value !== image.id;
  const refusals = [
    ...imageRefusals(image, order),
    ...(moves ? pointerRefusals(pointer.name, pointer.current, pointer.history) : []),
    ...groups.flatMap(group => group.refusals),
  ];
  return { ...order, groups, refusals };
}

/** When a run moved it whose groups had not proven the image yet: what it announced is still there. */
const movedEarly = ({ current, history, candidate }: PointerState): Date | undefined =>
  current !== undefined && candidate?.value === current.value
    ? history.find(({ version }) => version === current.version)?.writtenAt
    : undefined;

interface Planned {
  readonly region?: string;
  readonly promotion: Promotion;
}

/** What is refused in one region is refused in all. */
export function throwIfRefused(parts: readonly Planned[]): void {
  const [home] = parts;
  const refusals = parts.flatMap(({ region, promotion }) =>
    promotion.refusals.map(refusal => (parts.length > 1 ? `${region}: ${refusal}` : refusal)),
  );
  const [first, ...rest] = refusals;
  if (home === undefined || first === undefined) return;
  const { operation, image, environment } = home.promotion;
  const said = rest.length === 0 ? first : `${refusals.length} reasons:\n- ${refusals.join('\n- ')}`;
  throw new RejectedError(`Refused to ${operation === 'promote' ? 'promote' : 'roll back to'} ${image.id} in ${environment}: ${said}`, {
    unchanged: true,
  });
}

/** Everything is there already: the pointer names the image, and every group runs it. */
export const isUpToDate = ({ groups, pointer, image }: Promotion): boolean =>
  pointer.current?.value === image.id && groups.every(({ action, blocker }) => action === 'nothing' && blocker === undefined);
