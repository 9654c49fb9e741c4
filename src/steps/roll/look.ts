import { type Group, type Launch, type Refresh, sameLaunch } from '../../domain/roll/group.ts';
import { checksAreDue, inService, type Judgement, judge, proofOf, suspectIn } from '../../domain/roll/rollout.ts';
import { concurrently } from '../../kit/concurrently.ts';
import { better, type Evidence, gather } from './evidence.ts';
import type { Deeds, RollOrder, RollPorts, RollWorld } from './roll.ts';

/** One look at one group: what AWS says, what its instances run, what they do, and what a sick one says about itself. */

export interface Watched {
  readonly name: string;
  readonly refresh: string;
  readonly target: Launch | undefined;
  readonly checkpoints: readonly number[];
  doubts: number;
  note: string;
  ended: Judgement | undefined;
  evidence: Evidence | undefined;
}

export interface Looking {
  readonly order: RollOrder;
  readonly deeds: Deeds;
  readonly world: RollWorld;
  readonly place: RollPorts;
  /** What instances were launched from: it never changes, so it is asked for once. */
  readonly images: Map<string, string>;
  /** Instances that did what the checks ask for. */
  readonly checked: Set<string>;
}

const AT_ONCE = 5;

export async function lookAt(watched: Watched, group: Group | undefined, looking: Looking): Promise<Judgement> {
  if (group === undefined) return { state: 'failed', why: 'the group is gone' };
  const { order, images, place } = looking;
  const refresh = await place.groups.refresh(group.name, watched.refresh);
  await lookCloser(watched, group, refresh, looking);
  const proof = proofOf(group, images, order.image.id, order);
  const judged = judge({ refresh, group, proof, saved: sameLaunch(group.launch, watched.target), doubts: watched.doubts });
  if (judged.state === 'failed' || refresh === undefined || !checksAreDue(refresh, watched.checkpoints)) return judged;
  const why = await firstThatFails(group, looking);
  return why === undefined ? judged : { state: 'failed', why };
}

/** Of every instance that is new since the last time. */
export async function firstThatFails(
  group: Group,
  { order, images, checked }: Pick<Looking, 'order' | 'images' | 'checked'>,
): Promise<string | undefined> {
  const { check } = order;
  if (check === undefined) return undefined;
  const fresh = group.members.filter(member => inService(member) && images.get(member.id) === order.image.id && !checked.has(member.id));
  const failed = await concurrently(fresh, AT_ONCE, async ({ id }) => {
    const why = await check(id);
    if (why === undefined) checked.add(id);
    return why === undefined ? [] : [`checks on ${id}: ${why}`];
  });
  return failed.flat()[0];
}

/** A sick instance is ended soon, and its console with it. */
async function lookCloser(watched: Watched, group: Group, refresh: Refresh | undefined, looking: Looking): Promise<void> {
  const { images, order, place, world } = looking;
  const suspect = refresh === undefined ? undefined : suspectIn(group, refresh, images, order.image.id);
  if (suspect === undefined) return;
  watched.evidence = await gather(group.name, suspect, world.clock.now(), place).then(
    fresh => better(watched.evidence, fresh),
    () => watched.evidence,
  );
}
