import { concurrently } from '../kit/concurrently.ts';
import { ActionError, CancelledError, UnreachableError, withDetails } from '../kit/errors.ts';
import { compensations } from './compensations.ts';
import { indeterminate, isInProgress, nextOf, RESUME, ROLL_BACK_THE_REST, regionPrefix } from './indeterminate.ts';
import type { Leftovers } from './leftovers.ts';
import { rollOutRegionGroups } from './node-group/apply.ts';
import { isReplaced } from './pointer.ts';
import type { GroupResult } from './roll-group.ts';
import type { GroupRollouts } from './roll-groups.ts';
import type { RegionPlan } from './rollout-spec.ts';
import { haltOthers, type RolloutDeps, type RolloutOrder } from './rollout-state.ts';
import { rollOutStack } from './stack/roll.ts';

/** The rollout in every region. An environment runs one image, so a region that fails reverts the others. */

/** The checks on the instances of one region. */
export type Check = (region: string) => RolloutOrder['check'];

interface RolloutInputs {
  readonly deps: RolloutDeps;
  readonly leftovers: Leftovers;
  readonly check: Check | undefined;
}

type Phase = RolloutInputs & { readonly open: boolean };

export async function rollOutRegions(plans: readonly RegionPlan[], inputs: RolloutInputs): Promise<readonly GroupRollouts[]> {
  const { leftovers, deps } = inputs;
  const [home] = plans;
  // Pointers move when every region has verified the image: where all have moved, nothing is reverted.
  const open = plans.length > 1 && plans.some(({ pointer, image }) => pointer.current?.value !== image.id);
  const phase = { ...inputs, open };
  const halt = new AbortController();
  if (home === undefined || plans.length === 1) return Promise.all(plans.map(plan => rollOutRegion(plan, phase, halt)));
  const { undo, order } = home.roll;
  // With one-by-one, no region begins after one that failed or whose result is unknown.
  const idle = new AbortController();
  const results = await deps.report.step(`Roll out in ${plans.map(({ region }) => region).join(', ')}`, () =>
    concurrently(plans, order === 'one-by-one' ? 1 : plans.length, plan =>
      tryRegion(plan, phase, undo === 'all' ? halt : new AbortController(), idle),
    ),
  );
  const done = results.flatMap(({ rollouts }) => rollouts ?? []);
  if (done.length === plans.length) return done;
  const kept = !halt.signal.aborted || results.some(({ failure }) => isReplaced(failure));
  throw kept ? keepRegions(results, leftovers) : await revertRegions(results, leftovers);
}

interface RegionAttempt {
  readonly plan: RegionPlan;
  readonly rollouts?: GroupRollouts;
  readonly failure?: unknown;
  /** It was reverted because another region failed. */
  readonly halted?: boolean;
}

const rollOutRegion = (plan: RegionPlan, { leftovers, check, open }: Phase, halt: AbortController) =>
  (plan.stack === undefined ? rollOutRegionGroups : rollOutStack)(plan, { leftovers, check: check?.(plan.region), open, halt });

async function tryRegion(plan: RegionPlan, phase: Phase, halt: AbortController, idle: AbortController): Promise<RegionAttempt> {
  if (idle.signal.aborted) return { plan };
  try {
    return { plan, rollouts: await rollOutRegion(plan, phase, halt) };
  } catch (failure) {
    const halted = isCausedBy(failure, halt.signal.reason);
    haltOthers({ halt, region: plan.region }, failure);
    if (plan.roll.order === 'one-by-one') idle.abort();
    return { plan, failure: regionPrefix(failure, plan.region), halted };
  }
}

const isCausedBy = (failure: unknown, reason: unknown): boolean =>
  failure !== undefined && (failure === reason || (failure instanceof Error && isCausedBy(failure.cause, reason)));

async function revertRegions(results: readonly RegionAttempt[], leftovers: Leftovers): Promise<unknown> {
  leftovers.remaining.push(...unwatched(results));
  const stack = compensations();
  for (const { plan, rollouts } of [...results].reverse()) {
    if (rollouts === undefined) continue;
    const own = stack.child(line => `${plan.region}: ${line}`);
    own.add('could not be reverted', () => plan.deps.report.step('Revert', rollouts.undo));
  }
  return combineFailures(results, await stack.run());
}

/** Nothing is reverted: the next run finds what is in progress. */
function keepRegions(results: readonly RegionAttempt[], leftovers: Leftovers): unknown {
  const lines = results.flatMap(({ plan, rollouts }) => formatGroups(plan, rollouts?.groups ?? []));
  const failed = results.some(({ failure }) => failure !== undefined && !isInProgress(failure));
  if (failed) leftovers.remaining.push(...lines, ...unwatched(results));
  return combineFailures(results, lines);
}

export const formatGroups = ({ image, region }: RegionPlan, groups: readonly GroupResult[]): readonly string[] =>
  groups.map(group => `${region}: ${formatGroup(group, image.id)}`);

/** What is in progress in regions that this run no longer watches. */
const unwatched = (results: readonly RegionAttempt[]): readonly string[] =>
  results.flatMap(({ failure }) => (isInProgress(failure) ? leftoversOf(failure) : []));

function formatGroup({ group, successor, refresh, status }: GroupResult, imageId: string): string {
  if (successor !== undefined) return `${successor} exists next to ${group}`;
  return status === 'InProgress' ? `refresh ${refresh} of ${group} is in progress` : `${group} runs ${imageId}`;
}

/** The failure that decides the outcome, with the leftovers of all regions. */
function combineFailures(results: readonly RegionAttempt[], lines: readonly string[]): unknown {
  const failed = results.filter(({ failure }) => failure !== undefined);
  const first = failed.find(({ failure, halted }) => !halted && !isInProgress(failure)) ?? failed[0];
  const others = failed.filter(result => result !== first);
  const more = others.flatMap(({ failure, halted }) => [
    ...(halted || !(failure instanceof ActionError) || failure instanceof CancelledError ? [] : [failure.message]),
    ...leftoversOf(failure),
  ]);
  const idle = results.filter(({ rollouts, failure }) => rollouts === undefined && failure === undefined);
  const leftovers = [...more, ...lines, ...idle.map(({ plan }) => `${plan.region}: not started`)];
  if (!isInProgress(first?.failure)) return withDetails(first?.failure, { leftovers });
  const done = results.some(({ rollouts }) => rollouts !== undefined);
  // AWS rolls back a refresh in progress, but not a region that is done.
  if (first?.failure instanceof CancelledError && first.plan.roll.onCancel === 'rollback') {
    const same = !done && failed.every(({ failure }) => nextOf(failure) === nextOf(first.failure));
    return withDetails(first.failure, { leftovers, next: same ? nextOf(first.failure) : ROLL_BACK_THE_REST });
  }
  // Where no region was reached, nothing is in progress.
  const none = !done && failed.every(({ failure }) => failure instanceof UnreachableError);
  return none ? withDetails(first?.failure, { leftovers }) : indeterminate(first?.failure, leftovers, RESUME);
}

const leftoversOf = (failure: unknown): readonly string[] => (failure instanceof ActionError ? failure.leftovers : []);
