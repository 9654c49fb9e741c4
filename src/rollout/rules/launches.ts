import type { Launching } from '../../model/group.ts';

/** The launches since a moment that failed after the last successful one, newest first. */
export function consecutiveFailures(launches: readonly Launching[], since: number): readonly Launching[] {
  const ended = launches.filter(({ at, result }) => result !== 'pending' && at.getTime() >= since);
  const success = ended.findIndex(({ result }) => result === 'successful');
  return success === -1 ? ended : ended.slice(0, success);
}
