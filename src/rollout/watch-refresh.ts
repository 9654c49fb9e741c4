import { concurrently } from '../kit/concurrently.ts';
import { RejectedError, TimeoutError, UnknownError, UnreachableError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { isOver, type Launch, type Refresh, sameLaunch } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import { reportEvidence } from './instance-health.ts';
import { lookAt, type PollContext, type WatchedGroup } from './refresh-snapshot.ts';
import type { RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from './rollout-state.ts';
import type { Evaluation } from './rules/evaluate.ts';
import type { GroupPlan } from './rules/plan.ts';

const AT_ONCE = 5;

/** Starts what does not run yet. The call has no client token, so "one is running" may mean the one that we just started. */
export async function startRefreshes(
  plans: readonly GroupPlan[],
  rollout: RolloutState,
  { report }: RolloutDeps,
  aws: RolloutPorts,
): Promise<void> {
  await concurrently(plans, AT_ONCE, async plan => {
    const { name } = plan.facts.group;
    const known = plan.action === 'watch' ? plan.facts.active?.id : undefined;
    // Before it is asked for: should the answer get lost, whoever undoes must know that there may be one.
    rollout.refreshes.set(name, known);
    const id = known ?? (await startOrAdopt(plan, rollout.targets.get(name), aws));
    if (id === undefined) throw inTheWay(name);
    rollout.refreshes.set(name, id);
    report.info(`${name}: refresh ${id} ${known === undefined ? 'started' : 'was started by an earlier run'}`);
  });
}

const inTheWay = (group: string): RejectedError =>
  new RejectedError(`${group}: somebody else started a refresh meanwhile.`, { next: 'Run the job again when it is over.' });

export interface WatchContext {
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
  readonly deadline: number;
}

/** Looks at the groups until every one has proven itself, or one has failed. */
export async function watch(plans: readonly GroupPlan[], watching: WatchContext): Promise<void> {
  const { rollout, deps, deadline } = watching;
  const all = plans.flatMap(({ facts: { group }, preferences: { checkpoints, warmUpSeconds } }): WatchedGroup[] => {
    const refresh = rollout.refreshes.get(group.name);
    return refresh === undefined
      ? []
      : [
          {
            name: group.name,
            refresh,
            target: rollout.targets.get(group.name),
            checkpoints,
            warmUpSeconds: warmUpSeconds ?? group.warmUpSeconds,
            replaced: false,
            died: new Set(),
            doubts: 0,
            note: '',
            ended: undefined,
            evidence: undefined,
          },
        ];
  });
  if (all.length === 0) return;
  const images = new Map(plans.flatMap(({ facts }) => [...facts.images]));
  const looking = { ...watching, images, since: new Map<string, number>(), checked: new Set<string>() };
  await waitFor(
    {
      what: all.length === 1 ? `${all[0]?.name}` : `Roll of ${all.length} groups`,
      // AWS does not tell anybody, so we ask; with many groups more slowly, to stay within the account's rate.
      everySeconds: Math.max(10, all.length / 2),
      atMostSeconds: Math.max(0, Math.round((deadline - deps.clock.now()) / 1000)),
      poll: tolerateTransientErrors(() => lookAtAll(all, looking), deps),
    },
    deps,
  );
}

async function lookAtAll(all: readonly WatchedGroup[], looking: PollContext): Promise<Poll<void>> {
  const { images, aws, deps, order, rollout } = looking;
  const halted = order.haltReason();
  if (halted !== undefined) return { state: 'failed', reason: halted };
  const open = all.filter(({ ended }) => ended === undefined);
  const groups = await aws.groups.find({ names: open.map(({ name }) => name) });
  const strange = groups.flatMap(({ members }) => members.map(({ id }) => id)).filter(id => !images.has(id));
  if (strange.length > 0) for (const [id, image] of await aws.groups.imagesOf(strange)) images.set(id, image);
  await concurrently(open, AT_ONCE, async watched => {
    const evaluation = await lookAt(
      watched,
      groups.find(group => group.name === watched.name),
      looking,
    );
    note(watched, evaluation, all.length, deps);
    if (evaluation.state !== 'failed') return;
    rollout.failed.add(watched.name);
    if (watched.evidence !== undefined) reportEvidence(watched.evidence, deps.report);
  });
  const done = all.filter(({ ended }) => ended !== undefined).length;
  const failed = all.flatMap(({ name, ended }) =>
    ended?.state === 'failed' ? [all.length === 1 ? ended.reason : `${name}: ${ended.reason}`] : [],
  );
  // Where only the failed one is put back, the others may come to their end.
  if (failed.length > 0 && (order.undo === 'all' || done === all.length)) return { state: 'failed', reason: failed.join('; ') };
  if (done === all.length) return { state: 'done', value: undefined };
  return { state: 'waiting', note: all.length === 1 ? `${all[0]?.note}` : `${done} of ${all.length} groups done` };
}

function note(watched: WatchedGroup, evaluation: Evaluation, of: number, { report }: RolloutDeps): void {
  if (evaluation.state !== 'waiting') {
    watched.ended = evaluation;
    if (evaluation.state === 'done') report.info(`${watched.name}: Successful, every instance in service runs the image`);
    return;
  }
  watched.doubts = evaluation.doubtful ? watched.doubts + 1 : 0;
  if (of > 1 && evaluation.note !== watched.note) report.info(`${watched.name}: ${evaluation.note}`);
  watched.note = evaluation.note;
}

/** Starting a refresh has no client token: both "one is running" and no answer at all may mean the one that we just started. */

type Start = Pick<GroupPlan, 'facts' | 'by' | 'preferences'>;

/** The ID; undefined where one of somebody else is in the way. */
export async function startOrAdopt(plan: Start, to: Launch | undefined, aws: RolloutPorts): Promise<string | undefined> {
  const launch = plan.by === 'pointer' ? undefined : to;
  const adopt = async () => (await ourRefresh(plan, to, aws))?.id;
  try {
    const id = await aws.groups.start({ group: plan.facts.group.name, launch, preferences: plan.preferences });
    return id ?? (await adopt());
  } catch (cause) {
    if (!(cause instanceof TimeoutError || cause instanceof UnknownError || cause instanceof UnreachableError)) throw cause;
    const begun = await adopt().catch(() => undefined);
    if (begun === undefined) throw cause;
    return begun;
  }
}

/** The one that runs now, if it leads where ours does: that is all by which it can be known. */
export async function ourRefresh({ facts, by }: Start, to: Launch | undefined, { groups }: RolloutPorts): Promise<Refresh | undefined> {
  const active = (await groups.refreshes(facts.group.name)).find(refresh => !isOver(refresh));
  const same = by === 'pointer' ? active?.desired === undefined : sameLaunch(active?.desired, to);
  return same ? active : undefined;
}
