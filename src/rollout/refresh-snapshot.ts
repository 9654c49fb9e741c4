import { type Group, type Launch, type Refresh, sameLaunch } from '../model/group.ts';
import {
  betterEvidence,
  collectEvidence,
  type Evidence,
  firstThatFails,
  NOT_ASKED,
  newOnes,
  stalePoolOf,
  trafficTo,
} from './instance-health.ts';
import type { RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from './rollout-state.ts';
import { checksAreDue, type Evaluation, evaluate, suspectIn } from './rules/evaluate.ts';
import { proofOf } from './rules/proof.ts';

/** One look at one group: what AWS says, what its instances run, what they do, and what a sick one says about itself. */

export interface WatchedGroup {
  readonly name: string;
  readonly refresh: string;
  readonly target: Launch | undefined;
  readonly checkpoints: readonly number[];
  readonly warmUpSeconds: number;
  /** AWS has said that everything is replaced, healthy and warm. */
  replaced: boolean;
  /** New instances that the group called unhealthy after that. */
  readonly died: Set<string>;
  doubts: number;
  note: string;
  ended: Evaluation | undefined;
  evidence: Evidence | undefined;
}

export interface PollContext {
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
  /** What instances were launched from: it never changes, so it is asked for once. */
  readonly images: Map<string, string>;
  /** When each new instance was first seen in service: AWS does not tell. */
  readonly since: Map<string, number>;
  /** Instances that did what the checks ask for. */
  readonly checked: Set<string>;
}

export async function lookAt(watched: WatchedGroup, group: Group | undefined, looking: PollContext): Promise<Evaluation> {
  if (group === undefined) return { state: 'failed', reason: 'the group is gone' };
  const { order, images, aws } = looking;
  const refresh = await aws.groups.refresh(group.name, watched.refresh);
  await lookCloser(watched, group, refresh, looking);
  const proof = proofOf(group, images, order.image.id, order);
  const settled = settledOnes(watched, group, refresh, looking);
  const traffic = refresh !== undefined && isReplaced(refresh) ? await trafficTo(settled, group, aws) : NOT_ASKED;
  const stalePool = refresh?.status === 'Successful' ? await stalePoolOf(group, order.image.id, aws) : [];
  const saved = sameLaunch(group.launch, watched.target);
  const [died, doubts] = [diedOf(watched, group, refresh, looking), watched.doubts];
  const evaluation = evaluate({ refresh, group, proof, traffic, settled: settled.length, died, stalePool, saved, doubts });
  if (evaluation.state === 'failed' || refresh === undefined || !checksAreDue(refresh, watched.checkpoints)) return evaluation;
  const reason = await firstThatFails(settled, looking);
  return reason === undefined ? evaluation : { state: 'failed', reason };
}

const isReplaced = ({ status }: Refresh): boolean => status === 'Baking' || status === 'Successful';

/** The group replaces who dies, so at every single look all may be well. */
function diedOf({ died }: WatchedGroup, { members }: Group, refresh: Refresh | undefined, { images, order }: PollContext): number {
  if (refresh === undefined || !isReplaced(refresh)) return 0;
  for (const { id, healthy } of members) if (!healthy && images.get(id) === order.image.id) died.add(id);
  return died.size;
}

/** New ones that have been in service for as long as they take to be ready. When AWS begins to bake, all are; who comes later must warm up first. */
function settledOnes(
  watched: WatchedGroup,
  group: Group,
  refresh: Refresh | undefined,
  { since, images, order, deps }: PollContext,
): readonly string[] {
  const now = deps.clock.now();
  const allAre = !watched.replaced && refresh !== undefined && isReplaced(refresh);
  if (allAre) watched.replaced = true;
  const fresh = newOnes(group, images, order.image.id);
  for (const id of fresh) since.set(id, allAre ? Number.NEGATIVE_INFINITY : (since.get(id) ?? now));
  return fresh.filter(id => now - (since.get(id) ?? now) >= watched.warmUpSeconds * 1000);
}

/** A sick instance is ended soon, and its console with it. */
async function lookCloser(watched: WatchedGroup, group: Group, refresh: Refresh | undefined, looking: PollContext): Promise<void> {
  const { images, order, aws, deps } = looking;
  const suspect = refresh === undefined ? undefined : suspectIn(group, refresh, images, order.image.id);
  if (suspect === undefined) return;
  watched.evidence = await collectEvidence(group, suspect, deps.clock.now(), aws).then(
    fresh => betterEvidence(watched.evidence, fresh),
    () => watched.evidence,
  );
}
