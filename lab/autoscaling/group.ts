import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import type { Group, Member } from './state.ts';

export const groups = slice(() => new Map<string, Group>());

/** The wording of AWS differs by operation. This is the most frequent one. */
export function groupNamed(place: Place, name: string | undefined): Group {
  const found = groups(place).get(name ?? '');
  if (found === undefined) throw invalid(`AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`);
  return found;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html */
export const invalid = (message: string): AwsError => new AwsError('ValidationError', message);

export const isSuspended = (group: Group, process: string): boolean => group.suspended.has(process);

/**
 * Weight of one instance, in units of the desired capacity. Overrides with different weights count as one each.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups-instance-weighting.html
 */
export function weightOf({ recipe }: Pick<Group, 'recipe'>): number {
  const weights = new Set(recipe.MixedInstancesPolicy?.LaunchTemplate?.Overrides?.map(({ WeightedCapacity }) => WeightedCapacity));
  return weights.size === 1 ? Number([...weights][0] ?? 1) : 1;
}

/** How many instances reach the desired capacity. */
export const desiredInstances = (group: Group): number => Math.ceil(group.desired / weightOf(group));

/** Members that count toward the desired capacity: all but those in standby and those that are leaving. */
export const counted = (group: Group): readonly Member[] =>
  [...group.members.values()].filter(({ state }) => state === 'Pending' || state === 'InService');

export const inService = (group: Group): readonly Member[] => [...group.members.values()].filter(({ state }) => state === 'InService');

export const isLeaving = ({ state }: Member): boolean => state === 'Terminating' || state === 'Terminated';

export function memberWithId(place: Place, id: string | undefined): { group: Group; member: Member } {
  for (const group of groups(place).values()) {
    const member = group.members.get(id ?? '');
    if (member !== undefined) return { group, member };
  }
  throw invalid(`Instance Id not found - No managed instance found for instance ID ${id}`);
}
