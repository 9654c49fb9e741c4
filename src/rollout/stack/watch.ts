import { UnknownError } from '../../kit/errors.ts';
import { type Poll, waitFor } from '../../kit/wait.ts';
import type { Stack, StackOperation } from '../../model/stack.ts';
import { tolerateTransientErrors } from '../indeterminate.ts';
import { firstFailedCheck, newInstances, readImages } from '../instance-health.ts';
import { failedLaunches, type LaunchWatch, newLaunchWatch } from '../launch-failures.ts';
import type { RegionPlan } from '../rollout-spec.ts';
import type { RolloutOrder } from '../rollout-state.ts';
import { evaluateUpdate, formatEvent } from '../rules/evaluate-update.ts';
import { isSettled } from '../rules/stack.ts';
import { groupsOfStack } from './plan.ts';

/** Follows an update of a stack: its events as lines of progress, and its new instances. */

interface Watched {
  /** Names the update. */
  readonly token: string;
  /** Undefined: the instances are not looked at. */
  readonly order: Pick<RolloutOrder, 'halt' | 'check'> | undefined;
}

interface Seen {
  readonly events: Set<string>;
  readonly images: Map<string, string>;
  readonly since: Map<string, number>;
  readonly checked: Set<string>;
  readonly launches: Map<string, LaunchWatch>;
  doubts: number;
}

/** Returns when the update is complete. Throws a `RejectedError` with the first failed event, or the first failed check. */
export async function watchUpdate({ id, name }: Stack, watched: Watched, plan: RegionPlan): Promise<void> {
  const { deps, roll, aws } = plan;
  const seen: Seen = { events: new Set(), images: new Map(), since: new Map(), checked: new Set(), launches: new Map(), doubts: 0 };
  const poll = async (): Promise<Poll<void>> => {
    watched.order?.halt.signal.throwIfAborted();
    // The status last: it is complete since the update before, until CloudFormation begins this one.
    const operation = await aws.stacks.operation(id);
    const stack = await existing(id, name, plan);
    const evaluation = evaluateUpdate(stack, operation, watched.token, seen.doubts);
    if (operation.token === watched.token) reportEvents(operation, seen, plan);
    if (evaluation.state === 'done') return { state: 'done', value: undefined };
    if (evaluation.state === 'failed') return evaluation;
    seen.doubts = evaluation.doubtful ? seen.doubts + 1 : 0;
    const reason = watched.order === undefined || evaluation.doubtful ? undefined : await badInstance(stack, watched.order, seen, plan);
    return reason === undefined ? evaluation : { state: 'failed', reason };
  };
  const what = `Stack ${name}`;
  await waitFor({ what, everySeconds: 10, atMostSeconds: roll.rollTimeout, poll: tolerateTransientErrors(poll, deps) }, deps);
}

async function existing(id: string, name: string, { aws }: Pick<RegionPlan, 'aws'>): Promise<Stack> {
  const stack = await aws.stacks.find(id);
  if (stack === undefined) throw new UnknownError(`Stack ${name} no longer exists.`);
  return stack;
}

function reportEvents({ events }: StackOperation, seen: Seen, { deps }: Pick<RegionPlan, 'deps'>): void {
  for (const event of events.filter(({ id }) => !seen.events.has(id))) {
    seen.events.add(event.id);
    deps.report.info(formatEvent(event));
  }
}

/** A new instance that fails its checks, or launches that fail: without signals CloudFormation would go on. */
async function badInstance(stack: Stack, order: NonNullable<Watched['order']>, seen: Seen, plan: RegionPlan): Promise<string | undefined> {
  const { aws, deps, image, roll } = plan;
  const groups = await groupsOfStack(stack, aws.groups);
  await readImages(groups, seen.images, aws);
  const now = deps.clock.now();
  for (const group of groups) {
    const launches = seen.launches.get(group.name) ?? newLaunchWatch(now);
    seen.launches.set(group.name, launches);
    const created = newInstances(group, seen.images, image.id);
    for (const id of created) seen.since.set(id, seen.since.get(id) ?? now);
    const warm = created.filter(id => now - (seen.since.get(id) ?? now) >= (roll.warmUp ?? group.warmUpSeconds) * 1000);
    const reason =
      (await firstFailedCheck(warm, { order, checked: seen.checked })) ?? (await failedLaunches(group, launches, { aws, deps }));
    if (reason !== undefined) return `${group.name}: ${reason}`;
  }
  return undefined;
}

/** Waits for the end of whatever is in progress. */
export function waitUntilSettled({ id, name }: Stack, plan: RegionPlan): Promise<Stack> {
  const { deps, roll } = plan;
  const poll = async (): Promise<Poll<Stack>> => {
    const stack = await existing(id, name, plan);
    return isSettled(stack) ? { state: 'done', value: stack } : { state: 'waiting', note: stack.status };
  };
  const what = `Stack ${name}`;
  return waitFor({ what, everySeconds: 10, atMostSeconds: roll.rollTimeout, poll: tolerateTransientErrors(poll, deps) }, deps);
}
