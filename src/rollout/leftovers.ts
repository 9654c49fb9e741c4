import { AccessError, RejectedError, UnreachableError, withDetails } from '../kit/errors.ts';
import { candidateName } from '../model/pointer.ts';
import { isAnnounced } from './announce.ts';
import { indeterminate, isInProgress, nextOf, RESUME, ROLL_BACK_THE_REST } from './indeterminate.ts';
import type { Promotion } from './plan.ts';
import type { GroupResult } from './roll-group.ts';

/** How a failed promotion reads: what is left, and the next command. */

/** What a failure must tell, wherever it comes from. */
export interface Leftovers {
  /** What was cleared away for the roll, and stays so. */
  readonly cleared: string[];
  /** What could not be put back. */
  readonly remaining: string[];
}

/** The announcement goes when everything is as it was, and not before: it tells the next run, and a rollback, what this one was about. */
export async function withLeftovers(
  failure: unknown,
  promotions: readonly Promotion[],
  { cleared, remaining }: Leftovers,
  undoing: () => Promise<void>,
): Promise<unknown> {
  const [promotion] = promotions;
  if (promotion === undefined) return failure;
  const candidate = candidateName(promotion.pointer.name);
  if (isInProgress(failure))
    return withDetails(failure, { leftovers: [...cleared, `${candidate} keeps the image from being pruned until then`] });
  const begun = [...new Set(promotions.flatMap(earlierRollouts))];
  if (remaining.length > 0 || begun.length > 0) {
    const next =
      promotion.operation === 'promote'
        ? `${ROLL_BACK_THE_REST} Or mend what failed, and run the job again.`
        : 'Mend what failed, and run the job again: it goes on with this rollback.';
    const left = [...cleared, ...begun, `${candidate} stays, so that the next run knows where this one started`];
    return withDetails(failure, { leftovers: left, next: nextOf(failure) ?? next });
  }
  const kept = await undoing().then(
    () => [],
    cause => [`${candidate} stays, and the next run withdraws it: ${cause instanceof Error ? cause.message : String(cause)}`],
  );
  return cleared.length + kept.length === 0 ? failure : withDetails(failure, { leftovers: [...cleared, ...kept] });
}

/** Another operation that was lost half way before this one, so that "as it was" is not what the pointer says. */
function earlierRollouts(promotion: Promotion): readonly string[] {
  const { candidate, current } = promotion.pointer;
  if (candidate === undefined || candidate.value === current?.value || isAnnounced(promotion)) return [];
  return [`what an earlier run had begun with ${candidate.value} and did not finish`];
}

/** What became of one region. */
export interface RegionState {
  readonly region: string;
  readonly several: boolean;
  readonly promotion: Promotion;
  readonly groups: readonly GroupResult[];
  readonly moved: boolean;
  /** What the pointer names is in the failure: somebody else, or the image, has crossed us. */
  readonly conflict: boolean;
}

/** All is proven, and only the rest did not come to its end. */
export function notSettled(failure: unknown, ends: readonly RegionState[]): unknown {
  const forbidden = failure instanceof AccessError && !(failure instanceof UnreachableError);
  const known = forbidden || failure instanceof RejectedError;
  const candidates = [...new Set(ends.map(({ promotion }) => candidateName(promotion.pointer.name)))];
  const left = [...ends.flatMap(end => formatState(end, known)), ...candidates.map(name => `${name} stays until all is done`)];
  return forbidden
    ? withDetails(failure, { leftovers: left, next: `${failure.next ?? 'Mend that.'} ${RESUME}` })
    : indeterminate(failure, left, RESUME);
}

function formatState(
  { region, several, promotion: { pointer, image }, groups, moved, conflict }: RegionState,
  known: boolean,
): readonly string[] {
  const old = `${known ? 'still names' : 'may still name'} ${pointer.current?.value ?? 'nothing'}`;
  const lines = [
    ...(groups.length === 0 ? [] : [`${groups.map(({ group }) => group).join(', ')} launch and run ${image.id}, proven`]),
    ...(conflict ? [] : [`${pointer.name} ${moved ? `names ${image.id}` : old}`]),
  ];
  return several ? lines.map(line => `${region}: ${line}`) : lines;
}
