import { concurrently } from '../kit/concurrently.ts';
import { RejectedError, TimeoutError, UnknownError, UnreachableError } from '../kit/errors.ts';
import { formatCount } from '../kit/format.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { isOver, type Launch, type Refresh, sameLaunch } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import { readImages, reportEvidence } from './instance-health.ts';
import { setConfiguration } from './launch-configuration/apply.ts';
import { newLaunchWatch } from './launch-failures.ts';
import { type PollContext, pollGroup, type WatchedGroup } from './refresh-snapshot.ts';
import type { RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from './rollout-state.ts';
import type { Evaluation } from './rules/evaluate.ts';
import type { GroupPlan } from './rules/plan.ts';
import { proofOf } from './rules/proof.ts';

const AT_ONCE = 5;

/** Starts the refreshes that are not in progress yet. */
export async function startRefreshes(
  plans: readonly GroupPlan[],
  rollout: RolloutState,
  { report }: RolloutDeps,
  aws: RolloutPorts,
): Promise<void> {
  await concurrently(plans, AT_ONCE, async plan => {
    const { name } = plan.facts.group;
    const known = plan.action === 'watch' ? plan.facts.active?.id : undefined;
    await setConfiguration(plan, rollout, aws);
    // Recorded before the call: if its answer is lost, the undo must know that there may be a refresh.
    rollout.refreshes.set(name, known);
    const id = known ?? (await startOrAdopt(plan, rollout.targets.get(name), aws));
    if (id === undefined) {
      throw new RejectedError(`${name}: another process started an instance refresh.`, {
        next: 'Re-run the job when that refresh has ended.',
      });
    }
    rollout.refreshes.set(name, id);
    report.info(`${name}: refresh ${id} ${known === undefined ? 'started' : 'was started by an earlier run'}`);
  });
}

export interface WatchContext {
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
  readonly deadline: number;
}

/** Polls the groups until all have succeeded or one has failed. */
export async function watch(plans: readonly GroupPlan[], context: WatchContext): Promise<void> {
  const { rollout, deps, deadline } = context;
  const all = plans.flatMap(plan => watchedGroup(plan, rollout, deps.clock.now()));
  if (all.length === 0) return;
  const images = new Map(plans.flatMap(({ facts }) => [...facts.images]));
  const poll = { ...context, images, since: new Map<string, number>(), checked: new Set<string>() };
  await waitFor(
    {
      what: all.length === 1 ? `${all[0]?.name}` : `Rollout of ${all.length} groups`,
      // Many groups are polled more slowly, to stay within the request rate of the account.
      everySeconds: Math.max(10, all.length / 2),
      atMostSeconds: Math.max(0, Math.round((deadline - deps.clock.now()) / 1000)),
      poll: tolerateTransientErrors(() => pollGroups(all, poll), deps),
    },
    deps,
  );
}

function watchedGroup(
  { facts: { group }, preferences: { checkpoints, warmUpSeconds } }: GroupPlan,
  rollout: RolloutState,
  now: number,
): WatchedGroup[] {
  const refresh = rollout.refreshes.get(group.name);
  if (refresh === undefined) return [];
  const settings = { checkpoints, warmUpSeconds: warmUpSeconds ?? group.warmUpSeconds, target: rollout.targets.get(group.name) };
  const seen = {
    replaced: false,
    died: new Set<string>(),
    doubts: 0,
    note: '',
    ended: undefined,
    evidence: undefined,
    launches: newLaunchWatch(now),
  };
  return [{ name: group.name, refresh, ...settings, ...seen }];
}

async function pollGroups(all: readonly WatchedGroup[], context: PollContext): Promise<Poll<void>> {
  const { images, aws, deps, order, rollout } = context;
  order.halt.signal.throwIfAborted();
  const groups = await aws.groups.find({ names: all.map(({ name }) => name) });
  await readImages(groups, images, aws);
  // One that was done may have launched another image while the others were rolled out.
  for (const watched of all.filter(({ ended }) => ended?.state === 'done')) {
    const group = groups.find(({ name }) => name === watched.name);
    if (group !== undefined && proofOf(group, images, order.image.id, order).wrong.length > 0) watched.ended = undefined;
  }
  const open = all.filter(({ ended }) => ended === undefined);
  await concurrently(open, AT_ONCE, async watched => {
    const group = groups.find(({ name }) => name === watched.name);
    const evaluation = await withCause(watched, await pollGroup(watched, group, context), context);
    record(watched, evaluation, all.length, deps);
    if (evaluation.state !== 'failed') return;
    rollout.failed.add(watched.name);
    if (watched.evidence !== undefined) reportEvidence(watched.evidence, deps.report);
  });
  const done = all.filter(({ ended }) => ended !== undefined).length;
  const failures = all.flatMap(({ name, ended }) =>
    ended?.state === 'failed' ? [all.length === 1 ? ended.reason : `${name}: ${ended.reason}`] : [],
  );
  // Where only the failed group is reverted, the others may finish.
  if (failures.length > 0 && (order.undo === 'all' || done === all.length)) return { state: 'failed', reason: failures.join('; ') };
  if (done === all.length) return { state: 'done', value: undefined };
  return { state: 'waiting', note: all.length === 1 ? `${all[0]?.note}` : `${done} of ${all.length} groups done` };
}

/** AWS names an example instance when a refresh fails; the scaling activities say why instances were replaced. */
async function withCause({ name, launches }: WatchedGroup, evaluation: Evaluation, { aws }: PollContext): Promise<Evaluation> {
  if (evaluation.state !== 'failed') return evaluation;
  const replaced = (await aws.groups.unhealthy(name).catch(() => [])).filter(({ at }) => at.getTime() >= launches.since);
  const [latest] = replaced;
  if (latest === undefined) return evaluation;
  const count = `${formatCount(replaced.length, 'new instance was', 'new instances were')} taken out of service: ${latest.reason}`;
  return { ...evaluation, reason: `${evaluation.reason.replace(/\.$/, '')}. ${count}` };
}

function record(watched: WatchedGroup, evaluation: Evaluation, of: number, { report }: RolloutDeps): void {
  if (evaluation.state !== 'waiting') {
    watched.ended = evaluation;
    if (evaluation.state === 'done') report.info(`${watched.name}: Successful, all instances in service run the image`);
    return;
  }
  watched.doubts = evaluation.doubtful ? watched.doubts + 1 : 0;
  if (of > 1 && evaluation.note !== watched.note) report.info(`${watched.name}: ${evaluation.note}`);
  watched.note = evaluation.note;
}

type RefreshPlan = Pick<GroupPlan, 'facts' | 'by' | 'preferences'>;

/**
 * Returns the ID of the refresh; undefined if one of another process is in progress. The call takes no client token: a lost answer, and
 * "one is in progress", may both mean the refresh that we just started.
 */
export async function startOrAdopt(plan: RefreshPlan, to: Launch | undefined, aws: RolloutPorts): Promise<string | undefined> {
  const launch = plan.by === 'version' ? to : undefined;
  const adopt = async () => (await ourRefresh(plan, to, aws))?.id;
  try {
    const id = await aws.groups.start({ group: plan.facts.group.name, launch, preferences: plan.preferences });
    return id ?? (await adopt());
  } catch (cause) {
    if (!(cause instanceof TimeoutError || cause instanceof UnknownError || cause instanceof UnreachableError)) throw cause;
    const adopted = await adopt().catch(() => undefined);
    if (adopted === undefined) throw cause;
    return adopted;
  }
}

/** The refresh in progress, if it has our target. It carries nothing else to recognize it by. */
export async function ourRefresh(
  { facts, by }: RefreshPlan,
  to: Launch | undefined,
  { groups }: RolloutPorts,
): Promise<Refresh | undefined> {
  const active = (await groups.refreshes(facts.group.name)).find(refresh => !isOver(refresh));
  const isSame = by === 'version' ? sameLaunch(active?.desired, to) : active?.desired === undefined;
  return isSame ? active : undefined;
}
