import { formatTemplateUse, type Group, type Launch, type Refresh, sameLaunch, usesOf } from '../model/group.ts';
import {
  betterEvidence,
  collectEvidence,
  type Evidence,
  firstFailedCheck,
  NO_TRAFFIC_READ,
  newInstances,
  stalePoolOf,
  trafficTo,
} from './instance-health.ts';
import { failedLaunches, type LaunchWatch } from './launch-failures.ts';
import type { RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from './rollout-state.ts';
import { checksAreDue, type Evaluation, evaluate, suspectIn } from './rules/evaluate.ts';
import { proofOf } from './rules/proof.ts';

/** One poll of one group: its refresh, what its instances run, their traffic, and the console of an unhealthy one. */

export interface WatchedGroup {
  readonly name: string;
  readonly refresh: string;
  readonly target: Launch | undefined;
  readonly checkpoints: readonly number[];
  readonly warmUpSeconds: number;
  /** AWS has called every instance replaced, healthy and warm. */
  replaced: boolean;
  /** New instances that became unhealthy after that. */
  readonly died: Set<string>;
  doubts: number;
  note: string;
  ended: Evaluation | undefined;
  evidence: Evidence | undefined;
  readonly launches: LaunchWatch;
}

export interface PollContext {
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
  /** The image of each instance. It never changes, so each is read once. */
  readonly images: Map<string, string>;
  /** When each new instance was first seen in service, which AWS does not show. */
  readonly since: Map<string, number>;
  /** Instances that passed the checks. */
  readonly checked: Set<string>;
}

export async function pollGroup(watched: WatchedGroup, group: Group | undefined, context: PollContext): Promise<Evaluation> {
  if (group === undefined) return { state: 'failed', reason: 'the group no longer exists' };
  const { order, images, aws } = context;
  const refresh = await aws.groups.refresh(group.name, watched.refresh);
  await updateEvidence(watched, group, refresh, context);
  const proof = proofOf(group, images, order.image.id, order);
  const settled = settledInstances(watched, group, refresh, context);
  const traffic = refresh !== undefined && isReplaced(refresh) ? await trafficTo(settled, group, aws) : NO_TRAFFIC_READ;
  const stalePool = refresh?.status === 'Successful' ? await stalePoolOf(group, order.image.id, aws) : [];
  const saved = sameLaunch(group.launch, watched.target);
  const [died, doubts] = [countDied(watched, group, refresh, context), watched.doubts];
  const evaluation = evaluate({ refresh, group, proof, traffic, settled: settled.length, died, stalePool, saved, doubts });
  if (evaluation.state === 'waiting' && refresh?.status === 'InProgress') {
    const atCheckpoint = checksAreDue(refresh, watched.checkpoints);
    const reason = await failedLaunches(group, watched.launches, context, { warmUpSeconds: watched.warmUpSeconds, atCheckpoint });
    if (reason !== undefined) return { state: 'failed', reason };
  }
  if (evaluation.state === 'failed' || refresh === undefined || !checksAreDue(refresh, watched.checkpoints)) return evaluation;
  const reason =
    (await firstFailedCheck(settled, context)) ?? (evaluation.state === 'done' ? await missingVersion(watched, aws) : undefined);
  return reason === undefined ? evaluation : { state: 'failed', reason };
}

/** The instances run, but the next one could not be launched. */
async function missingVersion({ target }: WatchedGroup, { launchTemplates }: RolloutPorts): Promise<string | undefined> {
  for (const use of target === undefined ? [] : usesOf(target)) {
    if ((await launchTemplates.version(use)) === undefined)
      return `launch template version ${formatTemplateUse(use)} no longer exists, so the group can launch nothing`;
  }
  return undefined;
}

const isReplaced = ({ status }: Refresh): boolean => status === 'Baking' || status === 'Successful';

/** Collected over all polls, because the group replaces an instance that dies and every single poll may look healthy. */
function countDied({ died }: WatchedGroup, { members }: Group, refresh: Refresh | undefined, { images, order }: PollContext): number {
  if (refresh === undefined || !isReplaced(refresh)) return 0;
  for (const { id, healthy } of members) if (!healthy && images.get(id) === order.image.id) died.add(id);
  return died.size;
}

/** New instances that are warm: all of them when AWS starts the bake time, later ones after their own warmup. */
function settledInstances(
  watched: WatchedGroup,
  group: Group,
  refresh: Refresh | undefined,
  { since, images, order, deps }: PollContext,
): readonly string[] {
  const now = deps.clock.now();
  const allAre = !watched.replaced && refresh !== undefined && isReplaced(refresh);
  if (allAre) watched.replaced = true;
  const created = newInstances(group, images, order.image.id);
  for (const id of created) since.set(id, allAre ? Number.NEGATIVE_INFINITY : (since.get(id) ?? now));
  return created.filter(id => now - (since.get(id) ?? now) >= watched.warmUpSeconds * 1000);
}

/** AWS terminates an unhealthy instance soon, and its console output goes with it. */
async function updateEvidence(watched: WatchedGroup, group: Group, refresh: Refresh | undefined, context: PollContext): Promise<void> {
  const { images, order, aws, deps } = context;
  const suspect = refresh === undefined ? undefined : suspectIn(group, refresh, images, order.image.id);
  if (suspect === undefined) return;
  watched.evidence = await collectEvidence(group, suspect, deps.clock.now(), aws).then(
    latest => betterEvidence(watched.evidence, latest),
    () => watched.evidence,
  );
}
