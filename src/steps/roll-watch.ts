import { type Group, isOver, type Launch, sameLaunch } from '../domain/group.ts';
import type { GroupPlan } from '../domain/roll-plan.ts';
import { type Judgement, judge, proofOf } from '../domain/rollout.ts';
import { concurrently } from '../kit/concurrently.ts';
import { RejectedError, TimeoutError } from '../kit/errors.ts';
import { type Look, waitFor } from '../kit/wait.ts';
import type { Deeds, RollOrder, RollPorts, RollWorld } from './roll.ts';

const AT_ONCE = 5;

/** Starts what does not run yet. The call has no client token, so "one is running" may mean the one that we just started. */
export async function startRefreshes(order: RollOrder, deeds: Deeds, { report }: RollWorld, place: RollPorts): Promise<void> {
  const moving = order.plans.filter(({ deed }) => deed === 'refresh' || deed === 'watch');
  await concurrently(moving, AT_ONCE, async plan => {
    const { name } = plan.facts.group;
    const known = plan.deed === 'watch' ? plan.facts.active?.id : undefined;
    const id = known ?? (await startRefresh(name, deeds.targets.get(name), order, place));
    deeds.refreshes.set(name, id);
    report.info(`${name}: refresh ${id} ${known === undefined ? 'started' : 'was started by an earlier run'}`);
  });
}

async function startRefresh(group: string, launch: Launch | undefined, { preferences }: RollOrder, { groups }: RollPorts): Promise<string> {
  const id = await groups.start({ group, launch, preferences });
  if (id !== undefined) return id;
  const active = (await groups.refreshes(group)).find(refresh => !isOver(refresh));
  if (active !== undefined && sameLaunch(active.desired, launch)) return active.id;
  throw new RejectedError(`${group}: somebody else started a refresh meanwhile (${active?.id ?? 'already over'}).`, {
    next: 'Run the job again when it is over.',
  });
}

interface Watched {
  readonly plan: GroupPlan;
  readonly refresh: string;
  readonly target: Launch | undefined;
  doubts: number;
  note: string;
  ended: Judgement | undefined;
}

/** Looks at all groups until every one has proven itself, or one has failed. */
export async function watch(order: RollOrder, deeds: Deeds, world: RollWorld, place: RollPorts): Promise<void> {
  const all = order.plans.flatMap((plan): Watched[] => {
    const refresh = deeds.refreshes.get(plan.facts.group.name);
    const target = deeds.targets.get(plan.facts.group.name);
    return refresh === undefined ? [] : [{ plan, refresh, target, doubts: 0, note: '', ended: undefined }];
  });
  if (all.length === 0) return;
  const images = new Map(order.plans.flatMap(({ facts }) => [...facts.images]));
  await waitFor(
    {
      what: all.length === 1 ? `${all[0]?.plan.facts.group.name}` : `Roll of ${all.length} groups`,
      // AWS does not tell anybody, so we ask; with many groups more slowly, to stay within the account's rate.
      everySeconds: Math.max(10, all.length / 2),
      atMostSeconds: order.timeoutSeconds,
      look: () => lookAtAll(all, { order, images, world, place }).catch(busy),
    },
    world,
  );
}

interface Looking {
  readonly order: RollOrder;
  /** What instances were launched from: it never changes, so it is asked for once. */
  readonly images: Map<string, string>;
  readonly world: RollWorld;
  readonly place: RollPorts;
}

async function lookAtAll(all: readonly Watched[], looking: Looking): Promise<Look<void>> {
  const open = all.filter(({ ended }) => ended === undefined);
  const groups = await looking.place.groups.find({ names: open.map(({ plan }) => plan.facts.group.name) });
  const strange = groups.flatMap(({ members }) => members.map(({ id }) => id)).filter(id => !looking.images.has(id));
  if (strange.length > 0) for (const [id, image] of await looking.place.groups.imagesOf(strange)) looking.images.set(id, image);
  await concurrently(open, AT_ONCE, async watched => {
    const { name } = watched.plan.facts.group;
    note(
      watched,
      await lookAt(
        watched,
        groups.find(group => group.name === name),
        looking,
      ),
      all.length,
      looking.world,
    );
  });
  const failed = all.flatMap(({ plan, ended }) => (ended?.state === 'failed' ? [[plan.facts.group.name, ended.why] as const] : []));
  if (failed.length > 0)
    return { state: 'failed', why: failed.map(([name, why]) => (all.length === 1 ? why : `${name}: ${why}`)).join('; ') };
  const done = all.filter(({ ended }) => ended !== undefined).length;
  if (done === all.length) return { state: 'done', value: undefined };
  return { state: 'waiting', note: all.length === 1 ? `${all[0]?.note}` : `${done} of ${all.length} groups done` };
}

async function lookAt(
  { refresh: id, target, doubts }: Watched,
  group: Group | undefined,
  { order, images, place }: Looking,
): Promise<Judgement> {
  if (group === undefined) return { state: 'failed', why: 'the group is gone' };
  const refresh = await place.groups.refresh(group.name, id);
  const proof = proofOf(group, images, order.image.id, order);
  return judge({ refresh, group, proof, saved: sameLaunch(group.launch, target), doubts });
}

function note(watched: Watched, judged: Judgement, of: number, { report }: RollWorld): void {
  if (judged.state !== 'waiting') {
    watched.ended = judged;
    if (judged.state === 'done') report.info(`${watched.plan.facts.group.name}: Successful, every instance in service runs the image`);
    return;
  }
  watched.doubts = judged.doubtful ? watched.doubts + 1 : 0;
  if (of > 1 && judged.note !== watched.note) report.info(`${watched.plan.facts.group.name}: ${judged.note}`);
  watched.note = judged.note;
}

/** Throttling says nothing about the roll. The deadline still holds. */
const busy = (cause: unknown): Look<void> => {
  if (cause instanceof TimeoutError) return { state: 'waiting', note: `AWS does not answer in time: ${cause.message}` };
  throw cause;
};
