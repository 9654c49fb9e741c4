import { formatList } from '../../kit/format.ts';
import type { Group, Member } from '../../model/group.ts';
import { formatUnserved, type Traffic } from './traffic.ts';

/** What the instances in service run, independent of what Auto Scaling reports about the refresh. */
export interface Proof {
  readonly inService: number;
  readonly onImage: number;
  /** Run another image, and should not. */
  readonly wrong: readonly string[];
  /** EC2 does not know them (yet). */
  readonly unknown: readonly string[];
}

export const inService = ({ state }: Pick<Member, 'state'>): boolean => state === 'InService';

/** How many instances can carry load now. */
export const servingCount = ({ members }: Pick<Group, 'members'>): number =>
  members.filter(member => inService(member) && member.healthy).length;

/** Instances of a warm pool that do not run the image. One that EC2 does not know yet counts, because it would be in service next. */
export const staleOf = (pool: readonly string[], images: ReadonlyMap<string, string>, imageId: string): readonly string[] =>
  pool.filter(id => images.get(id) !== imageId);

/** `excluded`: protected instances may keep their image. */
export function proofOf(group: Group, images: ReadonlyMap<string, string>, imageId: string, { excluded }: { excluded: boolean }): Proof {
  const members = group.members.filter(member => inService(member) && !(excluded && member.protected && images.get(member.id) !== imageId));
  return {
    inService: members.length,
    onImage: members.filter(({ id }) => images.get(id) === imageId).length,
    wrong: members.filter(({ id }) => images.has(id) && images.get(id) !== imageId).map(({ id }) => id),
    unknown: members.filter(({ id }) => !images.has(id)).map(({ id }) => id),
  };
}

export interface SteadyState {
  readonly group: Group;
  readonly proof: Proof;
  /** Of the settled instances. */
  readonly traffic: Traffic;
  /** How many instances run the image, are in service and have warmed up. */
  readonly settled: number;
  /** Instances of its warm pool that run another image. */
  readonly stalePool: readonly string[];
}

/** What is wrong although AWS calls the group healthy; undefined if nothing is. */
export function imageProblem({ proof, group }: Pick<SteadyState, 'proof' | 'group'>): string | undefined {
  const { wrong, unknown, inService } = proof;
  if (wrong.length > 0) return `${formatList(wrong, 3)} of ${inService} in service ${wrong.length === 1 ? 'runs' : 'run'} another image`;
  if (unknown.length > 0) return `EC2 does not show the image of ${formatList(unknown, 3)}`;
  if (inService === 0 && group.desired > 0) return 'no instance is in service';
  return undefined;
}

/** AWS asks the load balancers only where the group's health check includes ELB, and continues after the warmup either way. */
export const trafficProblem = ({ traffic: { without }, group }: Pick<SteadyState, 'traffic' | 'group'>): string | undefined =>
  without.length === 0
    ? undefined
    : `the load balancer sends no traffic to ${formatUnserved(without)}${group.healthCheck.includes('ELB') ? '' : '. If the service starts slowly, increase "warm-up"'}`;

export const warmPoolProblem = ({ stalePool }: Pick<SteadyState, 'stalePool'>): string | undefined =>
  stalePool.length === 0
    ? undefined
    : `${formatList(stalePool, 3)} of the warm pool ${stalePool.length === 1 ? 'runs' : 'run'} another image`;

/** What only needs time. */
export function pendingReason({ traffic: { coming }, proof, settled }: SteadyState): string | undefined {
  if (coming.length > 0) return `waiting for the load balancer to register ${formatUnserved(coming)}`;
  return proof.inService > 0 && settled === 0 ? 'instances are warming up' : undefined;
}
