import type { Group, Launch, Refresh, RefreshPreferences, Source, Target, TemplateUse } from '../model/group.ts';
import type { Tags } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';

/** The ports to what an environment is made of: its pointer, its groups and their launch templates. */

export interface Parameter {
  readonly name: string;
  readonly value: string;
  readonly version: number;
  readonly type: string;
  readonly dataType: string;
  readonly writtenAt: Date;
}

/** Only the history tells what was said about a version. */
export interface ParameterVersion extends Parameter {
  readonly description: string;
  readonly labels: readonly string[];
}

export interface ParameterWrite {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  /** What is there now; undefined makes the parameter. */
  readonly existing: Parameter | undefined;
}

export interface Parameters {
  read(name: string): Promise<Parameter | undefined>;
  /**
   * Returns the version it became. 200 does not mean stored: `aws:ec2:image` is checked later, so read it back. Undefined: somebody made it
   * meanwhile, or writes it right now, which may be us: the answer of a call may get lost.
   */
  write(parameter: ParameterWrite): Promise<number | undefined>;
  /** Newest first; AWS keeps 100. Empty where there is no such parameter. */
  history(name: string): Promise<readonly ParameterVersion[]>;
  remove(name: string): Promise<void>;
}

/** How a second group comes into the world, and how one leaves it. */
export interface GroupCopies {
  /** What hangs on the group and would be missing on a copy, a sentence each. */
  cannotCopy(group: string): Promise<readonly string[]>;
  /** A group of the same shape, behind the same load balancers, that launches something else; with hooks, schedules, policies and notifications. Repeating it finishes it. */
  copy(order: { readonly from: string; readonly as: string; readonly launch: Launch; readonly tags: Tags }): Promise<void>;
  resize(group: string, size: { readonly min?: number; readonly max?: number; readonly desired: number }): Promise<void>;
  /** With every instance that is left in it. */
  remove(group: string): Promise<void>;
  tag(group: string, tags: Tags): Promise<void>;
  untag(group: string, keys: readonly string[]): Promise<void>;
}

export interface Groups extends GroupCopies {
  /** All pages. Those of these names (a name that is not there is missing in the answer), or with all these tags, or all there are. */
  find(query: { readonly names?: readonly string[]; readonly tags?: Tags }): Promise<readonly Group[]>;
  /** What each instance was launched from; an instance that EC2 does not know (yet) is missing in the answer. */
  imagesOf(instanceIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Instances that wait in the group's warm pool and will be in service one day. */
  warmPool(group: string): Promise<readonly string[]>;
  /** What the target groups of the group say about its members; empty where none looks. */
  targetHealth(group: Pick<Group, 'members' | 'targetGroups'>): Promise<readonly Target[]>;
  /** Load balancers of any kind, and how far the group is with them. */
  sources(group: string): Promise<readonly Source[]>;
  /** The newest twenty, newest first. */
  refreshes(group: string): Promise<readonly Refresh[]>;
  refresh(group: string, id: string): Promise<Refresh | undefined>;
  /** The ID; undefined when one is running already, which may be ours: the call has no client token. */
  start(order: {
    readonly group: string;
    readonly launch: Launch | undefined;
    readonly preferences: RefreshPreferences;
  }): Promise<string | undefined>;
  /** `over`: nothing runs any more. `impossible`: AWS cannot roll this one back. */
  rollBack(group: string): Promise<'started' | 'over' | 'impossible'>;
  /** Stops where it stands; rolls nothing back. */
  cancel(group: string): Promise<void>;
  /** Changes what the group launches from now on; no instance is touched. */
  setLaunch(group: string, launch: Launch): Promise<void>;
}

export interface LaunchTemplates {
  /** What `$Latest`, `$Default` or a number means now. */
  version(use: Pick<TemplateUse, 'templateId' | 'version'>): Promise<TemplateVersion | undefined>;
  /** The image that a version which reads a parameter would launch now. */
  resolved(version: TemplateVersion): Promise<string | undefined>;
  /** All versions that name this image. */
  withImage(templateId: string, imageId: string): Promise<readonly TemplateVersion[]>;
  /** All versions that name one of these. */
  withImages(templateId: string, imageIds: readonly string[]): Promise<readonly TemplateVersion[]>;
  /** The source with another image. Warnings mean that AWS made it, and doubts that it launches. */
  create(order: {
    readonly source: TemplateVersion;
    readonly imageId: string;
    readonly description: string;
    readonly token: string;
  }): Promise<{ readonly version: TemplateVersion; readonly warnings: readonly string[] }>;
  remove(version: TemplateVersion): Promise<void>;
}
