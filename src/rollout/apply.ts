import { withDetails } from '../kit/errors.ts';
import { candidateName } from '../model/pointer.ts';
import { announce, withdrawOwn } from './announce.ts';
import { clearBlockers } from './clear-blockers.ts';
import { type Leftovers, notSettled, withLeftovers } from './leftovers.ts';
import { movePointers, type RolledRegion } from './move-pointers.ts';
import { isUpToDate, planPromotion, throwIfRefused } from './plan.ts';
import type { Moved } from './pointer.ts';
import { forEachSequential, type RegionPlan } from './region-plans.ts';
import type { GroupResult } from './roll-group.ts';
import { type GroupRollouts, versionDescription } from './roll-groups.ts';
import { type Check, formatGroups, rollOutRegions } from './roll-regions.ts';
import type { RolloutDeps } from './rollout-state.ts';
import { verifySteadyState } from './steady-state.ts';

/** Does what was planned: announce, roll, prove, move the pointer; or everything as it was. */

/** What became of one region. */
export interface RegionResult {
  readonly region: string;
  readonly results: readonly GroupResult[];
  /** Undefined: the roll has begun, and nobody waits for it. */
  readonly moved: Moved | undefined;
}

/** `before`: what must be so before the first group is rolled. `undo`: takes that back when the roll failed. */
export interface Hooks {
  before(): Promise<void>;
  undo(): Promise<void>;
  after(): Promise<void>;
  /** Why an instance of a group does not do what it must. Undefined: there are no checks. */
  readonly check?: Check | undefined;
}

export async function applyPlans(parts: readonly RegionPlan[], deps: RolloutDeps, around: Hooks): Promise<readonly RegionResult[]> {
  const aside: Leftovers = { cleared: [], remaining: [] };
  let results: readonly GroupRollouts[];
  try {
    await forEachSequential(parts.filter(takesPart), announced);
    await around.before();
    const ready = await forEachSequential(parts, part => cleared(part, aside));
    results = await rollOutRegions(ready, { deps, aside, check: around.check });
  } catch (failure) {
    const undoing = async () => {
      await around.undo();
      await withdrawn(parts);
    };
    const promotions = parts.map(({ promotion }) => promotion);
    throw await withLeftovers(failure, promotions, aside, undoing);
  }
  const ended = parts.map((part, i) => ({ ...part, rolls: results[i] as GroupRollouts, moved: results[i]?.moved, conflict: false }));
  const told = () => ended.map(({ region, rolls, moved }) => ({ region, results: rolls.groups, moved }));
  if (results.some(({ moving }) => moving)) return told().map(each => ({ ...each, moved: undefined }));
  // If this fails the candidate stays: it tells a rollback where the way back leads.
  await proveAll(ended, around);
  await settle(ended, around);
  return told();
}

/** Nobody has waited for it everywhere. */
export const isPending = (ended: readonly RegionResult[]): boolean => ended.some(({ moved }) => moved === undefined);

/** As outputs tell it. */
export const refreshesOf = (ended: readonly RegionResult[]) =>
  ended.flatMap(({ region, results }) => results.map(group => ({ region, ...group })));

async function proveAll(parts: readonly RolledRegion[], { check }: Hooks): Promise<void> {
  try {
    await forEachSequential(parts, ({ promotion, region, deps, aws }) => verifySteadyState(promotion, check?.(region), deps, aws));
  } catch (failure) {
    if (parts.length === 1) throw failure;
    const results = parts.map(part => ({ part, groups: part.rolls.groups.filter(({ status }) => status !== 'nothing') }));
    throw withDetails(failure, { leftovers: formatGroups(results) });
  }
}

/** From here on only forward: what fails last converges on the next run. */
async function settle(parts: readonly RolledRegion[], around: Hooks): Promise<void> {
  try {
    await movePointers(parts);
    await forEachSequential(parts, ({ rolls, deps }) => deps.report.step('Finish', rolls.finish));
    await around.after();
    await withdrawn(parts);
  } catch (failure) {
    throw notSettled(
      failure,
      parts.map(part => ({ ...part, groups: part.rolls.groups, moved: part.moved !== undefined })),
    );
  }
}

/** One that runs the image since long is not begun by this: it must not look so to the next run, which would take it back. */
const takesPart = ({ several, promotion }: RegionPlan): boolean =>
  !several || promotion.pointer.candidate !== undefined || !isUpToDate(promotion);

const announced = ({ promotion, deps, aws }: RegionPlan): Promise<void> =>
  deps.report.step(`Announce ${promotion.image.id} in ${candidateName(promotion.pointer.name)}`, () => announce(promotion, deps, aws));

/** Home last: what it announced decides where a rollback goes on that was lost half way. */
const withdrawn = (parts: readonly RegionPlan[]) =>
  forEachSequential(parts.filter(takesPart).reverse(), ({ promotion, deps, aws }) => withdrawOwn(promotion, deps, aws));

/** With what stood in the way cleared away, the plan is made again: it may have changed what a group runs. */
async function cleared<P extends RegionPlan>(part: P, aside: Leftovers): Promise<P> {
  const { promotion, deps, aws, region, several } = part;
  if (promotion.groups.every(({ blocker }) => blocker === undefined)) return part;
  const own: string[] = [];
  const way = {
    deps,
    aws,
    timeoutSeconds: promotion.roll.rollTimeout,
    versionDescription: versionDescription(promotion, deps),
    cleared: own,
  };
  await deps.report
    .step('Make way', () => clearBlockers(promotion.groups, way))
    .finally(() => aside.cleared.push(...own.map(line => (several ? `${region}: ${line}` : line))));
  const again = { ...part, promotion: await planPromotion(promotion, aws) };
  throwIfRefused([again]);
  return again;
}
