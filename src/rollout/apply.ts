import { RejectedError, withDetails } from '../kit/errors.ts';
import { candidateName } from '../model/pointer.ts';
import { clearBlockers } from './clear-blockers.ts';
import { isInProgress } from './indeterminate.ts';
import { isReverted, type Leftovers, notSettled, withLeftovers } from './leftovers.ts';
import { isUpToDate, planPromotion, throwIfRefused } from './plan.ts';
import {
  isReplaced,
  type Moved,
  movePointer,
  removeOwnCandidate,
  revertPointer,
  throwIfChanged,
  throwIfReplaced,
  writeCandidate,
} from './pointer.ts';
import { forEachSequential, type RegionPlan, type RegionResult, withRegion } from './region-plans.ts';
import { failureTitle } from './report.ts';
import { type GroupRollouts, versionDescription } from './roll-groups.ts';
import { type Check, formatGroups, rollOutRegions } from './roll-regions.ts';
import type { RolloutDeps } from './rollout-state.ts';
import { verifySteadyState } from './steady-state.ts';
import { collectFailure } from './undo.ts';

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
  /** Another process changed its pointer. */
  conflict: boolean;
}

export async function applyPlans(plans: readonly RegionPlan[], deps: RolloutDeps, hooks: Hooks): Promise<readonly RegionResult[]> {
  const leftovers: Leftovers = { cleared: [], remaining: [] };
  let rollouts: readonly GroupRollouts[];
  try {
    await forEachSequential(plans.filter(takesPart), writeCandidateIn);
    await hooks.before();
    const ready = await forEachSequential(plans, plan => withBlockersCleared(plan, leftovers));
    rollouts = await rollOutRegions(ready, { deps, leftovers, check: hooks.check });
  } catch (failure) {
    const undo = async () => {
      await hooks.undo();
      await removeCandidates(plans);
    };
    const promotions = plans.map(({ promotion }) => promotion);
    const thrown = await withLeftovers(failure, promotions, leftovers, undo);
    throw isInProgress(failure)
      ? thrown
      : withDetails(thrown, { title: failureTitle(plans, !isReplaced(failure) && isReverted(promotions, leftovers)) });
  }
  const rolled = plans.map((plan, i) => ({ ...plan, rollouts: rollouts[i] as GroupRollouts, moved: rollouts[i]?.moved, conflict: false }));
  const pending = rollouts.some(({ moving }) => moving);
  // If this fails the candidate is kept: it shows a rollback where to go.
  if (!pending) await verifyRegions(rolled, hooks);
  if (!pending) await forEachSequential(rolled.filter(takesPart), ({ promotion, aws }) => throwIfReplaced(promotion, aws));
  if (!pending) await settle(rolled, hooks);
  return rolled.map(({ region, rollouts: { groups }, moved }) => ({ region, results: groups, moved: pending ? undefined : moved }));
}

export const isPending = (results: readonly RegionResult[]): boolean => results.some(({ moved }) => moved === undefined);

/** The output `refreshes`. */
export const refreshesOf = (results: readonly RegionResult[]) =>
  results.flatMap(({ region, results: groups }) => groups.map(group => ({ region, ...group })));

async function verifyRegions(regions: readonly RolledRegion[], { check }: Hooks): Promise<void> {
  try {
    await forEachSequential(regions, ({ promotion, region, deps, aws }) => verifySteadyState(promotion, check?.(region), deps, aws));
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
    const replaced = (await removeCandidates(regions)).find(each => each !== undefined);
    if (replaced !== undefined) throw replaced;
  } catch (failure) {
    const states = regions.map(region => ({ ...region, groups: region.rollouts.groups, moved: region.moved !== undefined }));
    throw notSettled(failure, states);
  }
}

/** The pointers of all regions, or none: all are checked before the first is moved, and one that fails reverts the others. */
async function movePointers(regions: readonly RolledRegion[]): Promise<void> {
  // A pointer that groups read moved before them.
  const open = regions.filter(({ moved }) => moved === undefined);
  const [first] = open;
  if (first !== undefined && open.length > 1) await first.deps.report.step('Check every pointer', () => checkPointers(open));
  for (const region of open) {
    const { promotion, deps, aws } = region;
    try {
      const move = () => movePointer(promotion, deps, aws);
      region.moved = await withRegion(region, () => deps.report.step(`Move ${promotion.pointer.name}`, move));
    } catch (failure) {
      region.conflict = failure instanceof RejectedError;
      throw isInProgress(failure) ? failure : await revertMoved(failure, open);
    }
  }
}

async function checkPointers(regions: readonly RolledRegion[]): Promise<void> {
  for (const region of regions) {
    const check = async () => throwIfChanged(region.promotion, await region.aws.parameters.read(region.promotion.pointer.name));
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
    const { promotion, deps, aws } = region;
    const revert = async () => {
      await deps.report.step(`Restore ${promotion.pointer.name}`, () => revertPointer(promotion, deps, aws));
      region.moved = undefined;
    };
    leftovers.push(...(await collectFailure(revert, `${region.region}: the pointer could not be restored`)));
  }
  return withDetails(failure, { leftovers });
}

/** A region that already runs the image gets no candidate: the next run would take it for unfinished and revert it. */
const takesPart = ({ several, promotion }: RegionPlan): boolean =>
  !several || promotion.pointer.candidate !== undefined || !isUpToDate(promotion);

const writeCandidateIn = ({ promotion, deps, aws }: RegionPlan): Promise<void> =>
  deps.report.step(`Write ${promotion.image.id} to ${candidateName(promotion.pointer.name)}`, () => writeCandidate(promotion, deps, aws));

/** Home last: its candidate decides where an interrupted rollback continues. */
const removeCandidates = (plans: readonly RegionPlan[]) =>
  forEachSequential(plans.filter(takesPart).reverse(), ({ promotion, deps, aws }) => removeOwnCandidate(promotion, deps, aws));

/** Removing a blocker may change what a group runs, so the region is planned again. */
async function withBlockersCleared(plan: RegionPlan, leftovers: Leftovers): Promise<RegionPlan> {
  const { promotion, deps, aws, region, several } = plan;
  if (promotion.groups.every(({ blocker }) => blocker === undefined)) return plan;
  const cleared: string[] = [];
  const way = {
    ...{ deps, aws, cleared, timeoutSeconds: promotion.roll.rollTimeout },
    versionDescription: versionDescription(promotion, deps),
    async confirm() {
      throwIfChanged(promotion, await aws.parameters.read(promotion.pointer.name));
      await throwIfReplaced(promotion, aws);
    },
  };
  await deps.report
    .step('Clear blockers', () => clearBlockers(promotion.groups, way))
    .finally(() => leftovers.cleared.push(...cleared.map(line => (several ? `${region}: ${line}` : line))));
  const again = { ...plan, promotion: await planPromotion(promotion, aws) };
  throwIfRefused([again]);
  // Waiting for another rollout may have taken long.
  await throwIfReplaced(again.promotion, aws);
  return again;
}
