import { withDetails } from '../kit/errors.ts';
import { identity } from '../model/image.ts';
import { isAnnounced } from './announce.ts';
import { GO_ON, isStillMoving, outOfSight } from './indeterminate.ts';
import type { Leftovers } from './leftovers.ts';
import type { Promotion, PromotionClients } from './plan.ts';
import { type Moved, movePointer, revertPointer } from './pointer.ts';
import { type RolledGroup, roll } from './roll-group.ts';
import { noDeeds, type RollOrder, type RollWorld } from './rollout-state.ts';
import type { GroupPlan } from './rules/plan.ts';
import { trying, undo } from './undo.ts';

/** Groups in two turns: those that name a template version, then those that read the pointer. */

export interface GroupRollouts {
  readonly groups: readonly RolledGroup[];
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
  readonly halted: RollOrder['halted'];
  readonly failed: RollOrder['failed'];
  readonly aside: Leftovers;
  readonly deps: RollWorld;
  readonly aws: PromotionClients;
  readonly check: RollOrder['check'];
}

/** Groups that name a version come first: until they have proven the image, no group that reads the pointer sees it. */
export async function rollOutGroups(promotion: Promotion, rolling: Rolling): Promise<GroupRollouts> {
  const { deps, aws } = rolling;
  const [forNamed, forReaders] = [orderFor(promotion, 'version', rolling), orderFor(promotion, 'pointer', rolling)];
  const named = await roll(forNamed, deps, aws).catch(async failure => {
    throw movedEarly(promotion, forReaders) && !isStillMoving(failure) ? await revertReaders(failure, forReaders, rolling) : failure;
  });
  const readersStand = forReaders.plans.every(({ deed }) => deed === 'nothing');
  if (named.moving || readersStand) {
    const readers = movedEarly(promotion, forReaders) ? undoOf(forReaders, rolling) : nothing;
    return { ...named, moved: undefined, undo: () => revertBoth(named, readers) };
  }
  const move = () => movePointer(promotion, deps, aws);
  const moved = await deps.report.step(`Move ${promotion.pointer.name}, which groups read`, move).catch(async failure => {
    if (isStillMoving(failure)) throw outOfSight(failure, unproven(promotion, named), GO_ON);
    rolling.failed(failure);
    const left = await trying(forReaders.restore, 'the pointer could not be put back');
    rolling.aside.remaining.push(...left);
    throw withDetails(failure, { leftovers: [...left, ...(await named.undo())] });
  });
  const read = await roll(forReaders, deps, aws).catch(async failure => {
    if (isStillMoving(failure)) throw failure;
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
  (order: RollOrder, { deps, aws }: Rolling): GroupRollouts['undo'] =>
  () =>
    undo({ order, deeds: noDeeds(), deps, aws });

const unproven = ({ pointer, image }: Promotion, { groups }: Pick<GroupRollouts, 'groups'>): readonly string[] => [
  `${pointer.name} may name ${image.id}, which the groups that read it have not proven`,
  ...groups.map(({ group }) => `${group} runs ${image.id}`),
];

/** By a run before this one, which was lost: groups that read the pointer have been launching the image since. */
const movedEarly = ({ pointer, image }: Promotion, { resumes, plans }: RollOrder): boolean =>
  resumes !== undefined && plans.length > 0 && pointer.current?.value === image.id;

async function revertReaders(failure: unknown, order: RollOrder, rolling: Rolling): Promise<unknown> {
  const begun = order.plans
    .filter(({ deed }) => deed !== 'nothing')
    .map(({ facts }) => `${facts.group.name} may run ${order.image.id} here and there`);
  order.remains.push(...begun);
  return withDetails(failure, { leftovers: [...begun, ...(await undoOf(order, rolling)())] });
}

const nothing = async (): Promise<readonly string[]> => [];

const orderFor = (promotion: Promotion, by: GroupPlan['by'], { deps, aws, aside, check, open, halted, failed }: Rolling): RollOrder => ({
  image: promotion.image,
  plans: promotion.groups.filter(plan => plan.by === by),
  timeoutSeconds: promotion.roll.rollTimeout,
  spared: promotion.roll.protectedInstances === 'ignore',
  oneByOne: promotion.roll.order === 'one-by-one',
  hold: promotion.roll.hold,
  bakeSeconds: promotion.roll.bake,
  undo: promotion.roll.undo,
  wait: promotion.roll.wait,
  saidAs: versionDescription(promotion, deps),
  resumes: wasBegun(promotion, open) ? { was: promotion.was } : undefined,
  remains: aside.remaining,
  restore: async () =>
    by === 'version' && !(open && isAnnounced(promotion))
      ? []
      : deps.report.step(`Put ${promotion.pointer.name} back`, () => revertPointer(promotion, deps, aws)),
  check,
  halted,
  failed,
  onCancel: promotion.roll.onCancel,
});

/** Announced, and not proven: a pointer that moves last says that it was; in this region. */
const wasBegun = (promotion: Promotion, open: boolean): boolean =>
  isAnnounced(promotion) &&
  (open || promotion.pointer.current?.value !== promotion.image.id || promotion.groups.some(({ by }) => by === 'pointer'));

export const versionDescription = ({ operation, image, scheme }: Promotion, { run }: RollWorld): string =>
  `ami-action ${operation} ${image.id}: commit ${identity(image, scheme, 'commit') ?? 'unknown'}, run ${run.url}`;
