import { RejectedError, withDetails } from '../kit/errors.ts';
import { formatDuration } from '../kit/format.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { firstFailedCheck, newInstances, stalePoolOf, trafficTo } from './instance-health.ts';
import type { Promotion } from './plan.ts';
import type { RolloutDeps, RolloutOrder, RolloutPorts } from './rollout-state.ts';
import { type Evaluation, evaluateSteadyState } from './rules/evaluate.ts';
import type { GroupPlan } from './rules/plan.ts';
import { proofOf } from './rules/proof.ts';
import { silentSeconds } from './rules/traffic.ts';

/** Groups that run the image already. Whoever brought them there may have been lost before it was proven, so it is proven now. */

interface Observed {
  readonly plan: GroupPlan;
  doubts: number;
  proven: boolean;
  /** Since when nobody has had anything to say against it, without a break. */
  wellSince: number | undefined;
}

export async function verifySteadyState(
  promotion: Promotion,
  check: RolloutOrder['check'],
  deps: RolloutDeps,
  aws: Pick<RolloutPorts, 'groups'>,
): Promise<void> {
  const { groups, image, pointer, roll } = promotion;
  const all = groups
    .filter(({ action, facts }) => (action === 'nothing' || action === 'template') && facts.group.desired > 0)
    .map(plan => ({ plan, doubts: 0, proven: false, wellSince: undefined }));
  if (all.length === 0) return;
  const excluded = roll.protectedInstances === 'ignore';
  const looking = { imageId: image.id, order: { check }, checked: new Set<string>(), aws, excluded, now: deps.clock.now };
  const poll = () => lookAtAll(all, looking);
  const what = `What runs ${image.id} already`;
  try {
    await deps.report.step(what, () => waitFor({ what, everySeconds: 10, atMostSeconds: roll.rollTimeout, poll }, deps));
  } catch (failure) {
    if (!(failure instanceof RejectedError)) throw failure;
    throw withDetails(failure, {
      leftovers: [`the groups run ${image.id}, and ${pointer.name} names ${pointer.current?.value ?? 'nothing'}`],
      next: 'Mend it and run the job again, or run mode "rollback": it leads the groups back to what they ran before.',
    });
  }
}

interface Observation {
  readonly imageId: string;
  readonly order: Pick<RolloutOrder, 'check'>;
  readonly checked: Set<string>;
  readonly aws: Pick<RolloutPorts, 'groups'>;
  readonly excluded: boolean;
  now(): number;
}

async function lookAtAll(all: readonly Observed[], looking: Observation): Promise<Poll<void>> {
  const notes: string[] = [];
  for (const standing of all.filter(({ proven }) => !proven)) {
    const { name } = standing.plan.facts.group;
    const evaluation = await lookAt(standing, looking);
    if (evaluation.state === 'failed') return { state: 'failed', reason: `${name}: ${evaluation.reason}` };
    standing.proven = evaluation.state === 'done';
    if (evaluation.state === 'waiting') notes.push(`${name}: ${evaluation.note}`);
    standing.doubts = evaluation.state === 'waiting' && evaluation.doubtful ? standing.doubts + 1 : 0;
  }
  return notes.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: notes.join('; ') };
}

async function lookAt(standing: Observed, { imageId, order, checked, aws, excluded, now }: Observation): Promise<Evaluation> {
  const { plan, doubts } = standing;
  const [group] = await aws.groups.find({ names: [plan.facts.group.name] });
  if (group === undefined) return { state: 'failed', reason: 'the group is gone' };
  const images = await aws.groups.imagesOf(group.members.map(({ id }) => id));
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
  standing.wellSince = evaluation.state === 'done' ? (standing.wellSince ?? now()) : undefined;
  if (evaluation.state !== 'done') return evaluation;
  const reason = await firstFailedCheck(ids, { order, checked });
  if (reason !== undefined) return { state: 'failed', reason };
  const silent = silentSeconds(group);
  if (now() - (standing.wellSince ?? now()) >= silent * 1000) return evaluation;
  const note = `all ${ids.length} instances are well, watched for ${formatDuration(silent)}, because VPC Lattice is heard that late`;
  return { state: 'waiting', note, doubtful: false };
}
