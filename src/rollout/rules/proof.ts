import type { Group, Member } from '../../model/group.ts';
import { formatUnserved, type Traffic } from './traffic.ts';

/** What the instances in service really run, whatever Auto Scaling says about the refresh. */
export interface Proof {
  readonly inService: number;
  readonly onImage: number;
  /** Run something else, and should not. */
  readonly wrong: readonly string[];
  /** EC2 does not know them (yet). */
  readonly unknown: readonly string[];
}

export const inService = ({ state }: Pick<Member, 'state'>): boolean => state === 'InService';

/** Of a warm pool: what would be in service next. EC2 may not know one yet: then it is no proof. */
export const staleOf = (pool: readonly string[], images: ReadonlyMap<string, string>, imageId: string): readonly string[] =>
  pool.filter(id => images.get(id) !== imageId);

/** `spared`: protected instances that keep their image because the user said so. */
export function proofOf(group: Group, images: ReadonlyMap<string, string>, imageId: string, { excluded }: { excluded: boolean }): Proof {
  const evaluation = group.members.filter(
    member => inService(member) && !(excluded && member.protected && images.get(member.id) !== imageId),
  );
  return {
    inService: evaluation.length,
    onImage: evaluation.filter(({ id }) => images.get(id) === imageId).length,
    wrong: evaluation.filter(({ id }) => images.has(id) && images.get(id) !== imageId).map(({ id }) => id),
    unknown: evaluation.filter(({ id }) => !images.has(id)).map(({ id }) => id),
  };
}

/** A group as it is, to be proven. */
export interface SteadyState {
  readonly group: Group;
  readonly proof: Proof;
  /** Of those that are settled. */
  readonly traffic: Traffic;
  /** How many run the image, are in service and have warmed up: what others do says nothing yet. */
  readonly settled: number;
  /** Instances of its warm pool that run something else. */
  readonly stalePool: readonly string[];
}

/** What is wrong with the group although AWS finds it healthy; undefined when nothing is. */
export function unprovenBecause({ proof, group }: Pick<SteadyState, 'proof' | 'group'>): string | undefined {
  if (proof.wrong.length > 0) return `${said(proof.wrong)} of ${proof.inService} in service run another image`;
  if (proof.unknown.length > 0) return `EC2 does not say what ${said(proof.unknown)} run`;
  if (proof.inService === 0 && group.desired > 0) return 'no instance is in service';
  return undefined;
}

/** AWS asks the load balancers only where the health check of the group is ELB, and goes on either way after the warm-up. */
export const unservedBecause = ({ traffic: { without }, group }: Pick<SteadyState, 'traffic' | 'group'>): string | undefined =>
  without.length === 0
    ? undefined
    : `the load balancer sends nothing to ${formatUnserved(without)}${group.healthCheck.includes('ELB') ? '' : '. If the service only starts slowly, say so with "warm-up"'}`;

export const stalePoolBecause = ({ stalePool }: Pick<SteadyState, 'stalePool'>): string | undefined =>
  stalePool.length === 0 ? undefined : `${said(stalePool)} of its warm pool run another image`;

/** What only needs time. */
export function notYet({ traffic: { coming }, proof, settled }: SteadyState): string | undefined {
  if (coming.length > 0) return `the load balancer does not know ${formatUnserved(coming)} yet`;
  return proof.inService > 0 && settled === 0 ? 'its instances warm up' : undefined;
}

const said = (ids: readonly string[]): string =>
  ids.length <= 3 ? ids.join(', ') : `${ids.slice(0, 3).join(', ')} and ${ids.length - 3} more`;
