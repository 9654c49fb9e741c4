import { RejectedError, withDetails } from '../kit/errors.ts';
import { candidateName } from '../model/pointer.ts';
import type { Parameter } from '../ports/groups.ts';
import { collectFailure } from './compensations.ts';
import { isInProgress } from './indeterminate.ts';
import { isReverted, type Leftovers, notSettled, withLeftovers } from './leftovers.ts';
import { isUpToDate } from './plan.ts';
import {
  isReplaced,
  type Moved,
  movePointer,
  removeOwnCandidate,
  revertPointer,
  throwIfChanged,
  throwIfMovedAway,
  throwIfReplaced,
  writeCandidate,
} from './pointer.ts';
import { readyToRollOut } from './ready.ts';
import { forEachSequential, type RegionResult, withRegion } from './region-plans.ts';
import { failureTitle } from './report.ts';
import type { GroupRollouts } from './roll-groups.ts';
import { type Check, formatGroups, rollOutRegions } from './roll-regions.ts';
import type { RegionPlan } from './rollout-spec.ts';
import type { RolloutDeps } from './rollout-state.ts';
import { verifySteadyState } from './steady-state.ts';

/** Applies a plan: candidate, rollout, verification, pointer. Or reverts everything. */

export interface Hooks {
  /** Runs before the first group is rolled out. */
  before(): Promise<void>;
  /** Reverts `before` when the rollout failed. */
  undo(): Promise<void>;
  /** Runs when every pointer has moved. */
  after(): Promise<void>;
  readonly check?: Check | undefined;
}

interface RolledRegion extends RegionPlan {
  readonly rollouts: GroupRollouts;
  moved: Moved | undefined;
  /** What its pointer names after the rollout, before the first pointer moves. */
  pointed?: Parameter | undefined;
  /** Another process changed its pointer. */
  conflict: boolean;
}

export const applyPlans = (plans: readonly RegionPlan[], deps: RolloutDeps, hooks: Hooks): Promise<readonly RegionResult[]> =>
  rollOut(plans, deps, hooks).catch(failure => {
    throw withDetails(failure, { heading: 'State now' });
  });

async function rollOut(plans: readonly RegionPlan[], deps: RolloutDeps, hooks: Hooks): Promise<readonly RegionResult[]> {
  const leftovers: Leftovers = { cleared: [], remaining: [] };
  let rollouts: readonly GroupRollouts[];
  let begun = plans;
  try {
    begun = await forEachSequential(plans, writeCandidateIn);
    await hooks.before();
    const ready = await forEachSequential(begun, plan => readyToRollOut(plan, leftovers));
    rollouts = await rollOutRegions(ready, { deps, leftovers, check: hooks.check });
  } catch (failure) {
    const undo = async () => {
      await hooks.undo();
      await removeCandidates(begun);
    };
    const thrown = await withLeftovers(failure, plans, leftovers, undo);
    throw isInProgress(failure)
      ? thrown
      : withDetails(thrown, { title: failureTitle(plans, !isReplaced(failure) && isReverted(plans, leftovers)) });
  }
  const rolled: readonly RolledRegion[] = begun.map((plan, i) => ({
    ...{ ...plan, conflict: false, rollouts: rollouts[i] as GroupRollouts },
    moved: rollouts[i]?.moved,
  }));
  const pending = rollouts.some(({ moving }) => moving);
  // If this fails the candidate is kept: it shows a rollback where to go.
  if (!pending) await verifyRegions(rolled, hooks);
  if (!pending)
    await forEachSequential(rolled.filter(takesPart), async plan => {
      plan.pointed = await throwIfReplaced(plan, plan.aws);
      // Groups read it, so it moved before them, and another process may have moved it since.
      if (plan.moved !== undefined) throwIfChanged(plan, plan.pointed);
    });
  if (!pending) await settle(rolled, hooks);
  return rolled.map(({ region, rollouts: { groups }, moved }) => ({ region, results: groups, moved: pending ? undefined : moved }));
}

export const isPending = (results: readonly RegionResult[]): boolean => results.some(({ moved }) => moved === undefined);

/** The output `refreshes`. */
export const refreshesOf = (results: readonly RegionResult[]) =>
  results.flatMap(({ region, results: groups }) => groups.map(group => ({ region, ...group })));

async function verifyRegions(regions: readonly RolledRegion[], { check }: Hooks): Promise<void> {
  try {
    await forEachSequential(regions, plan => verifySteadyState(plan, check?.(plan.region)));
  } catch (failure) {
    if (regions.length === 1) throw failure;
    const lines = regions.flatMap(region =>
      formatGroups(
        region,
        region.rollouts.groups.filter(({ status }) => status !== 'nothing'),
      ),
    );
    throw withDetails(failure, { leftovers: lines });
  }
}

/** From here on nothing is reverted: the next run continues where this one failed. */
async function settle(regions: readonly RolledRegion[], hooks: Hooks): Promise<void> {
  try {
    await movePointers(regions);
    await forEachSequential(regions, ({ rollouts, deps }) => deps.report.step('Finish', rollouts.finish));
    await hooks.after();
    // Draining the old groups took minutes since the last look.
    await forEachSequential(regions.filter(replacesGroups), plan => throwIfMovedAway(plan, plan.aws));
    const replaced = (await removeCandidates(regions)).find(each => each !== undefined);
    if (replaced !== undefined) throw replaced;
  } catch (failure) {
    const states = regions.map(region => ({ ...region, results: region.rollouts.groups, moved: region.moved !== undefined }));
    throw notSettled(failure, states);
  }
}

const replacesGroups = ({ groups }: RegionPlan): boolean => groups.some(({ action }) => action === 'swap');

/** The pointers of all regions, or none: all are checked before the first is moved, and one that fails reverts the others. */
async function movePointers(regions: readonly RolledRegion[]): Promise<void> {
  // A pointer that groups read moved before them.
  const open = regions.filter(({ moved }) => moved === undefined);
  const [first] = open;
  if (first !== undefined && open.length > 1) await first.deps.report.step('Check every pointer', () => checkPointers(open));
  for (const region of open) {
    const { pointer, deps, aws } = region;
    try {
      const move = async () => {
        const now = region.several ? await aws.parameters.read(pointer.name) : region.pointed;
        return movePointer(region, now, deps, aws);
      };
      region.moved = await withRegion(region, () => deps.report.step(`Move ${pointer.name}`, move));
    } catch (failure) {
      region.conflict = failure instanceof RejectedError;
      throw isInProgress(failure) ? failure : await revertMoved(failure, open);
    }
  }
}

async function checkPointers(regions: readonly RolledRegion[]): Promise<void> {
  for (const region of regions) {
    const check = async () => throwIfChanged(region, await region.aws.parameters.read(region.pointer.name));
    await withRegion(region, check).catch((failure: unknown) => {
      region.conflict = failure instanceof RejectedError;
      throw failure;
    });
  }
}

/** Only pointers that this run moved. The groups keep the verified image: the next run moves what remains, a rollback reverts them. */
async function revertMoved(failure: unknown, regions: readonly RolledRegion[]): Promise<unknown> {
  const leftovers: string[] = [];
  for (const region of regions.filter(({ moved }) => moved?.changed)) {
    const { pointer, deps, aws } = region;
    const revert = async () => {
      await deps.report.step(`Restore ${pointer.name}`, () => revertPointer(region, deps, aws));
      region.moved = undefined;
    };
    leftovers.push(...(await collectFailure(revert, `${region.region}: the pointer could not be restored`)));
  }
  return withDetails(failure, { leftovers });
}

/** A region that already runs the image gets no candidate: the next run would take it for unfinished and revert it. */
const takesPart = (plan: RegionPlan): boolean => !plan.several || plan.pointer.candidate !== undefined || !isUpToDate(plan);

async function writeCandidateIn(plan: RegionPlan): Promise<RegionPlan> {
  if (!takesPart(plan)) return plan;
  const { pointer, deps, aws, image } = plan;
  const write = () => writeCandidate(plan, deps, aws);
  const written = await deps.report.step(`Write ${image.id} to ${candidateName(pointer.name)}`, write);
  return { ...plan, pointer: { ...pointer, written } };
}

/** Home last: its candidate decides where an interrupted rollback continues. */
const removeCandidates = (plans: readonly RegionPlan[]) =>
  forEachSequential(plans.filter(takesPart).reverse(), plan => removeOwnCandidate(plan, plan.deps, plan.aws));
