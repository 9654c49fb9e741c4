import { concurrently } from '../kit/concurrently.ts';
import { RejectedError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { tellEvidence } from './evidence.ts';
import { type Looking, lookAt, type Watched } from './refresh-snapshot.ts';
import type { Deeds, RollOrder, RollPorts, RollWorld } from './rollout-state.ts';
import type { Judgement } from './rules/evaluate.ts';
import type { GroupPlan } from './rules/plan.ts';
import { startOrAdopt } from './start-refresh.ts';
import { patiently } from './tolerate-transient-errors.ts';

const AT_ONCE = 5;

/** Starts what does not run yet. The call has no client token, so "one is running" may mean the one that we just started. */
export async function startRefreshes(plans: readonly GroupPlan[], deeds: Deeds, { report }: RollWorld, aws: RollPorts): Promise<void> {
  await concurrently(plans, AT_ONCE, async plan => {
    const { name } = plan.facts.group;
    const known = plan.deed === 'watch' ? plan.facts.active?.id : undefined;
    // Before it is asked for: should the answer get lost, whoever undoes must know that there may be one.
    deeds.refreshes.set(name, known);
    const id = known ?? (await startOrAdopt(plan, deeds.targets.get(name), aws));
    if (id === undefined) throw inTheWay(name);
    deeds.refreshes.set(name, id);
    report.info(`${name}: refresh ${id} ${known === undefined ? 'started' : 'was started by an earlier run'}`);
  });
}

const inTheWay = (group: string): RejectedError =>
  new RejectedError(`${group}: somebody else started a refresh meanwhile.`, { next: 'Run the job again when it is over.' });

export interface Watching {
  readonly order: RollOrder;
  readonly deeds: Deeds;
  readonly deps: RollWorld;
  readonly aws: RollPorts;
  readonly deadline: number;
}

/** Looks at the groups until every one has proven itself, or one has failed. */
export async function watch(plans: readonly GroupPlan[], watching: Watching): Promise<void> {
  const { deeds, deps, deadline } = watching;
  const all = plans.flatMap(({ facts: { group }, preferences: { checkpoints, warmUpSeconds } }): Watched[] => {
    const refresh = deeds.refreshes.get(group.name);
    return refresh === undefined
      ? []
      : [
          {
            name: group.name,
            refresh,
            target: deeds.targets.get(group.name),
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
      look: patiently(() => lookAtAll(all, looking), deps),
    },
    deps,
  );
}

async function lookAtAll(all: readonly Watched[], looking: Looking): Promise<Poll<void>> {
  const { images, aws, deps, order, deeds } = looking;
  const halted = order.halted();
  if (halted !== undefined) return { state: 'failed', reason: halted };
  const open = all.filter(({ ended }) => ended === undefined);
  const groups = await aws.groups.find({ names: open.map(({ name }) => name) });
  const strange = groups.flatMap(({ members }) => members.map(({ id }) => id)).filter(id => !images.has(id));
  if (strange.length > 0) for (const [id, image] of await aws.groups.imagesOf(strange)) images.set(id, image);
  await concurrently(open, AT_ONCE, async watched => {
    const judged = await lookAt(
      watched,
      groups.find(group => group.name === watched.name),
      looking,
    );
    note(watched, judged, all.length, deps);
    if (judged.state !== 'failed') return;
    deeds.failed.add(watched.name);
    if (watched.evidence !== undefined) tellEvidence(watched.evidence, deps.report);
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

function note(watched: Watched, judged: Judgement, of: number, { report }: RollWorld): void {
  if (judged.state !== 'waiting') {
    watched.ended = judged;
    if (judged.state === 'done') report.info(`${watched.name}: Successful, every instance in service runs the image`);
    return;
  }
  watched.doubts = judged.doubtful ? watched.doubts + 1 : 0;
  if (of > 1 && judged.note !== watched.note) report.info(`${watched.name}: ${judged.note}`);
  watched.note = judged.note;
}
