import { CancelledError } from '../kit/errors.ts';
import type { Clock } from '../ports/deps.ts';

/**
 * A number that tests and demo set, with an endpoint on loopback. Elsewhere it is ignored: with another clock prune would remove images that are young.
 */
export function labNumber(
  name: 'CLOCK_SPEED' | 'CLOCK_SINCE' | 'GRACE_SECONDS',
  environment: NodeJS.ProcessEnv = process.env,
): number | undefined {
  const value = environment[`AMI_ACTION_${name}`];
  const endpoint = environment['AWS_ENDPOINT_URL'] ?? '';
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  return value !== undefined && /^(127(\.\d+){3}|localhost|\[::1\])$/.test(host) ? Number(value) : undefined;
}

/** Seconds of the lab in one real second. */
export const clockSpeed = (environment?: NodeJS.ProcessEnv): number => labNumber('CLOCK_SPEED', environment) ?? 1;

/** The Date header counts whole seconds, and an answer takes a while. */
const TOLERANCE_MS = 60_000;

export interface SystemClock extends Clock {
  /** Takes over the time of a server (milliseconds since 1970) that differs by more than a minute. Returns by how much the runner differs, in milliseconds. */
  follow(serverTime: number): number | undefined;
  /** By how much the runner differs, in milliseconds; 0 while it is less than a minute. */
  skew(): number;
}

/**
 * The time. With AMI_ACTION_CLOCK_SPEED=60 a second counts as sixty, from AMI_ACTION_CLOCK_SINCE (milliseconds since 1970) on: the lab
 * runs that much faster than AWS, and both need the same time.
 */
export function systemClock(cancelled: AbortSignal, environment: NodeJS.ProcessEnv = process.env): SystemClock {
  const speed = clockSpeed(environment);
  const since = labNumber('CLOCK_SINCE', environment) ?? Date.now();
  const runner = () => since + (Date.now() - since) * speed;
  let skew = 0;
  return {
    now: () => runner() + skew,
    follow(serverTime) {
      const difference = serverTime - (runner() + skew);
      // The lab runs faster than its servers' Date headers.
      if (speed !== 1 || Math.abs(difference) <= TOLERANCE_MS) return undefined;
      skew += difference;
      return skew;
    },
    skew: () => skew,
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
