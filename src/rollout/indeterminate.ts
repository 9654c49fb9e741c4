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
import type { RolloutDeps } from './rollout-state.ts';

/** Failures after which something goes on that we do not look at any more, or in another region: how they are told. */

export const RESUME = 'Run the job again with the same settings: it finds what was begun, watches it and finishes.';
export const ROLL_BACK_THE_REST = 'Run mode "rollback" with the same groups: it brings back what is left.';

/** We stopped looking, but what we started goes on: nothing is undone, the next run with the same settings finds it. */
export const isInProgress = (failure: unknown): boolean =>
  [TimeoutError, CancelledError, UnknownError, UnreachableError].some(kind => failure instanceof kind);

/** What was begun goes on and we cannot look: without a network, how it ends is unknown, and no longer a matter of the network alone. */
export function indeterminate(failure: unknown, left: readonly string[], next: string): unknown {
  if (!(failure instanceof UnreachableError)) return withDetails(failure, { leftovers: left, next: nextOf(failure) ?? next });
  return new UnknownError(failure.message, {
    leftovers: [...failure.leftovers, ...left],
    next: `${next} If it cannot reach AWS either: ${failure.next}`,
    cause: failure,
  });
}

export const nextOf = (failure: unknown): string | undefined => (failure instanceof ActionError ? failure.next : undefined);

/** The same failure, where it may have been in one of several regions. */
export function regionPrefix(failure: unknown, region: string): unknown {
  const there = (lines: readonly string[]) => lines.map(line => `${region}: ${line}`);
  if (failure instanceof UsageError)
    return new UsageError(there(failure.problems), { ...failure, leftovers: there(failure.leftovers), cause: failure });
  return failure instanceof ActionError
    ? wrapError(failure, `${region}: ${failure.message}`, { ...failure, leftovers: there(failure.leftovers), cause: failure })
    : failure;
}

// Longer than a router that restarts, shorter than what anybody wants to pay a runner for that sees nothing.
const SILENCE_SECONDS = 600;

/** Throttling says nothing about a roll, and a network that is gone may come back: one looks again. The deadline still holds. */
export function tolerateTransientErrors<T>(look: () => Promise<Poll<T>>, { clock }: Pick<RolloutDeps, 'clock'>): () => Promise<Poll<T>> {
  let answered = clock.now();
  return async () => {
    try {
      const seen = await look();
      answered = clock.now();
      return seen;
    } catch (cause) {
      const silent = cause instanceof UnreachableError && clock.now() - answered < SILENCE_SECONDS * 1000;
      if (silent || cause instanceof TimeoutError) return { state: 'waiting', note: `AWS does not answer in time: ${cause.message}` };
      throw cause;
    }
  };
}
