import type {
  Activity,
  AutoScalingGroup,
  DesiredConfiguration,
  InstanceMaintenancePolicy,
  LaunchTemplateOverrides,
  LifecycleState,
  TagDescription,
} from '@aws-sdk/client-auto-scaling';
import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import type { Refresh } from './refresh.ts';
import type { WarmPool } from './warm-pool.ts';

/** What a group launches from: exactly one of the three, as it was given. Numbers are resolved at launch, not before. */
export interface Recipe {
  readonly LaunchConfigurationName?: string | undefined;
  readonly LaunchTemplate?: DesiredConfiguration['LaunchTemplate'];
  readonly MixedInstancesPolicy?: DesiredConfiguration['MixedInstancesPolicy'];
}

/** An instance as its group sees it. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html */
export interface Member {
  readonly id: string;
  readonly zone: string;
  readonly subnetId: string;
  readonly instanceType: string;
  /** What it was made of, with `$Latest` and `$Default` resolved: this is what skip matching compares. */
  readonly template: { readonly id: string; readonly name: string; readonly version: number } | undefined;
  readonly configurationName: string | undefined;
  readonly override: LaunchTemplateOverrides | undefined;
  readonly imageId: string;
  readonly launchedAt: number;
  state: LifecycleState;
  health: 'Healthy' | 'Unhealthy';
  /** In the words of an activity's cause. */
  sickBecause: string;
  protected: boolean;
  /** Milliseconds; undefined until it entered service. */
  inServiceAt: number | undefined;
  /** The activity that launches or ends it, while that lasts. */
  activity: Activity | undefined;
}

export interface Group {
  readonly place: Place;
  readonly name: string;
  readonly arn: string;
  readonly createdAt: Date;
  recipe: Recipe;
  /** What Describe says and nothing in the lab depends on. */
  described: Partial<AutoScalingGroup>;
  min: number;
  max: number;
  desired: number;
  /** Where it launches, in turn. */
  spots: readonly Spot[];
  healthTypes: readonly string[];
  graceSeconds: number;
  /** -1 or undefined: not set. */
  warmupSeconds: number | undefined;
  maintenance: InstanceMaintenancePolicy | undefined;
  protectNew: boolean;
  tags: readonly TagDescription[];
  sources: readonly Source[];
  readonly members: Map<string, Member>;
  readonly activities: Activity[];
  /** Process -> why. */
  readonly suspended: Map<string, string>;
  /** Newest first. */
  readonly refreshes: Refresh[];
  warmPool: WarmPool | undefined;
  /** Set by DeleteAutoScalingGroup: the group is gone when its last instance is. */
  deleting: boolean;
  /** What the last failed launch said; cleared by one that succeeds. No more than one attempt per `launchRetry`. */
  launchTrouble: { readonly message: string; readonly at: number } | undefined;
  /** How many were launched so far: spreads zones and overrides. */
  launches: number;
}

/** What sends traffic to a group. */
export interface Source {
  /** ARN of a target group, or name of a classic load balancer. */
  readonly id: string;
  readonly type: 'elb' | 'elbv2';
  /** https://docs.aws.amazon.com/autoscaling/ec2/userguide/load-balancer-status.html */
  state: 'Adding' | 'Added' | 'InService';
}

export interface Spot {
  readonly zone: string;
  readonly subnetId: string;
}

export const groups = slice(() => new Map<string, Group>());

/** What AWS says differs by operation; this is the text of most. */
export function groupNamed(place: Place, name: string | undefined): Group {
  const found = groups(place).get(name ?? '');
  if (found === undefined) throw invalid(`AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`);
  return found;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html */
export const invalid = (message: string): AwsError => new AwsError('ValidationError', message);

export const isSuspended = (group: Group, process: string): boolean => group.suspended.has(process);

/** Members that count toward the desired capacity: not those in standby, nor those that leave. */
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
