import { RejectedError, TimeoutError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { formatLaunch, type Group, type Target } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import { betterEvidence, collectEvidence, type Evidence, firstThatFails, newOnes, reportEvidence } from './instance-health.ts';
import { evaluatePair, greenGroupName, type PairEvaluation, PROVEN, SUCCESSOR_OF } from './rules/group-pair.ts';
import type { GroupPlan } from './rules/plan.ts';
import { inService } from './rules/proof.ts';
import { silentSeconds } from './rules/traffic.ts';
import type { WatchContext } from './watch-refresh.ts';

/** A second group beside the first, behind the same load balancers; it takes over when it has proven itself, or goes and nobody has seen it. */

interface Pair {
  readonly old: string;
  readonly successor: string;
  readonly proven: boolean;
  /** Since when everything was well without a break. */
  wellSince: number | undefined;
  /** Of the last instance that a load balancer called unhealthy. */
  evidence: Evidence | undefined;
}

const pairOf = ({ facts: { group, successor } }: GroupPlan, imageId: string): Pair => ({
  old: group.name,
  successor: successor?.group.name ?? greenGroupName(group.name),
  proven: successor?.group.tags[PROVEN] === imageId,
  wellSince: undefined,
  evidence: undefined,
});

/** Answers whether it holds here: both groups stay, until the same settings say so again. */
export async function bringUp(plans: readonly GroupPlan[], watching: WatchContext): Promise<boolean> {
  const { order, rollout, deps, aws } = watching;
  const pairs = plans.map(plan => pairOf(plan, order.image.id));
  const stale = new Set(plans.flatMap(({ facts: { group } }) => (group.tags[SUCCESSOR_OF] === undefined ? [] : [group.name])));
  for (const { old, successor, proven } of pairs) {
    const launch = rollout.targets.get(old);
    if (launch === undefined) continue;
    rollout.successors.set(old, successor);
    if (proven) continue;
    // Left by a run that was lost after the group had taken over: two that follow each other would have no one in charge.
    if (stale.has(old)) await aws.groups.untag(old, [SUCCESSOR_OF, PROVEN]);
    await aws.groups.copy({ from: old, as: successor, launch, tags: { [SUCCESSOR_OF]: old } });
    deps.report.info(`${successor}: comes beside ${old}, with ${formatLaunch(launch)}`);
  }
  await untilProven(pairs, watching);
  const fresh = pairs.filter(({ proven }) => !proven);
  for (const { successor } of fresh) await aws.groups.tag(successor, { [PROVEN]: order.image.id });
  return order.hold && fresh.length > 0;
}

async function untilProven(pairs: readonly Pair[], watching: WatchContext): Promise<void> {
  const { deps, deadline } = watching;
  const images = new Map<string, string>();
  const checked = new Set<string>();
  const what = pairs.map(({ successor }) => successor).join(', ');
  const atMostSeconds = Math.max(0, Math.round((deadline - deps.clock.now()) / 1000));
  try {
    const poll = tolerateTransientErrors(() => lookAtPairs(pairs, { ...watching, images, checked }), deps);
    await waitFor({ what, everySeconds: 10, atMostSeconds, poll }, deps);
  } catch (cause) {
    if (cause instanceof TimeoutError) for (const { evidence } of pairs) if (evidence !== undefined) reportEvidence(evidence, deps.report);
    // Unlike a refresh it does not go on by itself: what is not well by now is not going to be.
    throw cause instanceof TimeoutError ? new RejectedError(cause.message, { cause }) : cause;
  }
}

type Looking = WatchContext & { readonly images: Map<string, string>; readonly checked: Set<string> };

async function lookAtPairs(pairs: readonly Pair[], looking: Looking): Promise<Poll<void>> {
  const { aws, images, order } = looking;
  const halted = order.haltReason();
  if (halted !== undefined) return { state: 'failed', reason: halted };
  const groups = await aws.groups.find({ names: pairs.flatMap(({ old, successor }) => [old, successor]) });
  const strange = groups.flatMap(({ members }) => members.map(({ id }) => id)).filter(id => !images.has(id));
  if (strange.length > 0) for (const [id, image] of await aws.groups.imagesOf(strange)) images.set(id, image);
  const notes: string[] = [];
  for (const pair of pairs) {
    const evaluation = await lookAtPair(pair, groups, looking);
    if (evaluation.state === 'failed')
      return { state: 'failed', reason: pairs.length === 1 ? evaluation.reason : `${pair.successor}: ${evaluation.reason}` };
    if (evaluation.state === 'waiting') notes.push(pairs.length === 1 ? evaluation.note : `${pair.successor}: ${evaluation.note}`);
  }
  return notes.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: notes.join('; ') };
}

async function lookAtPair(pair: Pair, groups: readonly Group[], looking: Looking): Promise<PairEvaluation> {
  const { aws, order, images, deps } = looking;
  const now = deps.clock.now();
  const [successor, old] = [pair.successor, pair.old].map(name => groups.find(group => group.name === name));
  if (successor !== undefined && old !== undefined && successor.desired < old.desired) await aws.groups.resize(successor.name, old);
  const complete = successor !== undefined && successor.members.filter(inService).length >= Math.max(successor.desired, old?.desired ?? 0);
  const [targets, sources] = complete
    ? await Promise.all([aws.groups.targetHealth(successor), aws.groups.sources(pair.successor)])
    : [[], []];
  const wellForSeconds = pair.wellSince === undefined ? undefined : (now - pair.wellSince) / 1000;
  const bakeSeconds = pair.proven || successor === undefined ? 0 : Math.max(order.bakeSeconds, silentSeconds(successor));
  const evaluation = evaluatePair({ successor, old, images, imageId: order.image.id, targets, sources, wellForSeconds, bakeSeconds });
  await lookCloser(pair, evaluation, successor, targets, looking);
  if (evaluation.state !== 'waiting') return evaluation;
  pair.wellSince = evaluation.well ? (pair.wellSince ?? now) : undefined;
  const reason =
    evaluation.well && successor !== undefined ? await firstThatFails(newOnes(successor, images, order.image.id), looking) : undefined;
  return reason === undefined ? evaluation : { state: 'failed', reason };
}

/** While it is sick there is something to see; when the group calls it unhealthy, it is on its way out. */
async function lookCloser(
  pair: Pair,
  evaluation: PairEvaluation,
  successor: Group | undefined,
  targets: readonly Target[],
  { aws, deps }: Looking,
): Promise<void> {
  const sick =
    (evaluation.state === 'waiting' ? evaluation.suspect : undefined) ??
    targets.find(({ state }) => state === 'unhealthy')?.instanceId ??
    (pair.evidence === undefined ? successor?.members.find(({ healthy }) => !healthy)?.id : undefined);
  if (sick !== undefined && successor !== undefined) {
    pair.evidence = betterEvidence(pair.evidence, await collectEvidence(successor, sick, deps.clock.now(), aws));
  }
  if (evaluation.state === 'failed' && pair.evidence !== undefined) reportEvidence(pair.evidence, deps.report);
}

// What takes longer to drain than this is not waited for any more.
const DRAIN_SECONDS = 1800;

/** After the pointer has moved: the old group drains and goes. Lost here, the next run with the same settings goes on. */
export async function takeOver(successors: ReadonlyMap<string, string>, { deps, aws }: Pick<WatchContext, 'deps' | 'aws'>): Promise<void> {
  const look = (name: string, isOver: (group: Group) => boolean) =>
    tolerateTransientErrors<void>(async () => {
      const [group] = await aws.groups.find({ names: [name] });
      if (group === undefined || isOver(group)) return { state: 'done', value: undefined };
      return { state: 'waiting', note: `${group.members.length} instances left` };
    }, deps);
  const wait = { everySeconds: 10, atMostSeconds: DRAIN_SECONDS };
  for (const [old, successor] of successors) {
    const [there] = await aws.groups.find({ names: [old] });
    if (there !== undefined && !there.beingDeleted) {
      await aws.groups.resize(old, { min: 0, max: 0, desired: 0 });
      await waitFor({ ...wait, what: `${old} drains`, poll: look(old, ({ members }) => members.length === 0) }, deps).catch(unlessLate);
      await aws.groups.remove(old);
    }
    await waitFor({ ...wait, what: `${old} goes`, poll: look(old, () => false) }, deps);
    await aws.groups.untag(successor, [SUCCESSOR_OF, PROVEN]);
    deps.report.info(`${successor}: has taken over from ${old}, which is gone`);
  }
}

const unlessLate = (cause: unknown): void => {
  if (!(cause instanceof TimeoutError)) throw cause;
};

/** The way back, as long as the old group serves: nobody depends on the new one. */
export async function drop(successor: string, { deps, aws }: Pick<WatchContext, 'deps' | 'aws'>): Promise<void> {
  const [there] = await aws.groups.find({ names: [successor] });
  if (there === undefined) return;
  if (!there.beingDeleted) await aws.groups.remove(successor);
  const poll = tolerateTransientErrors<void>(async () => {
    const [group] = await aws.groups.find({ names: [successor] });
    return group === undefined ? { state: 'done', value: undefined } : { state: 'waiting', note: `${group.members.length} instances left` };
  }, deps);
  await waitFor({ what: `${successor} goes`, everySeconds: 10, atMostSeconds: DRAIN_SECONDS, poll }, deps);
}
