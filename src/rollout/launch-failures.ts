import type { Group } from '../model/group.ts';
import type { RolloutDeps, RolloutPorts } from './rollout-state.ts';
import { consecutiveFailures } from './rules/launches.ts';

/** Launches that fail. AWS shows why in the scaling activities only: capacity, quotas, KMS grants, a wrong architecture. */

export interface LaunchWatch {
  readonly since: number;
  progress: string;
  changedAt: number;
  reported: string;
}

export const newLaunchWatch = (now: number): LaunchWatch => ({ since: now, progress: '', changedAt: now, reported: '' });

// Instances appear sooner than this if they launch at all. So a rollout without trouble makes no call.
const QUIET_SECONDS = 120;

// One failure may be the capacity of one zone, and AWS tries the next one.
const MAX_FAILED = 3;

const progressOf = ({ members }: Group): string => members.map(({ id, state }) => `${id} ${state}`).join();

/** Reads the activities of a group in which nothing has changed for two minutes. Returns why its launches fail. */
export async function failedLaunches(
  group: Group,
  watch: LaunchWatch,
  { aws, deps }: { readonly aws: Pick<RolloutPorts, 'groups'>; readonly deps: Pick<RolloutDeps, 'clock' | 'report'> },
): Promise<string | undefined> {
  const now = deps.clock.now();
  const progress = progressOf(group);
  const isQuiet = progress === watch.progress && now - watch.changedAt >= QUIET_SECONDS * 1000;
  if (progress !== watch.progress || isQuiet) Object.assign(watch, { progress, changedAt: now });
  if (!isQuiet) return undefined;
  const launches = await aws.groups.launches(group.name);
  const failures = consecutiveFailures(launches, watch.since);
  const [latest] = failures;
  if (latest === undefined) return undefined;
  if (latest.message !== watch.reported) deps.report.warn(`${group.name}: a launch failed: ${latest.message}`);
  watch.reported = latest.message;
  return failures.length >= MAX_FAILED ? `${failures.length} launches in a row failed: ${latest.message}` : undefined;
}
