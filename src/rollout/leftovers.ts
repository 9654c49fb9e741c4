import { isDenied, RejectedError, withDetails } from '../kit/errors.ts';
import { formatList } from '../kit/format.ts';
import { candidateName } from '../model/pointer.ts';
import { collectFailure } from './compensations.ts';
import { indeterminate, isInProgress, nextOf, RESUME, ROLL_BACK_THE_REST } from './indeterminate.ts';
import { isCandidate, isReplaced } from './pointer.ts';
import { goneLine } from './revert-group.ts';
import type { GroupResult } from './roll-group.ts';
import type { RegionPlan } from './rollout-spec.ts';

export interface Leftovers {
  /** Blockers that were removed for the rollout, and stay removed. */
  readonly cleared: string[];
  /** What could not be reverted. */
  readonly remaining: string[];
}

/** The candidate is removed only when everything is reverted: it shows the next run, and a rollback, where this one started. */
export async function withLeftovers(
  failure: unknown,
  plans: readonly RegionPlan[],
  { cleared, remaining }: Leftovers,
  undo: () => Promise<void>,
): Promise<unknown> {
  const [home] = plans;
  if (home === undefined) return failure;
  const candidate = candidateName(home.pointer.name);
  if (isReplaced(failure)) return withDetails(failure, { leftovers: cleared });
  if (isInProgress(failure))
    return withDetails(failure, {
      leftovers: [...cleared, `${candidate} keeps the image from being pruned until the rollout has finished`],
    });
  const unfinished = [...new Set(plans.flatMap(earlierRollouts))];
  if (!isReverted(plans, { remaining })) {
    const next =
      home.operation === 'promote'
        ? `${goneFirst(plans, remaining)}${ROLL_BACK_THE_REST} Or fix the cause and run the job again.`
        : 'Fix the cause and run the job again: it continues this rollback.';
    const leftovers = [...cleared, ...unfinished, `${candidate} is kept: it shows the next run where this one started`];
    return withDetails(failure, { leftovers, next: nextOf(failure) ?? next });
  }
  const kept = await collectFailure(undo, `${candidate} is kept, and the next run removes it`);
  return cleared.length + kept.length === 0 ? failure : withDetails(failure, { leftovers: [...cleared, ...kept] });
}

/** A rollback with a group that was deleted would be refused. */
function goneFirst(plans: readonly RegionPlan[], remaining: readonly string[]): string {
  const names = plans.flatMap(({ groups }) => groups.map(({ facts }) => facts.group.name));
  const gone = names.filter(name => remaining.some(line => line.endsWith(goneLine(name))));
  return gone.length === 0 ? '' : `Create ${formatList(gone)} again, or remove it from "groups". `;
}

/** Every group runs what it did before. */
export const isReverted = (plans: readonly RegionPlan[], { remaining }: Pick<Leftovers, 'remaining'>): boolean =>
  remaining.length === 0 && plans.flatMap(earlierRollouts).length === 0;

/** Another unfinished operation before this one, so that the groups may differ from the pointer. */
function earlierRollouts(plan: RegionPlan): readonly string[] {
  const { candidate, current } = plan.pointer;
  if (candidate === undefined || candidate.value === current?.value || isCandidate(plan)) return [];
  return [`an unfinished rollout of ${candidate.value} by an earlier run`];
}

export interface RegionState extends Pick<RegionPlan, 'region' | 'several' | 'pointer' | 'image'> {
  readonly results: readonly GroupResult[];
  readonly moved: boolean;
  /** Another process changed the pointer; the failure names what it holds. */
  readonly conflict: boolean;
}

/** All groups are verified, and only a later step failed. */
export function notSettled(failure: unknown, regions: readonly RegionState[]): unknown {
  const forbidden = isDenied(failure);
  const known = forbidden || failure instanceof RejectedError;
  const candidates = new Set(regions.map(({ pointer }) => `${candidateName(pointer.name)} is kept until the end`));
  const leftovers = [...regions.flatMap(region => formatState(region, known)), ...candidates];
  return forbidden
    ? withDetails(failure, { leftovers, next: `${failure.next ?? 'Grant the permission.'} ${RESUME}` })
    : indeterminate(failure, leftovers, RESUME);
}

function formatState({ region, several, pointer, image, results, moved, conflict }: RegionState, known: boolean): readonly string[] {
  const old = `${known ? 'still names' : 'may still name'} ${pointer.current?.value ?? 'nothing'}`;
  const lines = [
    ...results.map(({ group }) => `${group} launches and runs ${image.id} (verified)`),
    ...(conflict ? [] : [`${pointer.name} ${moved ? `names ${image.id}` : old}`]),
  ];
  return several ? lines.map(line => `${region}: ${line}`) : lines;
}
