import { CancelledError } from '../kit/errors.ts';
import type { Clock } from '../ports/deps.ts';

/** Seconds of the lab in one real second. */
export const clockSpeed = (environment: NodeJS.ProcessEnv = process.env): number => Number(environment['AMI_ACTION_CLOCK_SPEED'] ?? 1);

/**
 * The time. With AMI_ACTION_CLOCK_SPEED=60 a second counts as sixty, from AMI_ACTION_CLOCK_SINCE (milliseconds since 1970) on: the lab
 * runs that much faster than AWS, and both need the same time.
 */
export function systemClock(cancelled: AbortSignal, environment: NodeJS.ProcessEnv = process.env): Clock {
  const speed = clockSpeed(environment);
  const since = Number(environment['AMI_ACTION_CLOCK_SINCE'] ?? Date.now());
  return {
    now: () => since + (Date.now() - since) * speed,
    sleep: ms =>
      new Promise((done, failed) => {
        if (cancelled.aborted) return failed(new CancelledError());
        const timer = setTimeout(() => {
          cancelled.removeEventListener('abort', stop);
          done();
        }, ms / speed);
        const stop = () => {
          clearTimeout(timer);
          failed(new CancelledError());
        };
        cancelled.addEventListener('abort', stop, { once: true });
      }),
  };
}
