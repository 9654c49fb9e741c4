import { RejectedError, withDetails } from '../kit/errors.ts';
import { formatDuration } from '../kit/format.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { type Group, withRootVolumes } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import { firstFailedCheck, newInstances, stalePoolOf, trafficTo } from './instance-health.ts';
import type { RegionPlan } from './rollout-spec.ts';
import type { RolloutOrder, RolloutPorts } from './rollout-state.ts';
import { deathProblem, type Evaluation, evaluateSteadyState } from './rules/evaluate.ts';
import { proofOf } from './rules/proof.ts';
import { silentSeconds } from './rules/traffic.ts';

/** Groups that already run the image. An earlier run may have ended before it verified them, so they are verified now. */

interface Observed {
  readonly name: string;
  doubts: number;
  verified: boolean;
  /** Since when it is healthy without a break. */
  healthySince: number | undefined;
  /** During the bake time. */
  readonly died: Set<string>;
}

export async function verifySteadyState(plan: RegionPlan, check: RolloutOrder['check']): Promise<void> {
  const { groups, stack, image, pointer } = plan;
  const unchanged = [
    ...groups.filter(({ action }) => action === 'nothing' || action === 'template').map(({ facts }) => facts.group),
    ...(stack?.action === 'nothing' ? stack.facts.groups : []),
  ];
  const names = unchanged.filter(({ desired }) => desired > 0).map(({ name }) => name);
  try {
    await waitUntilSteady(names, plan, { what: `Instances that already run ${image.id}`, check });
  } catch (failure) {
    if (!(failure instanceof RejectedError)) throw failure;
    throw withDetails(failure, {
      leftovers: [`the groups run ${image.id}, and ${pointer.name} names ${pointer.current?.value ?? 'nothing'}`],
      next: 'Fix the instances and run the job again, or run mode "rollback": it reverts the groups to what they ran before.',
    });
  }
}

interface SteadyOptions {
  readonly what: string;
  readonly check: RolloutOrder['check'];
  /** How long the groups must be healthy without a break. */
  readonly bakeSeconds?: number;
}

/** All instances of the groups run the image, get traffic and pass the checks. Throws a `RejectedError` if they do not. */
export async function waitUntilSteady(
  names: readonly string[],
  { image, roll, deps, aws }: RegionPlan,
  { what, check, bakeSeconds = 0 }: SteadyOptions,
): Promise<void> {
  if (names.length === 0) return;
  const all = names.map(name => ({ name, doubts: 0, verified: false, healthySince: undefined, died: new Set<string>() }));
  const excluded = roll.protectedInstances === 'ignore';
  const context = { imageId: image.id, order: { check }, checked: new Set<string>(), aws, excluded, bakeSeconds, now: deps.clock.now };
  const look = () => observeAll(all, context);
  const poll = bakeSeconds === 0 ? look : tolerateTransientErrors(look, deps);
  await deps.report.step(what, () => waitFor({ what, everySeconds: 10, atMostSeconds: roll.rollTimeout, poll }, deps));
}

interface ObserveContext {
  readonly imageId: string;
  readonly order: Pick<RolloutOrder, 'check'>;
  readonly checked: Set<string>;
  readonly aws: Pick<RolloutPorts, 'groups'>;
  readonly excluded: boolean;
  readonly bakeSeconds: number;
  now(): number;
}

async function observeAll(all: readonly Observed[], context: ObserveContext): Promise<Poll<void>> {
  const notes: string[] = [];
  for (const group of all.filter(({ verified }) => !verified)) {
    const { name } = group;
    const evaluation = await observe(group, context);
    if (evaluation.state === 'failed') return { state: 'failed', reason: `${name}: ${evaluation.reason}` };
    group.verified = evaluation.state === 'done';
    if (evaluation.state === 'waiting') notes.push(`${name}: ${evaluation.note}`);
    group.doubts = evaluation.state === 'waiting' && evaluation.doubtful ? group.doubts + 1 : 0;
  }
  return notes.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: notes.join('; ') };
}

async function observe(
  observed: Observed,
  { imageId, order, checked, aws, excluded, bakeSeconds, now }: ObserveContext,
): Promise<Evaluation> {
  const { name, doubts } = observed;
  const [group] = await aws.groups.find({ names: [name] });
  if (group === undefined) return { state: 'failed', reason: 'the group no longer exists' };
  const images = withRootVolumes(await aws.groups.imagesOf(group.members.map(({ id }) => id)), [group]);
  const dead = bakeSeconds === 0 ? undefined : deathProblem({ died: countDied(observed, group, images, imageId), group });
  if (dead !== undefined) return { state: 'failed', reason: `during the bake time, ${dead}` };
  const proof = proofOf(group, images, imageId, { excluded });
  const ids = newInstances(group, images, imageId);
  const traffic = await trafficTo(ids, group, aws);
  const stalePool = await stalePoolOf(group, imageId, aws);
  const evaluation = evaluateSteadyState({
    refresh: undefined,
    group,
    proof,
    traffic,
    settled: ids.length,
    stalePool,
    saved: true,
    doubts,
  });
  observed.healthySince = evaluation.state === 'done' ? (observed.healthySince ?? now()) : undefined;
  if (evaluation.state !== 'done') return evaluation;
  const reason = await firstFailedCheck(ids, { order, checked });
  if (reason !== undefined) return { state: 'failed', reason };
  const silent = silentSeconds(group);
  if (now() - (observed.healthySince ?? now()) >= Math.max(silent, bakeSeconds) * 1000) return evaluation;
  const because = silent > bakeSeconds ? ', because VPC Lattice reports late' : '';
  const note = `all ${ids.length} instances are healthy; watching them for ${formatDuration(Math.max(silent, bakeSeconds))}${because}`;
  return { state: 'waiting', note, doubtful: false };
}

/** Collected over all polls, because the group replaces an instance that dies and every single poll may look healthy. */
function countDied({ died }: Observed, { members }: Group, images: ReadonlyMap<string, string>, imageId: string): number {
  for (const { id, healthy } of members) if (!healthy && images.get(id) === imageId) died.add(id);
  return died.size;
}
