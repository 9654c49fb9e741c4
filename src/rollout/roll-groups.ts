import { withDetails } from '../kit/errors.ts';
import { identity } from '../model/image.ts';
import { collectFailure, compensations } from './compensations.ts';
import { indeterminate, isInProgress, RESUME } from './indeterminate.ts';
import type { Leftovers } from './leftovers.ts';
import { isCandidate, isReplaced, type Moved, movePointer, orReplaced, revertPointer, throwIfReplaced } from './pointer.ts';
import { type GroupResult, rollOut } from './roll-group.ts';
import type { RegionPlan } from './rollout-spec.ts';
import { haltOthers, newRolloutState, type RolloutOrder } from './rollout-state.ts';
import { isRead } from './rules/stack.ts';
import { undo } from './undo.ts';

/** The groups of one region in two phases: those that name a template version, then those that read the pointer. */

export interface GroupRollouts {
  readonly groups: readonly GroupResult[];
  readonly moving: boolean;
  /** Set where the pointer moved already, because groups read it. */
  readonly moved: Moved | undefined;
  finish(): Promise<void>;
  /** Reverts a successful rollout, because another region failed. Returns the leftovers. */
  undo(): Promise<readonly string[]>;
}

export interface RegionRollout extends Pick<RolloutOrder, 'halt' | 'check'> {
  /** Other regions take part and not every pointer has moved: a failure there reverts this region, also what an earlier run finished here. */
  readonly open: boolean;
  readonly leftovers: Leftovers;
}

/** Groups that name a version come first: until they have proven the image, no group that reads the pointer launches it. */
export async function rollOutGroups(plan: RegionPlan, rollout: RegionRollout): Promise<GroupRollouts> {
  const { deps, aws } = plan;
  const { leftovers } = rollout;
  const [forNamed, forReaders] = [orderFor(plan, 'version', rollout), orderFor(plan, 'pointer', rollout)];
  const named = await rollOut(forNamed, deps, aws).catch(async failure => {
    throw movedEarly(plan, forReaders) && !isInProgress(failure) && !isReplaced(failure)
      ? await revertReaders(failure, forReaders, plan)
      : failure;
  });
  const stack = compensations();
  stack.add('groups that name a version', named.undo);
  if (named.moving || forReaders.plans.every(({ action }) => action === 'nothing')) {
    if (movedEarly(plan, forReaders)) stack.add(READERS, undoOf(forReaders, plan));
    return { ...named, moved: undefined, undo: stack.run };
  }
  const move = async () => {
    return movePointer(plan, await throwIfReplaced(plan, aws), deps, aws);
  };
  const moved = await deps.report.step(`Move ${plan.pointer.name}, which groups read`, move).catch(async cause => {
    const failure = isInProgress(cause) ? cause : await orReplaced(cause, forReaders.confirm);
    if (isReplaced(failure)) throw failure;
    if (isInProgress(failure)) throw indeterminate(failure, unverified(plan, named), RESUME);
    haltOthers(forReaders, failure);
    if (movedEarly(plan, forReaders)) throw keepImage(failure, begun(forReaders), named, plan, leftovers);
    const remaining = await collectFailure(forReaders.restore, 'the pointer could not be restored');
    leftovers.remaining.push(...remaining);
    throw withDetails(failure, { leftovers: [...remaining, ...(await stack.run())] });
  });
  const read = await rollOut(forReaders, deps, aws).catch(async failure => {
    if (isInProgress(failure) || isReplaced(failure)) throw failure;
    if (plan.roll.undo === 'all') throw withDetails(failure, { leftovers: await stack.run() });
    throw keepImage(failure, [], named, plan, leftovers);
  });
  // The pointer and its readers are reverted first, because they launch what it names.
  stack.add(READERS, read.undo);
  const groups = [...named.groups, ...read.groups];
  return { groups, moving: read.moving, moved, finish: named.finish, undo: stack.run };
}

/** Reverts nothing: with one half of the groups reverted, the environment would run two images. */
function keepImage(
  failure: unknown,
  readers: readonly string[],
  { groups }: Pick<GroupRollouts, 'groups'>,
  { image }: RegionPlan,
  leftovers: Leftovers,
): unknown {
  const kept = [...readers, ...groups.map(({ group }) => `${group} runs ${image.id}`)];
  leftovers.remaining.push(...kept);
  return withDetails(failure, { leftovers: kept });
}

/** What an earlier run has begun on the groups that read the pointer. */
const begun = ({ plans, image }: RolloutOrder): readonly string[] =>
  plans.filter(({ action }) => action !== 'nothing').map(({ facts }) => `some instances of ${facts.group.name} may run ${image.id}`);

const READERS = 'groups that read the pointer';

const undoOf =
  (order: RolloutOrder, { deps, aws }: RegionPlan): GroupRollouts['undo'] =>
  () =>
    undo({ order, rollout: newRolloutState(), deps, aws });

const unverified = ({ pointer, image }: RegionPlan, { groups }: Pick<GroupRollouts, 'groups'>): readonly string[] => [
  `${pointer.name} may name ${image.id}, which the groups that read it have not verified`,
  ...groups.map(({ group }) => `${group} runs ${image.id}`),
];

/** By an earlier run that was lost: groups that read the pointer have launched the image since. */
const movedEarly = ({ pointer, image }: RegionPlan, { resumes, plans }: RolloutOrder): boolean =>
  resumes !== undefined && plans.length > 0 && pointer.current?.value === image.id;

async function revertReaders(failure: unknown, order: RolloutOrder, region: RegionPlan): Promise<unknown> {
  order.remaining.push(...begun(order));
  return withDetails(failure, { leftovers: [...begun(order), ...(await undoOf(order, region)())] });
}

function orderFor(plan: RegionPlan, by: 'version' | 'pointer', { leftovers, check, open, halt }: RegionRollout): RolloutOrder {
  const { image, groups, roll, pointer, was, deps, aws } = plan;
  return {
    ...{ image, check, halt, region: plan.region, hold: roll.hold, undo: roll.undo, wait: roll.wait, onCancel: roll.onCancel },
    plans: groups.filter(group => (group.by === 'pointer') === (by === 'pointer')),
    timeoutSeconds: roll.rollTimeout,
    excluded: roll.protectedInstances === 'ignore',
    oneByOne: roll.order === 'one-by-one',
    bakeSeconds: roll.bake,
    versionDescription: versionDescription(plan),
    resumes: wasBegun(plan, open) ? { was } : undefined,
    remaining: leftovers.remaining,
    confirm: async () => void (await throwIfReplaced(plan, aws)),
    async restore() {
      if (by === 'pointer' || (open && isCandidate(plan)))
        await deps.report.step(`Restore ${pointer.name}`, () => revertPointer(plan, deps, aws));
      return [];
    },
  };
}

/** An earlier run wrote the candidate and did not verify the image; in this region the pointer shows that, because it moves last. */
export const wasBegun = (plan: RegionPlan, open: boolean): boolean =>
  isCandidate(plan) && (open || plan.pointer.current?.value !== plan.image.id || isRead(plan));

export const versionDescription = ({ operation, image, scheme, deps: { run } }: RegionPlan): string =>
  `ami-action ${operation} ${image.id}: commit ${identity(image, scheme, 'commit') ?? 'unknown'}, run ${run.url}`;
