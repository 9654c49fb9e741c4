import { concurrently } from '../kit/concurrently.ts';
import { ActionError, CancelledError, UnreachableError, withDetails } from '../kit/errors.ts';
import { indeterminate, isInProgress, nextOf, RESUME, ROLL_BACK_THE_REST, regionPrefix } from './indeterminate.ts';
import type { Leftovers } from './leftovers.ts';
import type { RegionPlan } from './region-plans.ts';
import type { GroupResult } from './roll-group.ts';
import { type GroupRollouts, rollOutGroups } from './roll-groups.ts';
import type { RolloutDeps, RolloutOrder } from './rollout-state.ts';
import { collectFailure } from './undo.ts';

/** Rolls in every region. One that fails takes the others with it: an environment runs one image, wherever it is. */

/** What asks the instances of one region. */
export type Check = (region: string) => RolloutOrder['check'];

interface Wanted {
  readonly deps: RolloutDeps;
  readonly aside: Leftovers;
  readonly check: Check | undefined;
}

interface Rolling extends Wanted {
  readonly open: boolean;
}

export async function rollOutRegions(parts: readonly RegionPlan[], wanted: Wanted): Promise<readonly GroupRollouts[]> {
  const regions = parts.map(({ region }) => region);
  const [home] = parts;
  // Pointers move when every region has proven the image: where all have, there is nothing left to take back.
  const open = parts.length > 1 && parts.some(({ promotion: { pointer, image } }) => pointer.current?.value !== image.id);
  const rolling = { ...wanted, open };
  if (home === undefined || parts.length === 1) return Promise.all(parts.map(part => rollPart(part, rolling, ALONE)));
  const { undo, order } = home.promotion.roll;
  const halt: Halt = { by: undefined, last: false };
  const ends = await rolling.deps.report.step(`Roll in ${regions.join(', ')}`, () =>
    concurrently(parts, order === 'one-by-one' ? 1 : parts.length, part => tryPart(part, rolling, halt)),
  );
  const done = ends.flatMap(({ rolls }) => rolls ?? []);
  if (done.length === parts.length) return done;
  throw halt.by === undefined || undo === 'failed' ? keepRegions(ends, rolling.aside) : await revertRegions(ends, rolling.aside);
}

interface Halt {
  /** The region that has failed first, for good. */
  by: string | undefined;
  /** Nothing further is begun: one after another, a region that nobody saw come to its end is the last one. */
  last: boolean;
}

interface End {
  readonly part: RegionPlan;
  readonly rolls?: GroupRollouts;
  readonly failure?: unknown;
  /** It went back because another one failed. */
  readonly halted?: boolean;
}

type Others = Pick<RolloutOrder, 'haltReason' | 'onFailure'>;

const ALONE: Others = { haltReason: () => undefined, onFailure: () => {} };

const rollPart = ({ promotion, deps, aws, region }: RegionPlan, { aside, check, open }: Rolling, others: Others) =>
  rollOutGroups(promotion, { aside, deps, aws, check: check?.(region), open, ...others });

async function tryPart(part: RegionPlan, rolling: Rolling, halt: Halt): Promise<End> {
  const { undo, order } = part.promotion.roll;
  if (halt.last) return { part };
  let halted = false;
  const reason = () => {
    if (halt.by === undefined || undo === 'failed') return undefined;
    halted = true;
    return `${halt.by} has failed, so this region goes back too`;
  };
  const onFailure = (failure: unknown) => {
    if (!isInProgress(failure)) halt.by ??= part.region;
  };
  try {
    return { part, rolls: await rollPart(part, rolling, { haltReason: reason, onFailure }) };
  } catch (failure) {
    onFailure(failure);
    halt.last = order === 'one-by-one';
    return { part, failure: regionPrefix(failure, part.region), halted };
  }
}

async function revertRegions(ends: readonly End[], aside: Leftovers): Promise<unknown> {
  const left: string[] = [];
  aside.remaining.push(...unwatched(ends));
  for (const { part, rolls } of ends) {
    if (rolls === undefined) continue;
    const undoing = () => part.deps.report.step('Put everything back', rolls.undo);
    left.push(...(await collectFailure(undoing, 'it could not be put back')).map(line => `${part.region}: ${line}`));
  }
  return combineFailures(ends, left);
}

/** Nothing is taken back: what goes on is found by the next run, and what has come to its end is as good as it was. */
function keepRegions(ends: readonly End[], aside: Leftovers): unknown {
  const lines = formatGroups(ends.map(({ part, rolls }) => ({ part, groups: rolls?.groups ?? [] })));
  const over = ends.some(({ failure }) => failure !== undefined && !isInProgress(failure));
  if (over) aside.remaining.push(...lines, ...unwatched(ends));
  return combineFailures(ends, lines);
}

interface Standing {
  readonly part: RegionPlan;
  readonly groups: readonly GroupResult[];
}

export const formatGroups = (all: readonly Standing[]): readonly string[] =>
  all.flatMap(({ part: { promotion, region }, groups }) => groups.map(group => `${region}: ${standsAt(group, promotion.image.id)}`));

/** Of regions that nobody looks at any more. */
const unwatched = (ends: readonly End[]): readonly string[] =>
  ends.flatMap(({ failure }) => (isInProgress(failure) ? leftoversOf(failure) : []));

function standsAt({ group, successor, refresh, status }: GroupResult, imageId: string): string {
  if (successor !== undefined) return `${successor} stays beside ${group}`;
  return status === 'InProgress' ? `refresh ${refresh} of ${group} goes on by itself` : `${group} runs ${imageId}`;
}

/** The failure that decides, and what the others have to tell. */
function combineFailures(ends: readonly End[], left: readonly string[]): unknown {
  const failed = ends.filter(({ failure }) => failure !== undefined);
  const first = failed.find(({ failure, halted }) => !halted && !isInProgress(failure)) ?? failed[0];
  const others = failed.filter(end => end !== first);
  const more = others.flatMap(({ failure, halted }) => [
    ...(halted || !(failure instanceof ActionError) || failure instanceof CancelledError ? [] : [failure.message]),
    ...leftoversOf(failure),
  ]);
  const idle = ends.filter(({ rolls, failure }) => rolls === undefined && failure === undefined);
  const all = [...more, ...left, ...idle.map(({ part }) => `${part.region}: nothing was begun`)];
  if (!isInProgress(first?.failure)) return withDetails(first?.failure, { leftovers: all });
  const done = ends.some(({ rolls }) => rolls !== undefined);
  // AWS rolls back what is under way, and a region that is done is not.
  if (first?.failure instanceof CancelledError && first.part.promotion.roll.onCancel === 'rollback') {
    const same = !done && failed.every(({ failure }) => nextOf(failure) === nextOf(first.failure));
    return withDetails(first.failure, { leftovers: all, next: same ? nextOf(first.failure) : ROLL_BACK_THE_REST });
  }
  // Where nobody was reached at all, nothing goes on anywhere.
  const none = !done && failed.every(({ failure }) => failure instanceof UnreachableError);
  return none ? withDetails(first?.failure, { leftovers: all }) : indeterminate(first?.failure, all, RESUME);
}

const leftoversOf = (failure: unknown): readonly string[] => (failure instanceof ActionError ? failure.leftovers : []);
