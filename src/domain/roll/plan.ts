import type { Architecture, Image } from '../image.ts';
import type { Deed } from '../pointer.ts';
import { decide, followsPointer, type Obstacle, obstacleOf, type RollDeed } from './deed.ts';
import { atVersions, type Group, type Launch, type Refresh, sameLaunch, useKey } from './group.ts';
import { preferencesOf, type RefreshPreferences, replacedAtATime, type WantedPreferences } from './preferences.ts';
import { staleOf } from './proof.ts';
import { refusalsOf } from './refusals.ts';
import type { TemplateVersion } from './template.ts';
import { estimate, warningsOf } from './warnings.ts';

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
  readonly strangers: ReadonlyMap<string, readonly string[]>;
  /** Snapshots of the images that the template versions name now. */
  readonly imageSnapshots: ReadonlySet<string>;
}

export interface RollWanted extends WantedPreferences {
  readonly image: Image;
  readonly deed: Deed;
  readonly strategy: 'rolling' | 'blue-green' | 'none';
  readonly pointer: { readonly name: string; readonly value: string | undefined };
  /** What to do with a refresh of somebody else. */
  readonly foreignRefresh: 'refuse' | 'wait' | 'supersede';
  /** What to do with a template that reads its image from the pointer. */
  readonly parameterTemplates: 'refuse' | 'follow' | 'pin';
}

/** One template version that must exist for the roll. `to` undefined: it must be made. */
export interface Change {
  readonly from: TemplateVersion;
  readonly to: TemplateVersion | undefined;
}

export interface GroupPlan {
  readonly facts: GroupFacts;
  readonly deed: RollDeed;
  readonly because: string;
  /** pointer: the template reads the pointer, so nothing but the pointer can change what it launches. */
  readonly by: 'version' | 'pointer';
  /** What must be done first; then the plan is made again. */
  readonly obstacle: Obstacle | undefined;
  /** What the group launches, with `$Latest` and `$Default` as the numbers they mean now; the state to go back to. */
  readonly before: Launch;
  readonly mustPin: boolean;
  readonly changes: readonly Change[];
  readonly preferences: RefreshPreferences;
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly replaces: number;
  /** Of the warm pool. */
  readonly replacesPool: readonly string[];
  readonly atATime: number;
  readonly aboutSeconds: number;
}

export const contentKey = ({ templateId, content }: Pick<TemplateVersion, 'templateId' | 'content'>): string => `${templateId} ${content}`;

export function planGroup(facts: GroupFacts, wanted: RollWanted): GroupPlan {
  const { group } = facts;
  const by = followsPointer(facts, wanted) ? 'pointer' : 'version';
  const before = by === 'pointer' ? group.launch : numbered(facts);
  const changes = by === 'pointer' ? [] : changesOf(facts, wanted.image.id);
  const makes = new Set(changes.filter(({ to }) => to === undefined).map(({ from }) => from.templateId));
  const { deed, because } = decide(facts, { ...wanted, by, before, after: afterwards(before, changes) });
  const obstacle = obstacleOf(facts, wanted, deed);
  const preferences = preferencesFor(wanted, by, group);
  const replaces =
    deed === 'refresh' || deed === 'swap'
      ? group.members.filter(({ id }) => !preferences.skipMatching || facts.images.get(id) !== wanted.image.id).length
      : 0;
  const atATime = replacedAtATime(group.desired, preferences);
  return {
    ...{ facts, deed, because, by, obstacle, before, changes, preferences, replaces, atATime },
    replacesPool: deed === 'refresh' ? staleOf(facts.warmPool, facts.images, wanted.image.id) : [],
    mustPin: by === 'version' && (deed === 'refresh' || deed === 'template' || deed === 'swap') && !sameLaunch(group.launch, before),
    refusals: deed === 'nothing' && facts.successor === undefined ? [] : refusalsOf(facts, { ...wanted, deed, by, obstacle, makes }),
    warnings: deed === 'nothing' ? [] : warningsOf(facts, wanted, { by, deed, atATime }),
    aboutSeconds:
      deed === 'refresh' ? estimate(replaces, atATime, preferences, group) : deed === 'swap' ? estimate(1, 1, preferences, group) : 0,
  };
}

/** A refresh without a desired configuration can be compared with nothing, and not be rolled back by AWS. */
const preferencesFor = (wanted: RollWanted, by: GroupPlan['by'], { desired }: Group): RefreshPreferences => ({
  ...preferencesOf(wanted, desired),
  ...(by === 'pointer' ? { skipMatching: false, autoRollback: false } : {}),
});

/** `$Latest` and `$Default` as numbers. */
const numbered = ({ group, versions }: GroupFacts): Launch =>
  atVersions(group.launch, new Map([...versions].map(([key, version]) => [key, version.number])));

/** The launch that the group shall have, once every version of `changes` exists. */
export const afterwards = (before: Launch, changes: readonly Change[]): Launch | undefined =>
  changes.some(({ to }) => to === undefined)
    ? undefined
    : atVersions(before, new Map(changes.flatMap(({ from, to }) => (to === undefined ? [] : [[versionKey(from), to.number] as const]))));

const versionKey = ({ templateId, number }: TemplateVersion): string => useKey({ templateId, version: String(number) });

function changesOf({ versions, ready }: GroupFacts, imageId: string): readonly Change[] {
  const distinct = new Map([...versions.values()].map(version => [versionKey(version), version]));
  return [...distinct.values()].map(from => ({ from, to: from.imageId === imageId ? from : ready.get(contentKey(from)) }));
}
