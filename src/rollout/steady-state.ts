import { formatDuration } from '../kit/duration.ts';
import { RejectedError, withDetails } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { firstThatFails, newOnes, stalePoolOf, trafficTo } from './in-service.ts';
import type { Promotion } from './plan.ts';
import type { RollOrder, RollPorts, RollWorld } from './rollout-state.ts';
import { type Judgement, judgeStanding } from './rules/evaluate.ts';
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
  check: RollOrder['check'],
  deps: RollWorld,
  aws: Pick<RollPorts, 'groups'>,
): Promise<void> {
  const { groups, image, pointer, roll } = promotion;
  const all = groups
    .filter(({ deed, facts }) => (deed === 'nothing' || deed === 'template') && facts.group.desired > 0)
    .map(plan => ({ plan, doubts: 0, proven: false, wellSince: undefined }));
  if (all.length === 0) return;
  const spared = roll.protectedInstances === 'ignore';
  const looking = { imageId: image.id, order: { check }, checked: new Set<string>(), aws, spared, now: deps.clock.now };
  const look = () => lookAtAll(all, looking);
  const what = `What runs ${image.id} already`;
  try {
    await deps.report.step(what, () => waitFor({ what, everySeconds: 10, atMostSeconds: roll.rollTimeout, look }, deps));
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
  readonly order: Pick<RollOrder, 'check'>;
  readonly checked: Set<string>;
  readonly aws: Pick<RollPorts, 'groups'>;
  readonly spared: boolean;
  now(): number;
}

async function lookAtAll(all: readonly Observed[], looking: Observation): Promise<Poll<void>> {
  const notes: string[] = [];
  for (const standing of all.filter(({ proven }) => !proven)) {
    const { name } = standing.plan.facts.group;
    const judged = await lookAt(standing, looking);
    if (judged.state === 'failed') return { state: 'failed', reason: `${name}: ${judged.reason}` };
    standing.proven = judged.state === 'done';
    if (judged.state === 'waiting') notes.push(`${name}: ${judged.note}`);
    standing.doubts = judged.state === 'waiting' && judged.doubtful ? standing.doubts + 1 : 0;
  }
  return notes.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: notes.join('; ') };
}

async function lookAt(standing: Observed, { imageId, order, checked, aws, spared, now }: Observation): Promise<Judgement> {
  const { plan, doubts } = standing;
  const [group] = await aws.groups.find({ names: [plan.facts.group.name] });
  if (group === undefined) return { state: 'failed', reason: 'the group is gone' };
  const images = await aws.groups.imagesOf(group.members.map(({ id }) => id));
  const proof = proofOf(group, images, imageId, { spared });
  const ids = newOnes(group, images, imageId);
  const traffic = await trafficTo(ids, group, aws);
  const stalePool = await stalePoolOf(group, imageId, aws);
  const judged = judgeStanding({ refresh: undefined, group, proof, traffic, settled: ids.length, stalePool, saved: true, doubts });
  standing.wellSince = judged.state === 'done' ? (standing.wellSince ?? now()) : undefined;
  if (judged.state !== 'done') return judged;
  const reason = await firstThatFails(ids, { order, checked });
  if (reason !== undefined) return { state: 'failed', reason };
  const silent = silentSeconds(group);
  if (now() - (standing.wellSince ?? now()) >= silent * 1000) return judged;
  const note = `all ${ids.length} instances are well, watched for ${formatDuration(silent)}, because VPC Lattice is heard that late`;
  return { state: 'waiting', note, doubtful: false };
}
