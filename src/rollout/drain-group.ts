import { formatCount } from '../kit/format.ts';
import { waitFor } from '../kit/wait.ts';
import type { Group } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import type { RolloutDeps, RolloutPorts } from './rollout-state.ts';
import type { ShiftRecord } from './rules/shift.ts';

/** Empties a group, and waits for that or for its deletion. */

export interface PairDeps {
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
}

export interface Names {
  readonly old: string;
  readonly successor: string;
}

/** `record`: with weights, what the tag of the green group remembers of them. */
export type NewPair = Names & { readonly record: ShiftRecord | undefined };

// Draining by load balancers. Termination hooks may take longer.
export const DRAIN_SECONDS = 1800;

/** Returns the next step for a failure afterwards. `whenSized`: stops what may size the group again; runs when its size is 0. */
export async function drain(name: string, then: string, pairDeps: PairDeps, whenSized = async () => {}): Promise<string> {
  const { aws } = pairDeps;
  const none = { min: 0, max: 0, desired: 0 };
  await aws.groups.resize(name, none);
  await whenSized();
  // A scheduled action may have set its sizes in between.
  if ((await aws.groups.find({ names: [name] })).some(({ desired }) => desired > 0)) await aws.groups.resize(name, none);
  const atMostSeconds = DRAIN_SECONDS + (await aws.groups.terminationSeconds(name));
  const next = `Check why its instances stay (scale-in protection, termination hooks), then re-run the job: ${then}.`;
  const isEmpty = ({ members }: Group) => members.length === 0;
  await waitUntilGone(name, `Draining ${name}`, pairDeps, { isOver: isEmpty, atMostSeconds, next });
  return next;
}

interface Until {
  isOver?(group: Group): boolean;
  readonly atMostSeconds?: number;
  readonly next?: string;
}

/** Waits until the group no longer exists, or until `isOver`. Throws a `TimeoutError`, after 30 minutes if not said otherwise. */
export function waitUntilGone(
  name: string,
  what: string,
  { deps, aws }: PairDeps,
  { isOver = () => false, atMostSeconds = DRAIN_SECONDS, next }: Until = {},
): Promise<void> {
  const poll = tolerateTransientErrors<void>(async () => {
    const [group] = await aws.groups.find({ names: [name] });
    if (group === undefined || isOver(group)) return { state: 'done', value: undefined };
    return { state: 'waiting', note: `${formatCount(group.members.length, 'instance')} remaining` };
  }, deps);
  return waitFor({ what, everySeconds: 10, atMostSeconds, poll, ...(next === undefined ? {} : { next }) }, deps);
}
