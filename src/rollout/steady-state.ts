import { RejectedError, withDetails } from '../kit/errors.ts';
import { formatDuration } from '../kit/format.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { withRootVolumes } from '../model/group.ts';
import { firstFailedCheck, newInstances, stalePoolOf, trafficTo } from './instance-health.ts';
import type { RegionPlan } from './rollout-spec.ts';
import type { RolloutOrder, RolloutPorts } from './rollout-state.ts';
import { type Evaluation, evaluateSteadyState } from './rules/evaluate.ts';
import type { GroupPlan } from './rules/plan.ts';
import { proofOf } from './rules/proof.ts';
import { silentSeconds } from './rules/traffic.ts';

/** Groups that already run the image. An earlier run may have ended before it verified them, so they are verified now. */

interface Observed {
  readonly plan: GroupPlan;
  doubts: number;
  verified: boolean;
  /** Since when it is healthy without a break. */
  healthySince: number | undefined;
}

export async function verifySteadyState(
  { groups, image, pointer, roll, deps, aws }: RegionPlan,
  check: RolloutOrder['check'],
): Promise<void> {
  const all = groups
    .filter(({ action, facts }) => (action === 'nothing' || action === 'template') && facts.group.desired > 0)
    .map(plan => ({ plan, doubts: 0, verified: false, healthySince: undefined }));
  if (all.length === 0) return;
  const excluded = roll.protectedInstances === 'ignore';
  const context = { imageId: image.id, order: { check }, checked: new Set<string>(), aws, excluded, now: deps.clock.now };
  const poll = () => observeAll(all, context);
  const what = `Instances that already run ${image.id}`;
  try {
    await deps.report.step(what, () => waitFor({ what, everySeconds: 10, atMostSeconds: roll.rollTimeout, poll }, deps));
  } catch (failure) {
    if (!(failure instanceof RejectedError)) throw failure;
    throw withDetails(failure, {
      leftovers: [`the groups run ${image.id}, and ${pointer.name} names ${pointer.current?.value ?? 'nothing'}`],
      next: 'Fix the instances and run the job again, or run mode "rollback": it reverts the groups to what they ran before.',
    });
  }
}

interface ObserveContext {
  readonly imageId: string;
  readonly order: Pick<RolloutOrder, 'check'>;
  readonly checked: Set<string>;
  readonly aws: Pick<RolloutPorts, 'groups'>;
  readonly excluded: boolean;
  now(): number;
}

async function observeAll(all: readonly Observed[], context: ObserveContext): Promise<Poll<void>> {
  const notes: string[] = [];
  for (const group of all.filter(({ verified }) => !verified)) {
    const { name } = group.plan.facts.group;
    const evaluation = await observe(group, context);
    if (evaluation.state === 'failed') return { state: 'failed', reason: `${name}: ${evaluation.reason}` };
    group.verified = evaluation.state === 'done';
    if (evaluation.state === 'waiting') notes.push(`${name}: ${evaluation.note}`);
    group.doubts = evaluation.state === 'waiting' && evaluation.doubtful ? group.doubts + 1 : 0;
  }
  return notes.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: notes.join('; ') };
}

async function observe(observed: Observed, { imageId, order, checked, aws, excluded, now }: ObserveContext): Promise<Evaluation> {
  const { plan, doubts } = observed;
  const [group] = await aws.groups.find({ names: [plan.facts.group.name] });
  if (group === undefined) return { state: 'failed', reason: 'the group no longer exists' };
  const images = withRootVolumes(await aws.groups.imagesOf(group.members.map(({ id }) => id)), [group]);
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
  if (now() - (observed.healthySince ?? now()) >= silent * 1000) return evaluation;
  const note = `all ${ids.length} instances are healthy; watching them for ${formatDuration(silent)}, because VPC Lattice reports late`;
  return { state: 'waiting', note, doubtful: false };
}
