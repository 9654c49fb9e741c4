import {
  atVersions,
  type Group,
  isNumbered,
  isOver,
  type Launch,
  type Refresh,
  sameLaunch,
  sayUse,
  type TemplateUse,
  useKey,
  usesOf,
} from './group.ts';
import type { Architecture, Image } from './image.ts';
import { batchSize, type WantedPreferences } from './preferences.ts';
import { refusalsOf } from './roll-refusals.ts';
import { inService } from './rollout.ts';
import type { TemplateVersion } from './template.ts';

/** Everything about a group that decides how it is rolled, read before the first write. */
export interface GroupFacts {
  readonly group: Group;
  /** The refresh that runs now. */
  readonly active: Refresh | undefined;
  /** What each template version that the group uses means now, by `useKey`. */
  readonly versions: ReadonlyMap<string, TemplateVersion>;
  /** Versions that differ from those in nothing but the image, and name the wanted one; by template ID and content. */
  readonly ready: ReadonlyMap<string, TemplateVersion>;
  /** What each member was launched from. */
  readonly images: ReadonlyMap<string, string>;
  /** By instance type; undefined for a type that does not exist here. */
  readonly architectures: ReadonlyMap<string, readonly Architecture[] | undefined>;
  /** Groups that we do not roll and that launch from `$Latest` of the same template, by template ID. */
  readonly strangers: ReadonlyMap<string, readonly string[]>;
  /** Snapshots of the images that the template versions name now. */
  readonly imageSnapshots: ReadonlySet<string>;
}

export interface RollWanted extends WantedPreferences {
  readonly image: Image;
}

/** One template version that must exist for the roll. `to` undefined: it must be made. */
export interface Change {
  readonly from: TemplateVersion;
  readonly to: TemplateVersion | undefined;
}

export type RollDeed = 'refresh' | 'watch' | 'template' | 'nothing';

export interface GroupPlan {
  readonly facts: GroupFacts;
  /** refresh: replace instances. watch: a refresh of ours runs already. template: no instance to replace. nothing: it is there. */
  readonly deed: RollDeed;
  readonly because: string;
  /** What the group launches, with `$Latest` and `$Default` as the numbers they mean now; the state to go back to. */
  readonly before: Launch;
  readonly mustPin: boolean;
  readonly changes: readonly Change[];
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly replaces: number;
  readonly atATime: number;
  readonly aboutSeconds: number;
}

export const contentKey = ({ templateId, content }: Pick<TemplateVersion, 'templateId' | 'content'>): string => `${templateId} ${content}`;

export function planGroup(facts: GroupFacts, wanted: RollWanted): GroupPlan {
  const { group } = facts;
  const before = numbered(facts);
  const changes = changesOf(facts, wanted.image.id);
  const makes = new Set(changes.filter(({ to }) => to === undefined).map(({ from }) => from.templateId));
  const { deed, because } = decide(facts, { ...wanted, changes, before });
  const replaces = deed === 'refresh' ? group.members.filter(member => facts.images.get(member.id) !== wanted.image.id).length : 0;
  const atATime = batchSize(group.desired, wanted);
  const mustPin = (deed === 'refresh' || deed === 'template') && !sameLaunch(group.launch, before);
  return {
    facts,
    deed,
    because,
    before,
    mustPin,
    changes,
    refusals: deed === 'nothing' ? [] : refusalsOf(facts, { ...wanted, deed, before, makes }),
    warnings: deed === 'nothing' ? [] : warningsOf(facts, wanted),
    replaces,
    atATime,
    aboutSeconds: deed === 'refresh' ? estimate(replaces, atATime, wanted, group) : 0,
  };
}

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

interface Deciding {
  readonly image: Image;
  readonly changes: readonly Change[];
  readonly before: Launch;
  readonly protectedInstances?: WantedPreferences['protectedInstances'];
}

function decide(facts: GroupFacts, { image, changes, before, protectedInstances }: Deciding): { deed: RollDeed; because: string } {
  const { group, active, images } = facts;
  const after = afterwards(before, changes);
  if (active !== undefined && !isOver(active) && sameLaunch(active.desired, after)) {
    return { deed: 'watch', because: `refresh ${active.id} to this image runs already (${active.status}, ${active.percent} %)` };
  }
  const spared = (id: string) => protectedInstances === 'ignore' && (group.members.find(member => member.id === id)?.protected ?? false);
  const old = group.members.filter(member => inService(member) && images.get(member.id) !== image.id && !spared(member.id));
  const launchesIt = sameLaunch(group.launch, after);
  if (active === undefined && launchesIt && old.length === 0)
    return { deed: 'nothing', because: `launches ${image.id} and runs nothing else` };
  if (group.desired === 0 && group.members.length === 0)
    return { deed: 'template', because: 'has no instances, so it only gets the template version' };
  if (active === undefined && old.length === 0 && sameLaunch(before, after))
    return { deed: 'template', because: `runs ${image.id} already, so it is only pinned to the version that it launches` };
  const of = group.members.filter(inService).length;
  return {
    deed: 'refresh',
    because: `${old.length} of ${of} instances in service run something else${launchesIt ? ', though it launches the image' : ''}`,
  };
}

function warningsOf({ group, versions, imageSnapshots }: GroupFacts, { protectedInstances, standbyInstances }: RollWanted): string[] {
  const shielded = group.members.filter(member => member.protected);
  const standby = group.members.filter(({ state }) => state === 'Standby');
  const dropped = [...versions.values()].flatMap(({ snapshotIds }) => snapshotIds).filter(id => imageSnapshots.has(id));
  return [
    shielded.length > 0 && protectedInstances === 'ignore' && `${shielded.length} protected instances keep the image they run`,
    shielded.length > 0 &&
      protectedInstances === 'wait' &&
      `${shielded.length} protected instances: AWS waits one hour for somebody to lift the protection, then the refresh fails`,
    standby.length > 0 &&
      standbyInstances === 'wait' &&
      `${standby.length} instances in standby: AWS waits one hour for somebody to put them back into service, then the refresh fails`,
    standby.length > 0 && standbyInstances === 'ignore' && `${standby.length} instances in standby keep the image they run`,
    dropped.length > 0 &&
      `the template names snapshots of the old image (${dropped.join(', ')}); the new version leaves them to the new image`,
    !usesOf(group.launch).every(isNumbered) &&
      `launches from ${usesOf(group.launch)
        .filter(use => !isNumbered(use))
        .map(sayUse)
        .join(', ')}, which is pinned to the number it means now, and stays so: AWS cannot roll back otherwise`,
  ].filter(warning => warning !== false);
}

// Boot, registration and health checks of one batch, besides the warm-up. Only for the plan's "about".
const BATCH_SECONDS = 90;

function estimate(replaces: number, atATime: number, wanted: WantedPreferences, group: Group): number {
  const pauses = (wanted.checkpoints ?? []).filter(percent => percent < 100).length * (wanted.checkpointDelay ?? 0);
  return Math.ceil(replaces / atATime) * (BATCH_SECONDS + (wanted.warmUp ?? group.warmUpSeconds)) + pauses + wanted.bake;
}

/** A use as the plan shows it: `web:3`, or `web:$Latest (3)`. */
export const sayNow = (use: TemplateUse, versions: GroupFacts['versions']): string => {
  const now = versions.get(useKey(use));
  return isNumbered(use) || now === undefined ? sayUse(use) : `${sayUse(use)} (${now.number})`;
};
