import { RejectedError, TimeoutError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import type { Group, Target } from '../model/group.ts';
import type { Side } from '../model/split.ts';
import { attachTraffic, createGreenGroup } from './green-group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import {
  betterEvidence,
  collectEvidence,
  type Evidence,
  firstFailedCheck,
  newInstances,
  readImages,
  reportEvidence,
} from './instance-health.ts';
import { failedLaunches, type LaunchWatch, newLaunchWatch } from './launch-failures.ts';
import { fillGroup } from './permanent-group.ts';
import { evaluatePair, greenGroupName, grownTo, isAttached, type PairEvaluation, PROVEN, sourcesOfPair } from './rules/group-pair.ts';
import type { GroupPlan } from './rules/plan.ts';
import { inService } from './rules/proof.ts';
import { silentSeconds } from './rules/traffic.ts';
import { shiftTraffic, type Watch } from './shift/steps.ts';
import { releaseAll } from './take-over.ts';
import type { WatchContext } from './watch-refresh.ts';

/** Blue-green: a green group passes its checks, gets traffic, bakes and takes over; or it is deleted. */

interface Pair {
  readonly old: string;
  readonly successor: string;
  readonly proven: boolean;
  /** With weights: the side that it serves, instead of the load balancers of the old group. */
  readonly receives: Side | undefined;
  /** It is behind the load balancers of the old group. */
  attached: boolean;
  /** Another run deleted the old group, which is the end of a takeover. */
  alone: boolean;
  /** Since when it has been healthy without a break. */
  wellSince: number | undefined;
  /** Since when a load balancer sends no traffic to one of its instances. */
  unservedSince: number | undefined;
  evidence: Evidence | undefined;
  readonly launches: LaunchWatch;
}

const pairOf = ({ facts: { group, successor, idle }, shift }: GroupPlan, imageId: string, now: number): Pair => ({
  old: group.name,
  successor: successor?.group.name ?? idle?.group.name ?? greenGroupName(group.name),
  proven: successor?.group.tags[PROVEN] === imageId,
  receives: shift?.to,
  attached: false,
  alone: false,
  wellSince: undefined,
  unservedSince: undefined,
  evidence: undefined,
  launches: newLaunchWatch(now),
});

/** Creates the green groups and waits until they are healthy. Returns whether the rollout stops here, because of `hold`. */
export async function startGreenGroups(plans: readonly GroupPlan[], context: WatchContext): Promise<boolean> {
  const { order, rollout, aws, deps } = context;
  const pairs = plans.map(plan => pairOf(plan, order.image.id, deps.clock.now()));
  // With the tag of an earlier pair, neither group of the new one would be active.
  await releaseAll(plans, context);
  for (const [i, plan] of plans.entries()) {
    const { facts } = plan;
    const pair = pairs[i] as Pair;
    const { group } = facts;
    const launch = rollout.targets.get(group.name);
    if (launch === undefined) continue;
    if (pair.proven) {
      rollout.successors.set(group.name, pair.successor);
      continue;
    }
    await (facts.idle === undefined ? createGreenGroup : fillGroup)({ ...pair, record: plan.shift?.record }, group, launch, context);
  }
  const watch = (how: Watch) => waitUntilProven(pairs, how, context);
  const [first] = plans;
  if (first?.shift === undefined) await watch({ bakeSeconds: order.bakeSeconds });
  else await shiftTraffic(first.shift, first, pairs[0] as Pair, context, watch);
  const created = pairs.filter(({ proven, alone }) => !proven && !alone);
  for (const { successor } of created) await aws.groups.tag(successor, { [PROVEN]: order.image.id });
  return order.hold && created.length > 0;
}

async function waitUntilProven(pairs: readonly Pair[], how: Watch, context: WatchContext): Promise<void> {
  const { deps, deadline } = context;
  const images = new Map<string, string>();
  const checked = new Set<string>();
  for (const pair of pairs) pair.wellSince = undefined;
  const what = pairs.map(({ successor }) => successor).join(', ');
  const atMostSeconds = Math.max(0, Math.round((deadline - deps.clock.now()) / 1000));
  try {
    const poll = tolerateTransientErrors(() => pollPairs(pairs, { ...context, ...how, images, checked }), deps);
    await waitFor({ what, everySeconds: 10, atMostSeconds, poll }, deps);
  } catch (cause) {
    if (!(cause instanceof TimeoutError)) throw cause;
    for (const { evidence } of pairs) if (evidence !== undefined) reportEvidence(evidence, deps.report);
    // A group does not end by itself, as a refresh does: not healthy in time is a failure.
    throw new RejectedError(cause.message, { cause });
  }
}

type PairContext = WatchContext & Watch & { readonly images: Map<string, string>; readonly checked: Set<string> };

async function pollPairs(pairs: readonly Pair[], context: PairContext): Promise<Poll<void>> {
  const { aws, images, order } = context;
  order.halt.signal.throwIfAborted();
  const guarded = await context.guard?.();
  if (guarded !== undefined) return guarded;
  const groups = await aws.groups.find({ names: pairs.flatMap(({ old, successor }) => [old, successor]) });
  await readImages(groups, images, aws);
  const prefix = ({ successor }: Pair) => (pairs.length === 1 ? '' : `${successor}: `);
  const notes: string[] = [];
  for (const pair of pairs) {
    const evaluation = await pollPair(pair, groups, context);
    if (evaluation.state === 'failed') return { state: 'failed', reason: `${prefix(pair)}${evaluation.reason}` };
    if (evaluation.state === 'waiting') notes.push(`${prefix(pair)}${evaluation.note}`);
  }
  return notes.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: notes.join('; ') };
}

async function pollPair(pair: Pair, groups: readonly Group[], context: PairContext): Promise<PairEvaluation> {
  const { aws, order, images, deps, bakeSeconds: wanted } = context;
  const now = deps.clock.now();
  const [successor, old] = [pair.successor, pair.old].map(name => groups.find(group => group.name === name));
  pair.alone = old === undefined;
  if (successor !== undefined && old !== undefined) {
    if (successor.desired < old.desired) await aws.groups.resize(successor.name, grownTo(successor, old));
    // With weights the old group must be held at its size first, also where the new one is attached already.
    pair.attached ||= pair.receives === undefined && isAttached(successor, old);
  }
  const isComplete =
    successor !== undefined && successor.members.filter(inService).length >= Math.max(successor.desired, old?.desired ?? 0);
  const behind = successor === undefined ? undefined : { ...successor, ...sourcesOfPair(successor, pair.receives ?? old) };
  const [targets, sources] =
    isComplete && pair.attached && behind !== undefined
      ? await Promise.all([aws.groups.targetHealth(behind), aws.groups.sources(pair.successor)])
      : [[], []];
  const since = (start: number | undefined) => (start === undefined ? undefined : (now - start) / 1000);
  const [wellForSeconds, unservedForSeconds] = [since(pair.wellSince), since(pair.unservedSince)];
  const bakeSeconds = pair.proven || behind === undefined ? 0 : Math.max(wanted, silentSeconds(behind));
  const traffic = { attached: pair.attached, targets, sources, wellForSeconds, unservedForSeconds, bakeSeconds };
  const evaluation = evaluatePair({ successor: behind, old, images, imageId: order.image.id, ...traffic });
  await updateEvidence(pair, evaluation, successor, targets, context);
  if (evaluation.state !== 'waiting') return evaluation;
  const failure = successor === undefined || isComplete ? undefined : await failedLaunches(successor, pair.launches, context);
  if (failure !== undefined) return { state: 'failed', reason: failure };
  pair.wellSince = evaluation.well ? (pair.wellSince ?? now) : undefined;
  pair.unservedSince = evaluation.suspect === undefined ? undefined : (pair.unservedSince ?? now);
  if (successor === undefined || !(evaluation.well || evaluation.ready)) return evaluation;
  const reason = await firstFailedCheck(newInstances(successor, images, order.image.id), context);
  if (reason !== undefined) return { state: 'failed', reason };
  if (evaluation.ready) {
    await attachTraffic(pair, old, context);
    pair.attached = true;
  }
  return evaluation;
}

/** Collected while the instance exists: a group soon terminates one that it calls unhealthy. */
async function updateEvidence(
  pair: Pair,
  evaluation: PairEvaluation,
  successor: Group | undefined,
  targets: readonly Target[],
  { aws, deps }: PairContext,
): Promise<void> {
  const suspect =
    (evaluation.state === 'waiting' ? evaluation.suspect : undefined) ??
    targets.find(({ state }) => state === 'unhealthy')?.instanceId ??
    (pair.evidence === undefined ? successor?.members.find(({ healthy }) => !healthy)?.id : undefined);
  if (suspect !== undefined && successor !== undefined) {
    pair.evidence = betterEvidence(pair.evidence, await collectEvidence(successor, suspect, deps.clock.now(), aws));
  }
  if (evaluation.state === 'failed' && pair.evidence !== undefined) reportEvidence(pair.evidence, deps.report);
}
