import type { Group } from '../model/group.ts';
import type { RolloutDeps, RolloutPorts } from './rollout-state.ts';
import { consecutiveFailures } from './rules/launches.ts';

/** Launches that fail. AWS shows why in the scaling activities only: capacity, quotas, KMS grants, a wrong architecture. */

export interface LaunchWatch {
  readonly since: number;
  members: ReadonlyMap<string, string>;
  /** When the group may be called quiet: from then on nothing is on its way. */
  busyUntil: number;
  reported: string;
}

export const newLaunchWatch = (now: number): LaunchWatch => ({ since: now, members: new Map(), busyUntil: now, reported: '' });

// A launch that fails is reported within a minute, and a rollout without trouble makes no call.
const QUIET_SECONDS = 50;

// An instance boots, and AWS pauses at a checkpoint, for longer.
const BOOT_SECONDS = 120;

// One failure may be the capacity of one zone, and AWS tries the next one.
const MAX_FAILED = 3;

/** What the refresh waits for besides launches. */
interface Pauses {
  readonly warmUpSeconds?: number;
  readonly atCheckpoint?: boolean;
}

function isQuiet(group: Group, watch: LaunchWatch, now: number, { warmUpSeconds = 0, atCheckpoint = false }: Pauses): boolean {
  const { members } = group;
  const states = new Map(members.map(({ id, state }) => [id, state]));
  const isLost = [...watch.members].some(([id, state]) => state.startsWith('Pending') && isEnding(states.get(id)));
  const entered = members.some(({ id, state }) => state === 'InService' && watch.members.get(id) !== state);
  const changed = states.size !== watch.members.size || [...states].some(([id, state]) => watch.members.get(id) !== state);
  if (changed) watch.busyUntil = now + (entered && watch.members.size > 0 ? warmUpSeconds * 1000 : 0);
  watch.members = states;
  const boots = members.some(({ state }) => state.startsWith('Pending')) && !lacksSome(group);
  // One that was never in service is gone: most likely its launch failed.
  const quiet = isLost || now - watch.busyUntil >= (boots || atCheckpoint ? BOOT_SECONDS : QUIET_SECONDS) * 1000;
  if (quiet) watch.busyUntil = now;
  return quiet;
}

const isEnding = (state = 'Terminated'): boolean => state.startsWith('Terminat');

/** Others boot, and AWS could not launch as many as it should. */
const lacksSome = ({ members, desired, sizeUnit }: Group): boolean =>
  sizeUnit === undefined && members.filter(({ state }) => !isEnding(state)).length < desired;

/** Reads the activities of a group in which nothing changes. Returns why its launches fail. */
export async function failedLaunches(
  group: Group,
  watch: LaunchWatch,
  { aws, deps }: { readonly aws: Pick<RolloutPorts, 'groups'>; readonly deps: Pick<RolloutDeps, 'clock' | 'report'> },
  pauses: Pauses = {},
): Promise<string | undefined> {
  if (!isQuiet(group, watch, deps.clock.now(), pauses)) return undefined;
  const launches = await aws.groups.launches(group.name);
  const failures = consecutiveFailures(launches, watch.since);
  const [latest] = failures;
  if (latest === undefined) return undefined;
  if (latest.message !== watch.reported) deps.report.warn(`${group.name}: a launch failed: ${latest.message}`);
  watch.reported = latest.message;
  return failures.length >= MAX_FAILED ? `${failures.length} launches in a row failed: ${latest.message}` : undefined;
}
