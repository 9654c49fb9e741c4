import { TimeoutError, UnreachableError } from '../kit/errors.ts';
import type { Poll } from '../kit/wait.ts';
import type { RolloutDeps } from './rollout-state.ts';

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
