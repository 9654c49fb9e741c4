import type { Group, Refresh } from '../../model/group.ts';
import type { Architecture, Image } from '../../model/image.ts';
import type { LaunchConfiguration, NamedTemplate } from '../../model/launch-configuration.ts';
import type { RolloutOperation } from '../../model/pointer.ts';
import type { Split, SplitDetails } from '../../model/split.ts';
import type { TemplateVersion } from '../../model/template.ts';
import type { PreferenceOptions } from './preferences.ts';
import type { RolloutOptions } from './settings.ts';

/** What makes the group launch the new image: a template version, the pointer that its template reads, or a launch configuration. */
export type LaunchedBy = 'version' | 'pointer' | 'configuration';

/** The launch configuration of a group. */
export interface ConfigurationFacts {
  readonly now: LaunchConfiguration;
  /** `keep`: one with the wanted image that differs in nothing else. */
  readonly ready?: LaunchConfiguration | undefined;
  /** `keep`: what an unfinished rollout of the same image recorded. */
  readonly before?: string | undefined;
  /** `keep`: the name of its copy with the wanted image. */
  readonly copyName: string;
  /** `keep`: something else has that name. */
  readonly taken?: boolean;
  /** `convert`: the launch template that has its name. */
  readonly template?: NamedTemplate | undefined;
}

/** What decides how a group is rolled out, read before the first write. */
export interface GroupFacts {
  readonly group: Group;
  /** The refresh in progress. */
  readonly active: Refresh | undefined;
  /** It rolls out template versions that ami-action created, for any image. */
  readonly activeIsOurs: boolean;
  /** What each template version that the group uses means now, by `useKey`. */
  readonly versions: ReadonlyMap<string, TemplateVersion>;
  /** Existing versions that differ from those in the image only, and name the wanted image; by template ID and content. */
  readonly ready: ReadonlyMap<string, TemplateVersion>;
  /** Instances of its warm pool. */
  readonly warmPool: readonly string[];
  /** The image of each member and of each instance of the warm pool. */
  readonly images: ReadonlyMap<string, string>;
  /** By instance type; undefined for a type that does not exist in the region. */
  readonly architectures: ReadonlyMap<string, readonly Architecture[] | undefined>;
  /** Blue-green: the green group, and the image that it launches. */
  readonly successor: { readonly group: Group; readonly imageId: string | undefined } | undefined;
  /** `two-groups`: the group that takes over, and the scheduled actions of both. */
  readonly idle?: { readonly group: Group; readonly schedules: readonly string[] } | undefined;
  /** Blue-green: what of the group cannot be copied. */
  readonly cannotCopy: readonly string[];
  /** Blue-green: lifecycle hooks, each with its target where it has one. */
  readonly hooks: readonly string[];
  /** Blue-green: a group that is not its green group has that name. */
  readonly nameTaken: boolean;
  /** Other groups that launch from `$Latest` of the same template, by template ID. */
  readonly latestUsers: ReadonlyMap<string, readonly string[]>;
  /** Snapshots of the images that the template versions name now. */
  readonly imageSnapshots: ReadonlySet<string>;
  /** `shift-at`: what divides the traffic. */
  readonly shift?: ShiftFacts | undefined;
  /** Undefined: it launches from a template. */
  readonly configuration?: ConfigurationFacts | undefined;
  /** The state of each of the `alarms` that exists. */
  readonly alarms: ReadonlyMap<string, string>;
}

export interface ShiftFacts {
  readonly at: string;
  /** Undefined: it does not exist. */
  readonly split: Split | undefined;
  readonly details: SplitDetails | undefined;
  /** Other groups that are attached to a side. */
  readonly others: readonly string[];
}

export type PlanOptions = PreferenceOptions &
  Partial<Pick<RolloutOptions, 'shift' | 'launchConfigurations'>> &
  Pick<RolloutOptions, 'strategy' | 'foreignRefresh' | 'parameterTemplates'> & {
    readonly image: Image;
    readonly operation: RolloutOperation;
    /** `since`: when it began to name its value. `movedAt`: by a run that moved it and did not finish. */
    readonly pointer: {
      readonly name: string;
      readonly value: string | undefined;
      readonly since?: Date | undefined;
      readonly movedAt?: Date | undefined;
    };
  };
