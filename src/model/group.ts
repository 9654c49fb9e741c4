import type { Tags } from './image.ts';

/** What an Auto Scaling group launches, and what AWS shows of it during a rollout. */

/** A launch template version, as a group names it. */
export interface TemplateUse {
  readonly templateId: string;
  readonly templateName: string;
  /** A number, `$Latest` or `$Default`. */
  readonly version: string;
}

interface Override {
  readonly instanceType: string | undefined;
  /** Its own template, instead of the policy's. */
  readonly template: TemplateUse | undefined;
  readonly imageId: string | undefined;
  /** It selects instance types by requirements instead of a name. */
  readonly byRequirements?: boolean;
}

export type Launch =
  | { readonly kind: 'template'; readonly template: TemplateUse }
  | {
      readonly kind: 'mixed';
      readonly template: TemplateUse;
      readonly overrides: readonly Override[];
      /** The whole policy as AWS returned it: it is sent back with only the versions changed. */
      readonly policy: Readonly<Record<string, unknown>>;
      /** Members of the policy that are newer than this program, which would drop them. */
      readonly unknown?: readonly string[];
    }
  | { readonly kind: 'configuration'; readonly name: string };

export interface Member {
  readonly id: string;
  /** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html */
  readonly state: string;
  readonly healthy: boolean;
  readonly protected: boolean;
  readonly template: TemplateUse | undefined;
  /** Of its root volume, where that is not the image that it was launched from. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Instance.html */
  readonly imageId?: string | undefined;
}

/** The image of each instance by what EC2 says, and of its root volume where a refresh has replaced that. */
export const withRootVolumes = (images: ReadonlyMap<string, string>, groups: readonly Pick<Group, 'members'>[]): Map<string, string> =>
  new Map([
    ...images,
    ...groups.flatMap(({ members }) => members.flatMap(({ id, imageId }) => (imageId === undefined ? [] : [[id, imageId] as const]))),
  ]);

export interface Group {
  readonly name: string;
  readonly launch: Launch;
  readonly min: number;
  readonly max: number;
  readonly desired: number;
  readonly healthCheck: string;
  /** How long AWS waits after InService before it counts an instance, unless a refresh sets another time. */
  readonly warmUpSeconds: number;
  readonly suspended: readonly string[];
  readonly beingDeleted: boolean;
  readonly members: readonly Member[];
  /** ARNs of the load balancers' target groups that its instances are in. */
  readonly targetGroups: readonly string[];
  /** Other traffic sources: classic load balancers by name, VPC Lattice by ARN. Only Auto Scaling knows what the latter report for one instance. */
  readonly balancers?: readonly string[];
  /** How long Auto Scaling ignores what load balancers report for a new instance. */
  readonly graceSeconds?: number;
  /** It has a warm pool. */
  readonly warmPool?: boolean;
  /** The AWS service that manages it: AWS refuses changes by others. */
  readonly operator?: string | undefined;
  /** Its instance maintenance policy, in percent. */
  readonly maintenance?: { readonly minHealthy: number | undefined; readonly maxHealthy: number | undefined } | undefined;
  /** What its sizes count instead of instances; undefined for instances. */
  readonly sizeUnit?: 'weights' | 'vcpu' | 'memory-mib' | undefined;
  /** With `weights`: the largest weight of its instance types. */
  readonly heaviest?: number | undefined;
  readonly tags: Tags;
}

export const isClassic = (balancer: string): boolean => !balancer.startsWith('arn:');

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html */
export type RefreshStatus =
  | 'Pending'
  | 'InProgress'
  | 'Baking'
  | 'Successful'
  | 'Failed'
  | 'Cancelling'
  | 'Cancelled'
  | 'RollbackInProgress'
  | 'RollbackSuccessful'
  | 'RollbackFailed';

export interface Refresh {
  readonly id: string;
  readonly group: string;
  readonly status: RefreshStatus;
  readonly reason: string;
  /** Decreases during a rollback. */
  readonly percent: number;
  readonly toUpdate: number | undefined;
  readonly startedAt: Date | undefined;
  readonly endedAt?: Date | undefined;
  /** What the group launches after it; undefined for a refresh that replaces instances without a change. */
  readonly desired: Launch | undefined;
}

const OVER: ReadonlySet<RefreshStatus> = new Set(['Successful', 'Failed', 'Cancelled', 'RollbackSuccessful', 'RollbackFailed']);

export const isOver = ({ status }: Pick<Refresh, 'status'>): boolean => OVER.has(status);

/** Every template version that a group may launch from: its own first, then those of its overrides. */
export const usesOf = (launch: Launch): readonly TemplateUse[] => {
  if (launch.kind === 'configuration') return [];
  const own = launch.kind === 'mixed' ? launch.overrides.flatMap(({ template }) => (template === undefined ? [] : [template])) : [];
  return [launch.template, ...own];
};

export const useKey = ({ templateId, version }: Pick<TemplateUse, 'templateId' | 'version'>): string => `${templateId} ${version}`;

export const isNumbered = ({ version }: TemplateUse): boolean => /^\d+$/.test(version);

/** The same launch at other versions: `versions` maps `useKey` to a number. Others stay. */
export function atVersions(launch: Launch, versions: ReadonlyMap<string, number>): Launch {
  if (launch.kind === 'configuration') return launch;
  const moved = (use: TemplateUse): TemplateUse => ({ ...use, version: versions.get(useKey(use))?.toString() ?? use.version });
  if (launch.kind === 'template') return { ...launch, template: moved(launch.template) };
  return {
    ...launch,
    template: moved(launch.template),
    overrides: launch.overrides.map(override => ({
      ...override,
      template: override.template === undefined ? undefined : moved(override.template),
    })),
  };
}

/** Whether both launch from the same versions. A refresh has no name, so this is how the action recognizes its own. */
export const sameLaunch = (a: Launch | undefined, b: Launch | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  (a.kind === 'configuration' || b.kind === 'configuration'
    ? a.kind === b.kind && formatLaunch(a) === formatLaunch(b)
    : a.kind === b.kind && usesOf(a).map(useKey).join() === usesOf(b).map(useKey).join());

export const formatTemplateUse = ({ templateName, templateId, version }: TemplateUse): string =>
  `${templateName === '' ? templateId : templateName}:${version}`;

export const formatLaunch = (launch: Launch): string =>
  launch.kind === 'configuration' ? `launch configuration ${launch.name}` : usesOf(launch).map(formatTemplateUse).join(', ');

/** How AWS replaces instances. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html */
export interface RefreshPreferences {
  /** Undefined: the group's maintenance policy, or 90. */
  readonly minHealthy: number | undefined;
  readonly maxHealthy: number | undefined;
  readonly warmUpSeconds: number | undefined;
  readonly checkpoints: readonly number[];
  readonly checkpointDelaySeconds: number | undefined;
  readonly bakeSeconds: number;
  readonly alarms: readonly string[];
  readonly skipMatching: boolean;
  readonly autoRollback: boolean;
  readonly protectedInstances: 'refresh' | 'ignore' | 'wait';
  readonly standbyInstances: 'terminate' | 'ignore' | 'wait';
}

export interface Target {
  readonly instanceId: string;
  /** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html#target-health-states */
  readonly state: string;
  /** State, reason and description in one line. */
  readonly message: string;
}

/** What sends traffic to a group, as Auto Scaling sees it. */
export interface Source {
  /** Name of a classic load balancer, ARN of a target group. */
  readonly name: string;
  /** elb, elbv2 or vpc-lattice. */
  readonly type: string;
  /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TrafficSourceState.html */
  readonly state: string;
  /** What it reports for each instance. Undefined: nothing, or it reports through its target groups. */
  readonly targets?: readonly Target[];
}

/** A launch that Auto Scaling tried. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html */
export interface Launching {
  readonly at: Date;
  readonly result: 'successful' | 'failed' | 'pending';
  /** Why it failed, in the words of AWS. */
  readonly message: string;
}
