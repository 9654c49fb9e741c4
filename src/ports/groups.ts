import type { Group, Launch, Launching, Refresh, RefreshPreferences, Source, Target, TemplateUse } from '../model/group.ts';
import type { Tags } from '../model/image.ts';
import type { LaunchConfiguration, NamedTemplate } from '../model/launch-configuration.ts';
import type { NodeGroup, NodeGroupName, NodeUpdate } from '../model/node-group.ts';
import type { Side, Split, SplitDetails } from '../model/split.ts';
import type { TemplateVersion } from '../model/template.ts';

/** The ports to an environment: its pointer, its groups and their launch templates. */

export interface Parameter {
  readonly name: string;
  readonly value: string;
  readonly version: number;
  readonly type: string;
  readonly dataType: string;
  readonly writtenAt: Date;
}

/** Only the history has description and labels. */
export interface ParameterVersion extends Parameter {
  readonly description: string;
  readonly labels: readonly string[];
}

export interface ParameterWrite {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  /** The current version; undefined creates the parameter. */
  readonly existing: Parameter | undefined;
}

export interface Parameters {
  read(name: string): Promise<Parameter | undefined>;
  /** At most ten in one call, in this order. */
  readAll(names: readonly string[]): Promise<readonly (Parameter | undefined)[]>;
  /**
   * Returns the new version. AWS checks `aws:ec2:image` later, so read it back. Undefined: the parameter was created since it was read, or is
   * being written. That may be our own call, when its answer got lost.
   */
  write(parameter: ParameterWrite): Promise<number | undefined>;
  /** Newest first; AWS keeps 100. Empty where the parameter does not exist. */
  history(name: string): Promise<readonly ParameterVersion[]>;
  remove(name: string): Promise<void>;
}

/** How a green group is created, and how a group is deleted. */
export interface GroupCopies {
  /** What hangs on the group and would be missing on a copy, a sentence each; and the hooks that are copied, with their targets. */
  copyLimits(group: string): Promise<{ readonly cannotCopy: readonly string[]; readonly hooks: readonly string[] }>;
  /**
   * Creates a group of the same shape, without load balancers, that launches something else. All its sizes are what the first one runs now.
   * `exists`: a group of this name exists already, and was not changed.
   */
  create(order: {
    readonly from: string;
    readonly as: string;
    readonly launch: Launch;
    readonly tags: Tags;
  }): Promise<'created' | 'exists'>;
  /** Hooks, policies, notifications and metrics; and these processes are suspended. Can be repeated. */
  copyAttachments(from: string, as: string, suspended: readonly string[]): Promise<void>;
  /** The scheduled actions, which would resize a group that does not serve alone. `now`: milliseconds since 1970. Can be repeated. */
  copySchedules(from: string, as: string, now: number): Promise<void>;
  /** Puts it behind the load balancers of the first one, or behind `receives`. Can be repeated. */
  attachTraffic(from: string, as: string, receives?: Pick<Side, 'targetGroups' | 'balancers'>): Promise<void>;
  /** Takes it from behind its load balancers. */
  detachTraffic(group: string): Promise<void>;
  /** Names of the scheduled actions. */
  schedules(group: string): Promise<readonly string[]>;
  suspend(group: string, processes: readonly string[]): Promise<void>;
  resize(group: string, size: { readonly min?: number; readonly max?: number; readonly desired?: number }): Promise<void>;
  /** `force`: with its instances, and without their termination hooks. Else it throws a `TimeoutError` as long as there are instances. */
  remove(group: string, how: { readonly force: boolean }): Promise<void>;
  /** How long termination hooks may hold an instance, in seconds. */
  terminationSeconds(group: string): Promise<number>;
  tag(group: string, tags: Tags): Promise<void>;
  untag(group: string, keys: readonly string[]): Promise<void>;
}

export interface Groups extends GroupCopies {
  /** All pages. By name (one that does not exist is left out), by all these tags, or all groups. */
  find(query: { readonly names?: readonly string[]; readonly tags?: Tags }): Promise<readonly Group[]>;
  /** The image of each instance. An instance that EC2 does not know (yet) is left out. */
  imagesOf(instanceIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Instances in the warm pool of the group. */
  warmPool(group: string): Promise<readonly string[]>;
  /** What the target groups report about the members of the group; empty without target groups. */
  targetHealth(group: Pick<Group, 'members' | 'targetGroups'>): Promise<readonly Target[]>;
  /** Load balancers of every kind, and the state of the group in them. */
  sources(group: string): Promise<readonly Source[]>;
  /** Instances that a failed health check took out of service, among the newest scaling activities; newest first. */
  unhealthy(group: string): Promise<readonly { readonly at: Date; readonly reason: string }[]>;
  /** Launches among the newest scaling activities, newest first. */
  launches(group: string): Promise<readonly Launching[]>;
  /** Seconds from launch to in service, by instance; of launches among the newest scaling activities. */
  launchSeconds(group: string): Promise<ReadonlyMap<string, number>>;
  /** The newest twenty, newest first. */
  refreshes(group: string): Promise<readonly Refresh[]>;
  refresh(group: string, id: string): Promise<Refresh | undefined>;
  /** The ID. Undefined when a refresh is running, which may be ours: the call has no client token. */
  start(order: {
    readonly group: string;
    readonly launch: Launch | undefined;
    readonly preferences: RefreshPreferences;
  }): Promise<string | undefined>;
  /** `over`: no refresh is running. `impossible`: AWS cannot roll this one back. */
  rollBack(group: string): Promise<'started' | 'over' | 'impossible'>;
  /** Stops the refresh without a rollback. */
  cancel(group: string): Promise<void>;
  /** Changes what the group launches from now on, and no instance. */
  setLaunch(group: string, launch: Launch): Promise<void>;
}

export interface LaunchTemplates {
  /** The version that `$Latest`, `$Default` or a number is now. */
  version(use: Pick<TemplateUse, 'templateId' | 'version'>): Promise<TemplateVersion | undefined>;
  /** The image that a version would launch now, also when it names a parameter. */
  resolved(version: TemplateVersion): Promise<string | undefined>;
  /** All versions with this image. */
  withImage(templateId: string, imageId: string): Promise<readonly TemplateVersion[]>;
  /** All versions with one of these images. */
  withImages(templateId: string, imageIds: readonly string[]): Promise<readonly TemplateVersion[]>;
  /** The source with another image. Warnings: AWS created it and expects its launches to fail. */
  create(order: {
    readonly source: TemplateVersion;
    readonly imageId: string;
    readonly description: string;
    readonly token: string;
  }): Promise<{ readonly version: TemplateVersion; readonly warnings: readonly string[] }>;
  remove(version: TemplateVersion): Promise<void>;
}

export interface LaunchConfigurations {
  get(name: string): Promise<LaunchConfiguration | undefined>;
  /** A copy with another image, and without these snapshots. Does nothing where the name exists: read it back. */
  copy(order: {
    readonly from: LaunchConfiguration;
    readonly as: string;
    readonly imageId: string;
    readonly without: ReadonlySet<string>;
  }): Promise<void>;
  /** Nothing where it does not exist, or a group uses it. */
  remove(name: string): Promise<void>;
  /** The launch template of this name. */
  template(name: string): Promise<NamedTemplate | undefined>;
  /** Returns what AWS warns of. Does nothing where the name exists: read it back. */
  createTemplate(order: {
    readonly name: string;
    readonly data: Readonly<Record<string, unknown>>;
    readonly tags: Tags;
    readonly description: string;
  }): Promise<readonly string[]>;
  removeTemplate(templateId: string): Promise<void>;
}

/** Managed node groups of EKS. */
export interface NodeGroups {
  get(which: NodeGroupName): Promise<NodeGroup | undefined>;
  /** The update in progress. */
  active(which: NodeGroupName): Promise<NodeUpdate | undefined>;
  update(which: NodeGroupName, id: string): Promise<NodeUpdate>;
  /** The ID of the update. */
  start(order: { readonly which: NodeGroupName; readonly template: TemplateUse }): Promise<string>;
}

export interface Alarms {
  /** The state of each CloudWatch alarm that exists, by name: OK, ALARM or INSUFFICIENT_DATA. */
  states(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** What divides traffic by weight. */
export interface Weights {
  /** Undefined: it does not exist. */
  read(at: string): Promise<Split | undefined>;
  details(split: Split): Promise<SplitDetails>;
  /** Sets the weights by the ID of a side, in one call. Everything else stays as it is. Returns the ID of a change that takes effect later. */
  write(at: string, weights: ReadonlyMap<string, number>): Promise<string | undefined>;
  /** Whether such a change is in effect. */
  inSync(change: string): Promise<boolean>;
}
