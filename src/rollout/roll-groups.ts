import { withDetails } from '../kit/errors.ts';
import { identity } from '../model/image.ts';
import { isAnnounced } from './announce.ts';
import { indeterminate, isInProgress, RESUME } from './indeterminate.ts';
import type { Leftovers } from './leftovers.ts';
import type { Promotion, PromotionClients } from './plan.ts';
import { type Moved, movePointer, revertPointer } from './pointer.ts';
import { type GroupResult, rollOut } from './roll-group.ts';
import { newRolloutState, type RolloutDeps, type RolloutOrder } from './rollout-state.ts';
import type { GroupPlan } from './rules/plan.ts';
import { collectFailure, undo } from './undo.ts';

/** Groups in two turns: those that name a template version, then those that read the pointer. */

export interface GroupRollouts {
  readonly groups: readonly GroupResult[];
  readonly moving: boolean;
  /** Moved already, because groups read it. */
  readonly moved: Moved | undefined;
  finish(): Promise<void>;
  /** Takes all of it back although it went well, because another region did not. Tells what is left. */
  undo(): Promise<readonly string[]>;
}

export interface Rolling {
  /** Other regions take part, and not every pointer has moved: what fails there takes this one back too, also where an earlier run had come to its end. */
  readonly open: boolean;
  /** By other regions, and to them. */
  readonly haltReason: RolloutOrder['haltReason'];
  readonly onFailure: RolloutOrder['onFailure'];
  readonly aside: Leftovers;
  readonly deps: RolloutDeps;
  readonly aws: PromotionClients;
  readonly check: RolloutOrder['check'];
}

/** Groups that name a version come first: until they have proven the image, no group that reads the pointer sees it. */
export async function rollOutGroups(promotion: Promotion, rolling: Rolling): Promise<GroupRollouts> {
  const { deps, aws } = rolling;
  const [forNamed, forReaders] = [orderFor(promotion, 'version', rolling), orderFor(promotion, 'pointer', rolling)];
  const named = await rollOut(forNamed, deps, aws).catch(async failure => {
    throw movedEarly(promotion, forReaders) && !isInProgress(failure) ? await revertReaders(failure, forReaders, rolling) : failure;
  });
  const readersStand = forReaders.plans.every(({ action }) => action === 'nothing');
  if (named.moving || readersStand) {
    const readers = movedEarly(promotion, forReaders) ? undoOf(forReaders, rolling) : nothing;
    return { ...named, moved: undefined, undo: () => revertBoth(named, readers) };
  }
  const move = () => movePointer(promotion, deps, aws);
  const moved = await deps.report.step(`Move ${promotion.pointer.name}, which groups read`, move).catch(async failure => {
    if (isInProgress(failure)) throw indeterminate(failure, unproven(promotion, named), RESUME);
    rolling.onFailure(failure);
    const left = await collectFailure(forReaders.restore, 'the pointer could not be put back');
    rolling.aside.remaining.push(...left);
    throw withDetails(failure, { leftovers: [...left, ...(await named.undo())] });
  });
  const read = await rollOut(forReaders, deps, aws).catch(async failure => {
    if (isInProgress(failure)) throw failure;
    if (promotion.roll.undo === 'all') throw withDetails(failure, { leftovers: await named.undo() });
    const stay = named.groups.map(({ group }) => `${group} runs ${promotion.image.id}`);
    rolling.aside.remaining.push(...stay);
    throw withDetails(failure, { leftovers: stay });
  });
  const groups = [...named.groups, ...read.groups];
  return { groups, moving: read.moving, moved, finish: named.finish, undo: () => revertBoth(named, read.undo) };
}

/** First what groups read when they launch, and those who read it. */
const revertBoth = async (named: Pick<GroupRollouts, 'undo'>, readers: GroupRollouts['undo']): Promise<readonly string[]> => [
  ...(await readers()),
  ...(await named.undo()),
];

const undoOf =
  (order: RolloutOrder, { deps, aws }: Rolling): GroupRollouts['undo'] =>
  () =>
    undo({ order, rollout: newRolloutState(), deps, aws });

const unproven = ({ pointer, image }: Promotion, { groups }: Pick<GroupRollouts, 'groups'>): readonly string[] => [
  `${pointer.name} may name ${image.id}, which the groups that read it have not proven`,
  ...groups.map(({ group }) => `${group} runs ${image.id}`),
];

/** By a run before this one, which was lost: groups that read the pointer have been launching the image since. */
const movedEarly = ({ pointer, image }: Promotion, { resumes, plans }: RolloutOrder): boolean =>
  resumes !== undefined && plans.length > 0 && pointer.current?.value === image.id;

async function revertReaders(failure: unknown, order: RolloutOrder, rolling: Rolling): Promise<unknown> {
  const begun = order.plans
    .filter(({ action }) => action !== 'nothing')
    .map(({ facts }) => `${facts.group.name} may run ${order.image.id} here and there`);
  order.remaining.push(...begun);
  return withDetails(failure, { leftovers: [...begun, ...(await undoOf(order, rolling)())] });
}

const nothing = async (): Promise<readonly string[]> => [];

const orderFor = (
  promotion: Promotion,
  by: GroupPlan['by'],
  { deps, aws, aside, check, open, haltReason, onFailure }: Rolling,
): RolloutOrder => ({
  image: promotion.image,
  plans: promotion.groups.filter(plan => plan.by === by),
  timeoutSeconds: promotion.roll.rollTimeout,
  excluded: promotion.roll.protectedInstances === 'ignore',
  oneByOne: promotion.roll.order === 'one-by-one',
  hold: promotion.roll.hold,
  bakeSeconds: promotion.roll.bake,
  undo: promotion.roll.undo,
  wait: promotion.roll.wait,
  versionDescription: versionDescription(promotion, deps),
  resumes: wasBegun(promotion, open) ? { was: promotion.was } : undefined,
  remaining: aside.remaining,
  restore: async () =>
    by === 'version' && !(open && isAnnounced(promotion))
      ? []
      : deps.report.step(`Put ${promotion.pointer.name} back`, () => revertPointer(promotion, deps, aws)),
  check,
  haltReason,
  onFailure,
  onCancel: promotion.roll.onCancel,
});

/** Announced, and not proven: a pointer that moves last says that it was; in this region. */
const wasBegun = (promotion: Promotion, open: boolean): boolean =>
  isAnnounced(promotion) &&
  (open || promotion.pointer.current?.value !== promotion.image.id || promotion.groups.some(({ by }) => by === 'pointer'));

export const versionDescription = ({ operation, image, scheme }: Promotion, { run }: RolloutDeps): string =>
  `ami-action ${operation} ${image.id}: commit ${identity(image, scheme, 'commit') ?? 'unknown'}, run ${run.url}`;
