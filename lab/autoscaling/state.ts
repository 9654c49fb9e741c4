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

/** What a group launches from: exactly one of the three, unresolved. Versions are resolved at launch. */
export interface Recipe {
  readonly LaunchConfigurationName?: string | undefined;
  readonly LaunchTemplate?: DesiredConfiguration['LaunchTemplate'];
  readonly MixedInstancesPolicy?: DesiredConfiguration['MixedInstancesPolicy'];
}

/** An instance in its group. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html */
export interface Member {
  readonly id: string;
  readonly zone: string;
  readonly subnetId: string;
  readonly instanceType: string;
  /** What it was launched from, with `$Latest` and `$Default` resolved. Skip matching compares it. */
  readonly template: { readonly id: string; readonly name: string; readonly version: number } | undefined;
  readonly configurationName: string | undefined;
  readonly override: LaunchTemplateOverrides | undefined;
  readonly imageId: string;
  readonly launchedAt: number;
  state: LifecycleState;
  health: 'Healthy' | 'Unhealthy';
  /** In the wording of an activity's cause. */
  unhealthyReason: string;
  protected: boolean;
  /** Milliseconds since 1970; undefined until it entered service. */
  inServiceAt: number | undefined;
  /** The activity that launches or terminates it, while it is in progress. */
  activity: Activity | undefined;
}

export interface Group {
  readonly place: Place;
  readonly name: string;
  readonly arn: string;
  readonly createdAt: Date;
  recipe: Recipe;
  /** Described members that the lab does not use. */
  described: Partial<AutoScalingGroup>;
  min: number;
  max: number;
  desired: number;
  /** Subnets with their zones, used in turn. */
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
  /** Process -> reason. */
  readonly suspended: Map<string, string>;
  /** Newest first. */
  readonly refreshes: Refresh[];
  warmPool: WarmPool | undefined;
  /** Set by DeleteAutoScalingGroup: the group is removed with its last instance. */
  deleting: boolean;
  /** Message of the last failed launch, cleared by a successful one. One attempt per `launchRetry`. */
  launchTrouble: { readonly message: string; readonly at: number } | undefined;
  /** Number of launches so far, used to spread zones and overrides. */
  launches: number;
}

/** A traffic source of a group. */
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
  /** Instances still to replace: the old ones, or the new ones during a rollback. */
  readonly stale: Set<string>;
  /** Instances that stay because they match. */
  readonly excluded: Set<string>;
  /** Instances that existed at the start. All others were launched by or during the refresh. */
  readonly known: ReadonlySet<string>;
  /** Number of instances above the desired capacity, so that new ones launch before old ones terminate. */
  surplus: number;
  /** The last checkpoint whose delay has started, in percent. */
  checkpoint: number;
  /** End of the checkpoint delay or of the bake time, milliseconds since 1970. */
  waitUntil: number | undefined;
  /** When the last replacement became ready. The refresh fails `refreshPatience` later. */
  movedAt: number;
  /** The highest number of ready instances so far. */
  best: number;
  percentage: number;
  toUpdate: number;
  rollback: (RollbackDetails & { readonly total: number }) | undefined;
  waitForTransitions: boolean;
}

/** Preferences with their defaults filled in. */
export interface Rules {
  readonly minHealthy: number;
  /** Undefined when not set: then old instances terminate before new ones launch. */
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

/** Instances that are prepared, usually stopped. In the lab a scale-out does not use them. */
export interface WarmPool {
  configuration: WarmPoolConfiguration;
  readonly members: Map<string, Member>;
}
