import type {
  Activity,
  AutoScalingGroup,
  DesiredConfiguration,
  InstanceMaintenancePolicy,
  InstanceRefreshStatus,
  LaunchTemplateOverrides,
  LifecycleState,
  RollbackDetails,
  TagDescription,
  WarmPoolConfiguration,
} from '@aws-sdk/client-auto-scaling';
import type { Place } from '../place.ts';

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

/** An instance refresh of the strategy Rolling. https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html */
export interface Refresh {
  readonly id: string;
  status: InstanceRefreshStatus;
  reason: string | undefined;
  readonly startedAt: Date;
  endedAt: Date | undefined;
  readonly rules: Rules;
  readonly desired: DesiredConfiguration | undefined;
  /** Instances that still have to go: the old ones; during a rollback the new ones. */
  readonly stale: Set<string>;
  /** Instances that may stay because they match. */
  readonly spared: Set<string>;
  /** Whatever was there at the start: what is not in here was launched by or during the refresh. */
  readonly known: ReadonlySet<string>;
  /** How many instances more than desired there may be, so that new ones come before old ones go. */
  surplus: number;
  /** The last checkpoint that was waited for, in percent. */
  checkpoint: number;
  /** End of the checkpoint's delay or of the bake, in milliseconds. */
  waitUntil: number | undefined;
  /** When the last replacement became ready: the hour of patience runs from here. */
  movedAt: number;
  /** The most that was ready at once. */
  best: number;
  percentage: number;
  toUpdate: number;
  rollback: (RollbackDetails & { readonly total: number }) | undefined;
  waitForTransitions: boolean;
}

/** Preferences with their defaults filled in. */
export interface Rules {
  readonly minHealthy: number;
  /** Undefined when nobody said it: then old instances go before new ones are there. */
  readonly maxHealthy: number | undefined;
  readonly warmupSeconds: number;
  readonly checkpoints: readonly number[];
  readonly checkpointSeconds: number;
  readonly bakeSeconds: number;
  readonly skipMatching: boolean;
  readonly autoRollback: boolean;
  readonly alarms: readonly string[];
  readonly protectedOnes: 'Refresh' | 'Ignore' | 'Wait';
  readonly standby: 'Terminate' | 'Ignore' | 'Wait';
}

/** Instances that wait, stopped as a rule, to be launched faster. In the lab they wait for ever: a scale-out does not draw from the pool. */
export interface WarmPool {
  configuration: WarmPoolConfiguration;
  readonly members: Map<string, Member>;
}
