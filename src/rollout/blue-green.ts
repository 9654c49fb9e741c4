import { RejectedError, TimeoutError } from '../kit/errors.ts';
import { formatCount } from '../kit/format.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { formatLaunch, type Group, type Target } from '../model/group.ts';
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
import { evaluatePair, greenGroupName, MADE_BY, type PairEvaluation, PROVEN, SUCCESSOR_OF } from './rules/group-pair.ts';
import type { GroupPlan } from './rules/plan.ts';
import { inService } from './rules/proof.ts';
import { silentSeconds } from './rules/traffic.ts';
import type { WatchContext } from './watch-refresh.ts';

/** Blue-green: a green group behind the same load balancers takes over once it is healthy, or is deleted. */

interface Pair {
  readonly old: string;
  readonly successor: string;
  readonly proven: boolean;
  /** Since when it has been healthy without a break. */
  wellSince: number | undefined;
  evidence: Evidence | undefined;
}

const pairOf = ({ facts: { group, successor } }: GroupPlan, imageId: string): Pair => ({
  old: group.name,
  successor: successor?.group.name ?? greenGroupName(group.name),
  proven: successor?.group.tags[PROVEN] === imageId,
  wellSince: undefined,
  evidence: undefined,
});

/** Creates the green groups and waits until they are healthy. Returns whether the rollout stops here, because of `hold`. */
export async function startGreenGroups(plans: readonly GroupPlan[], context: WatchContext): Promise<boolean> {
  const { order, rollout, deps, aws } = context;
  const pairs = plans.map(plan => pairOf(plan, order.image.id));
  const stale = new Set(plans.flatMap(({ facts: { group } }) => (group.tags[SUCCESSOR_OF] === undefined ? [] : [group.name])));
  for (const { old, successor, proven } of pairs) {
    const launch = rollout.targets.get(old);
    if (launch === undefined) continue;
    rollout.successors.set(old, successor);
    if (proven) continue;
    // Left by a run that stopped right after this group took over: with the tag, neither group of the new pair would be active.
    if (stale.has(old)) await aws.groups.untag(old, [SUCCESSOR_OF, PROVEN]);
    await aws.groups.copy({ from: old, as: successor, launch, tags: { [MADE_BY]: old, [SUCCESSOR_OF]: old } });
    deps.report.info(`${successor}: created next to ${old}, launches ${formatLaunch(launch)}`);
  }
  await waitUntilProven(pairs, context);
  const created = pairs.filter(({ proven }) => !proven);
  for (const { successor } of created) await aws.groups.tag(successor, { [PROVEN]: order.image.id });
  return order.hold && created.length > 0;
}

async function waitUntilProven(pairs: readonly Pair[], context: WatchContext): Promise<void> {
  const { deps, deadline } = context;
  const images = new Map<string, string>();
  const checked = new Set<string>();
  const what = pairs.map(({ successor }) => successor).join(', ');
  const atMostSeconds = Math.max(0, Math.round((deadline - deps.clock.now()) / 1000));
  try {
    const poll = tolerateTransientErrors(() => pollPairs(pairs, { ...context, images, checked }), deps);
    await waitFor({ what, everySeconds: 10, atMostSeconds, poll }, deps);
  } catch (cause) {
    if (!(cause instanceof TimeoutError)) throw cause;
    for (const { evidence } of pairs) if (evidence !== undefined) reportEvidence(evidence, deps.report);
    // A group does not end by itself, as a refresh does: not healthy in time is a failure.
    throw new RejectedError(cause.message, { cause });
  }
}

type PairContext = WatchContext & { readonly images: Map<string, string>; readonly checked: Set<string> };

async function pollPairs(pairs: readonly Pair[], context: PairContext): Promise<Poll<void>> {
  const { aws, images, order } = context;
  const halt = order.haltReason();
  if (halt !== undefined) return { state: 'failed', reason: halt };
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
  const { aws, order, images, deps } = context;
  const now = deps.clock.now();
  const [successor, old] = [pair.successor, pair.old].map(name => groups.find(group => group.name === name));
  if (successor !== undefined && old !== undefined && successor.desired < old.desired) await aws.groups.resize(successor.name, old);
  const isComplete =
    successor !== undefined && successor.members.filter(inService).length >= Math.max(successor.desired, old?.desired ?? 0);
  const [targets, sources] = isComplete
    ? await Promise.all([aws.groups.targetHealth(successor), aws.groups.sources(pair.successor)])
    : [[], []];
  const wellForSeconds = pair.wellSince === undefined ? undefined : (now - pair.wellSince) / 1000;
  const bakeSeconds = pair.proven || successor === undefined ? 0 : Math.max(order.bakeSeconds, silentSeconds(successor));
  const evaluation = evaluatePair({ successor, old, images, imageId: order.image.id, targets, sources, wellForSeconds, bakeSeconds });
  await updateEvidence(pair, evaluation, successor, targets, context);
  if (evaluation.state !== 'waiting') return evaluation;
  pair.wellSince = evaluation.well ? (pair.wellSince ?? now) : undefined;
  const reason =
    evaluation.well && successor !== undefined
      ? await firstFailedCheck(newInstances(successor, images, order.image.id), context)
      : undefined;
  return reason === undefined ? evaluation : { state: 'failed', reason };
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

type PairDeps = Pick<WatchContext, 'deps' | 'aws'>;

// Draining that takes longer is not waited for.
const DRAIN_SECONDS = 1800;

/** Waits until the group no longer exists, or until `isOver`. Throws a `TimeoutError` after 30 minutes. */
function waitUntilGone(
  name: string,
  what: string,
  { deps, aws }: PairDeps,
  isOver: (group: Group) => boolean = () => false,
): Promise<void> {
  const poll = tolerateTransientErrors<void>(async () => {
    const [group] = await aws.groups.find({ names: [name] });
    if (group === undefined || isOver(group)) return { state: 'done', value: undefined };
    return { state: 'waiting', note: `${formatCount(group.members.length, 'instance')} remaining` };
  }, deps);
  return waitFor({ what, everySeconds: 10, atMostSeconds: DRAIN_SECONDS, poll }, deps);
}

/** After the pointer has moved: the old group drains and is deleted. A run that stops here is finished by the next one with the same settings. */
export async function takeOver(successors: ReadonlyMap<string, string>, pairDeps: PairDeps): Promise<void> {
  const { deps, aws } = pairDeps;
  for (const [old, successor] of successors) {
    const [group] = await aws.groups.find({ names: [old] });
    if (group !== undefined && !group.beingDeleted) {
      await aws.groups.resize(old, { min: 0, max: 0, desired: 0 });
      await waitUntilGone(old, `Draining ${old}`, pairDeps, ({ members }) => members.length === 0).catch(unlessTimeout);
      await aws.groups.remove(old);
    }
    await waitUntilGone(old, `Deleting ${old}`, pairDeps);
    await aws.groups.untag(successor, [SUCCESSOR_OF, PROVEN]);
    deps.report.info(`${successor}: took over from ${old}, which was deleted`);
  }
}

const unlessTimeout = (cause: unknown): void => {
  if (!(cause instanceof TimeoutError)) throw cause;
};

/** Deletes the green group. Safe as long as the old group serves. */
export async function removeGreenGroup(successor: string, pairDeps: PairDeps): Promise<void> {
  const [group] = await pairDeps.aws.groups.find({ names: [successor] });
  if (group === undefined) return;
  if (!group.beingDeleted) await pairDeps.aws.groups.remove(successor);
  await waitUntilGone(successor, `Deleting ${successor}`, pairDeps);
}
