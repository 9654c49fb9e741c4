import { candidateName } from '../../domain/pointer.ts';
import {
  AccessError,
  CancelledError,
  type Details,
  Expected,
  RejectedError,
  TimeoutError,
  UnknownError,
  UnreachableError,
} from '../../kit/errors.ts';
import { isAnnounced } from './announce.ts';
import type { Aside } from './deliver.ts';
import type { Promotion } from './promotion.ts';
import type { RolledGroup } from './roll.ts';

/** How a failed promotion reads: what is left, and the next command. */

export const GO_ON = 'Run the job again with the same settings: it finds what was begun, watches it and finishes.';

/** We stopped looking, but what we started goes on: nothing is undone, the next run with the same settings finds it. */
export const isStillMoving = (failure: unknown): boolean =>
  [TimeoutError, CancelledError, UnknownError, UnreachableError].some(kind => failure instanceof kind);

/** What was begun goes on and we cannot look: without a network, how it ends is unknown, and no longer a matter of the network alone. */
export function outOfSight(failure: unknown, left: readonly string[], next: string): unknown {
  if (!(failure instanceof UnreachableError)) return retold(failure, { left, next: nextOf(failure) ?? next });
  return new UnknownError(failure.message, {
    left: [...failure.left, ...left],
    next: `${next} If it cannot reach AWS either: ${failure.next}`,
    cause: failure,
  });
}

export const nextOf = (failure: unknown): string | undefined => (failure instanceof Expected ? failure.next : undefined);

/** The announcement goes when everything is as it was, and not before: it tells the next run, and a rollback, what this one was about. */
export async function takeBack(
  failure: unknown,
  promotion: Promotion,
  { cleared, remains }: Aside,
  undoing: () => Promise<void>,
): Promise<unknown> {
  const candidate = candidateName(promotion.pointer.name);
  if (isStillMoving(failure)) return retold(failure, { left: [...cleared, `${candidate} keeps the image from being pruned until then`] });
  const begun = begunBefore(promotion);
  if (remains.length > 0 || begun.length > 0) {
    const next =
      promotion.deed === 'promote'
        ? 'Run mode "rollback" with the same groups: it brings back what is left. Or mend what failed, and run the job again.'
        : 'Mend what failed, and run the job again: it goes on with this rollback.';
    const left = [...cleared, ...begun, `${candidate} stays, so that the next run knows where this one started`];
    return retold(failure, { left, next: nextOf(failure) ?? next });
  }
  const kept = await undoing().then(
    () => [],
    cause => [`${candidate} stays, and the next run withdraws it: ${cause instanceof Error ? cause.message : String(cause)}`],
  );
  return cleared.length + kept.length === 0 ? failure : retold(failure, { left: [...cleared, ...kept] });
}

/** Another deed that was lost half way before this one, so that "as it was" is not what the pointer says. */
function begunBefore(promotion: Promotion): readonly string[] {
  const { candidate, current } = promotion.pointer;
  if (candidate === undefined || candidate.value === current?.value || isAnnounced(promotion)) return [];
  return [`what an earlier run had begun with ${candidate.value} and did not finish`];
}

/** All is proven, and only the rest did not come to its end. */
export function stopped(failure: unknown, { pointer, image }: Promotion, groups: readonly RolledGroup[], moved: boolean): unknown {
  const forbidden = failure instanceof AccessError && !(failure instanceof UnreachableError);
  const old = `${forbidden ? 'still names' : 'may still name'} ${pointer.current?.value ?? 'nothing'}`;
  // Who was crossed by somebody else, or by the image, has been told what the pointer names.
  const names = moved ? `names ${image.id}` : failure instanceof RejectedError ? undefined : old;
  const left = [
    ...(groups.length === 0 ? [] : [`${groups.map(({ group }) => group).join(', ')} launch and run ${image.id}, proven`]),
    ...(names === undefined ? [] : [`${pointer.name} ${names}`]),
    `${candidateName(pointer.name)} stays until all is done`,
  ];
  return forbidden ? retold(failure, { left, next: `${failure.next ?? 'Mend that.'} ${GO_ON}` }) : outOfSight(failure, left, GO_ON);
}

/** The same kind of failure, with more to tell. A bug stays what it is. */
export function retold(failure: unknown, more: Details): unknown {
  if (!(failure instanceof Expected)) return failure;
  const details: Details = {
    left: [...failure.left, ...(more.left ?? [])],
    next: more.next ?? failure.next,
    outputs: { ...failure.outputs, ...more.outputs },
    cause: failure,
  };
  const Kind =
    [UnreachableError, AccessError, RejectedError, TimeoutError, CancelledError, UnknownError].find(kind => failure instanceof kind) ??
    RejectedError;
  return new Kind(failure.message, details);
}
