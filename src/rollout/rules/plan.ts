import type { RefreshPreferences } from '../../model/group.ts';
import { atVersions, type Group, type Launch, sameLaunch, useKey } from '../../model/group.ts';
import type { TemplateVersion } from '../../model/template.ts';
import type { GroupFacts, PlanOptions } from './facts.ts';
import { type Blocker, blockerOf, decide, followsPointer, type GroupAction } from './group-action.ts';
import { preferencesOf, replacedAtATime } from './preferences.ts';
import { staleOf } from './proof.ts';
import { refusalsOf } from './refusals.ts';
import { estimate, warningsOf } from './warnings.ts';

/** One template version that must exist for the roll. `to` undefined: it must be made. */
export interface Change {
  readonly from: TemplateVersion;
  readonly to: TemplateVersion | undefined;
}

export interface GroupPlan {
  readonly facts: GroupFacts;
  readonly action: GroupAction;
  readonly reason: string;
  /** pointer: the template reads the pointer, so nothing but the pointer can change what it launches. */
  readonly by: 'version' | 'pointer';
  /** What must be done first; then the plan is made again. */
  readonly blocker: Blocker | undefined;
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
  readonly estimatedSeconds: number;
}

export const contentKey = ({ templateId, content }: Pick<TemplateVersion, 'templateId' | 'content'>): string => `${templateId} ${content}`;

export function planGroup(facts: GroupFacts, wanted: PlanOptions): GroupPlan {
  const { group } = facts;
  const by = followsPointer(facts, wanted) ? 'pointer' : 'version';
  const before = by === 'pointer' ? group.launch : numbered(facts);
  const changes = by === 'pointer' ? [] : changesOf(facts, wanted.image.id);
  const makes = new Set(changes.filter(({ to }) => to === undefined).map(({ from }) => from.templateId));
  const { action, reason } = decide(facts, { ...wanted, by, before, after: afterwards(before, changes) });
  const blocker = blockerOf(facts, wanted, action);
  const preferences = preferencesFor(wanted, by, group);
  const replaces =
    action === 'refresh' || action === 'swap'
      ? group.members.filter(({ id }) => !preferences.skipMatching || facts.images.get(id) !== wanted.image.id).length
      : 0;
  const atATime = replacedAtATime(group.desired, preferences);
  return {
    ...{ facts, action, reason, by, blocker, before, changes, preferences, replaces, atATime },
    replacesPool: action === 'refresh' ? staleOf(facts.warmPool, facts.images, wanted.image.id) : [],
    mustPin: by === 'version' && (action === 'refresh' || action === 'template' || action === 'swap') && !sameLaunch(group.launch, before),
    refusals: action === 'nothing' && facts.successor === undefined ? [] : refusalsOf(facts, { ...wanted, action, by, blocker, makes }),
    warnings: action === 'nothing' ? [] : warningsOf(facts, wanted, { by, action, atATime }),
    estimatedSeconds:
      action === 'refresh' ? estimate(replaces, atATime, preferences, group) : action === 'swap' ? estimate(1, 1, preferences, group) : 0,
  };
}

/** A refresh without a desired configuration can be compared with nothing, and not be rolled back by AWS. */
const preferencesFor = (wanted: PlanOptions, by: GroupPlan['by'], { desired }: Group): RefreshPreferences => ({
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
