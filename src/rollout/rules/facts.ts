import type { Group, Refresh } from '../../model/group.ts';
import type { Architecture, Image } from '../../model/image.ts';
import type { RolloutOperation } from '../../model/pointer.ts';
import type { TemplateVersion } from '../../model/template.ts';
import type { PreferenceOptions } from './preferences.ts';

/** Everything about a group that decides how it is rolled, read before the first write. */
export interface GroupFacts {
  readonly group: Group;
  /** The refresh that runs now. */
  readonly active: Refresh | undefined;
  /** It rolls out a template version that we made, for whatever image. */
  readonly activeIsOurs: boolean;
  /** What each template version that the group uses means now, by `useKey`. */
  readonly versions: ReadonlyMap<string, TemplateVersion>;
  /** Versions that differ from those in nothing but the image, and name the wanted one; by template ID and content. */
  readonly ready: ReadonlyMap<string, TemplateVersion>;
  /** Instances of its warm pool. */
  readonly warmPool: readonly string[];
  /** What each member, and each instance of the warm pool, was launched from. */
  readonly images: ReadonlyMap<string, string>;
  /** By instance type; undefined for a type that does not exist here. */
  readonly architectures: ReadonlyMap<string, readonly Architecture[] | undefined>;
  /** Blue-green: the group that is to take over, and the image that it launches. */
  readonly successor: { readonly group: Group; readonly imageId: string | undefined } | undefined;
  /** Blue-green: why no second group of the same shape can be made. */
  readonly cannotCopy: readonly string[];
  /** Groups that we do not roll and that launch from `$Latest` of the same template, by template ID. */
  readonly latestUsers: ReadonlyMap<string, readonly string[]>;
  /** Snapshots of the images that the template versions name now. */
  readonly imageSnapshots: ReadonlySet<string>;
}

export interface PlanOptions extends PreferenceOptions {
  readonly image: Image;
  readonly operation: RolloutOperation;
  readonly strategy: 'rolling' | 'blue-green' | 'none';
  /** `movedAt`: by a run that moved it and then did not come to its end. */
  readonly pointer: { readonly name: string; readonly value: string | undefined; readonly movedAt?: Date | undefined };
  /** What to do with a refresh of somebody else. */
  readonly foreignRefresh: 'refuse' | 'wait' | 'supersede';
  /** What to do with a template that reads its image from the pointer. */
  readonly parameterTemplates: 'refuse' | 'follow' | 'pin';
}
