import {
  ActionError,
  CancelledError,
  TimeoutError,
  UnknownError,
  UnreachableError,
  UsageError,
  withDetails,
  wrapError,
} from '../kit/errors.ts';
import type { Poll } from '../kit/wait.ts';
import type { Deps } from '../ports/deps.ts';

/** Failures after which a rollout goes on unwatched, or whose cause lies in another region. */

export const RESUME = 'Re-run the job with the same settings: it finds the rollout, watches it and finishes it.';
export const ROLL_BACK_THE_REST = 'Run mode "rollback" with the same groups: it reverts the rest.';

/** Nothing failed, only the watching ended: nothing is undone, and the next run with the same settings continues. */
export const isInProgress = (failure: unknown): boolean =>
  [TimeoutError, CancelledError, UnknownError, UnreachableError].some(kind => failure instanceof kind);

/** The rollout goes on and its result is unknown. Without a network this is no longer a failure of access alone. */
export function indeterminate(failure: unknown, leftovers: readonly string[], next: string): unknown {
  if (!(failure instanceof UnreachableError)) return withDetails(failure, { leftovers, next: nextOf(failure) ?? next });
  return new UnknownError(failure.message, {
    leftovers: [...failure.leftovers, ...leftovers],
    next: `${next} If that run cannot reach AWS either: ${failure.next}`,
    cause: failure,
  });
}

export const nextOf = (failure: unknown): string | undefined => (failure instanceof ActionError ? failure.next : undefined);

/** The same failure, with the region that it happened in. */
export function regionPrefix(failure: unknown, region: string): unknown {
  const prefixed = (lines: readonly string[]) => lines.map(line => `${region}: ${line}`);
  if (failure instanceof UsageError)
    return new UsageError(prefixed(failure.problems), { ...failure, leftovers: prefixed(failure.leftovers), cause: failure });
  return failure instanceof ActionError
    ? wrapError(failure, `${region}: ${failure.message}`, { ...failure, leftovers: prefixed(failure.leftovers), cause: failure })
    : failure;
}

// Longer than the restart of a router, shorter than a runner is worth paying for without an answer.
const SILENCE_SECONDS = 600;

/** Polls again after throttling and after a lost connection. The deadline of the wait still holds. */
export function tolerateTransientErrors<T>(poll: () => Promise<Poll<T>>, { clock }: Pick<Deps<never>, 'clock'>): () => Promise<Poll<T>> {
  let answered = clock.now();
  return async () => {
    try {
      const seen = await poll();
      answered = clock.now();
      return seen;
    } catch (cause) {
      const isSilent = cause instanceof UnreachableError && clock.now() - answered < SILENCE_SECONDS * 1000;
      if (isSilent || cause instanceof TimeoutError) return { state: 'waiting', note: `no answer from AWS in time: ${cause.message}` };
      throw cause;
    }
  };
}
