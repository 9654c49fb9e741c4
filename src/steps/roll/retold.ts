import {
  AccessError,
  CancelledError,
  type Details,
  Expected,
  RejectedError,
  TimeoutError,
  UnknownError,
  UnreachableError,
  UsageError,
} from '../../kit/errors.ts';

/** A failure, told again by those who know more: what goes on, what is left, and the next command. */

export const GO_ON = 'Run the job again with the same settings: it finds what was begun, watches it and finishes.';
export const BRING_BACK = 'Run mode "rollback" with the same groups: it brings back what is left.';

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

/** The same failure, where it may have been in one of several regions. */
export function inRegion(failure: unknown, region: string): unknown {
  const there = (lines: readonly string[]) => lines.map(line => `${region}: ${line}`);
  if (failure instanceof UsageError)
    return new UsageError(there(failure.problems), { ...failure, left: there(failure.left), cause: failure });
  return failure instanceof Expected
    ? remade(failure, `${region}: ${failure.message}`, { ...failure, left: there(failure.left) })
    : failure;
}

/** The same kind of failure, with more to tell. A bug stays what it is. */
export function retold(failure: unknown, more: Details): unknown {
  if (!(failure instanceof Expected)) return failure;
  const details: Details = {
    left: [...failure.left, ...(more.left ?? [])],
    next: more.next ?? failure.next,
    outputs: { ...failure.outputs, ...more.outputs },
  };
  return remade(failure, failure.message, details);
}

const KINDS = [UnreachableError, AccessError, RejectedError, TimeoutError, CancelledError, UnknownError] as const;

function remade(failure: Expected, message: string, details: Details): Expected {
  const Kind = KINDS.find(kind => failure instanceof kind) ?? RejectedError;
  return new Kind(message, { ...details, cause: failure });
}
