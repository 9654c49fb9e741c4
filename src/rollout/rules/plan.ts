import type { RefreshPreferences } from '../../model/group.ts';
import { atVersions, type Group, type Launch, sameLaunch, useKey, usesOf } from '../../model/group.ts';
import type { TemplateVersion } from '../../model/template.ts';
import { launchBefore, launchKept } from './configuration.ts';
import type { GroupFacts, LaunchedBy, PlanOptions } from './facts.ts';
import { type Blocker, blockerOf, decideAction, followsPointer, type GroupAction } from './group-action.ts';
import { launcherOf } from './group-pair.ts';
import { inInstances, type Paces, pacesOf } from './pace.ts';
import { preferencesOf, replacedAtATime } from './preferences.ts';
import { staleOf } from './proof.ts';
import { idleRefusals, refusalsOf } from './refusals.ts';
import { planShift, type ShiftPlan } from './shift.ts';
import { estimate, warningsOf } from './warnings.ts';

/** A template version that the rollout needs. `to` undefined: it must be created. */
export interface Change {
  readonly from: TemplateVersion;
  readonly to: TemplateVersion | undefined;
}

export interface GroupPlan {
  readonly facts: GroupFacts;
  readonly action: GroupAction;
  readonly reason: string;
  /** pointer: the template reads the pointer, so only the pointer changes what it launches. */
  readonly by: LaunchedBy;
  /** Must be cleared first; then the group is planned again. */
  readonly blocker: Blocker | undefined;
  /** What the group launches, with `$Latest` and `$Default` as their current numbers: the state to revert to. */
  readonly before: Launch;
  readonly mustPin: boolean;
  readonly changes: readonly Change[];
  readonly preferences: RefreshPreferences;
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly replaces: number;
  /** Instances of the warm pool. */
  readonly replacesPool: readonly string[];
  readonly atATime: number;
  readonly paces: Paces | undefined;
  readonly shift?: ShiftPlan | undefined;
  readonly estimatedSeconds: number;
}

export const contentKey = ({ templateId, content }: Pick<TemplateVersion, 'templateId' | 'content'>): string => `${templateId} ${content}`;

export function planGroup(facts: GroupFacts, options: PlanOptions): GroupPlan {
  const { group } = facts;
  const by = launchedBy(facts, options);
  const launcher = launcherOf(facts);
  const before = beforeOf(facts, by);
  const changes = by === 'version' ? changesOf(facts, options.image.id) : [];
  const after = by === 'configuration' ? facts.configuration && launchKept(facts.configuration) : launchAfter(before, changes);
  const makes = new Set(changes.filter(({ to }) => to === undefined).map(({ from }) => from.templateId));
  const { action, reason } = decideAction(facts, { ...options, by, before, after });
  const blocker = blockerOf(facts, options, action);
  const preferences = preferencesFor(options, by, group);
  const replacesAny = action === 'refresh' || action === 'swap';
  const replaces = replacesAny
    ? group.members.filter(({ id }) => !preferences.skipMatching || facts.images.get(id) !== options.image.id).length
    : 0;
  const atATime = replacedAtATime(inInstances(group), preferences);
  const paces = pacesOf(action, replaces, preferences, options, group);
  const shift = planShift(facts, options, action);
  return {
    ...{ facts, action, reason, by, blocker, before, changes, preferences, replaces, atATime, paces, shift },
    replacesPool: action === 'refresh' ? staleOf(facts.warmPool, facts.images, options.image.id) : [],
    mustPin: by === 'version' && (replacesAny || action === 'template') && !sameLaunch(launcher.launch, before),
    refusals:
      action === 'nothing' && facts.successor === undefined
        ? idleRefusals(facts)
        : refusalsOf(facts, { ...options, action, by, blocker, makes }),
    warnings: action === 'nothing' ? [] : warningsOf(facts, options, { by, action, atATime, makes }),
    estimatedSeconds: paces?.chosen.seconds ?? (action === 'swap' ? estimate(1, preferences, group) + (shift?.estimatedSeconds ?? 0) : 0),
  };
}

function launchedBy(facts: GroupFacts, options: PlanOptions): LaunchedBy {
  if (facts.configuration !== undefined && options.launchConfigurations === 'keep') return 'configuration';
  return followsPointer(facts, options) ? 'pointer' : 'version';
}

function beforeOf(facts: GroupFacts, by: LaunchedBy): Launch {
  if (by === 'configuration' && facts.configuration !== undefined) return launchBefore(facts.configuration);
  return by === 'pointer' ? launcherOf(facts).launch : numbered(facts);
}

/** Without a desired configuration AWS can neither skip matching instances nor roll back. */
const preferencesFor = (options: PlanOptions, by: GroupPlan['by'], group: Group): RefreshPreferences => ({
  ...preferencesOf(options, group),
  ...(by === 'version' ? {} : { skipMatching: false, autoRollback: false }),
});

/** `$Latest` and `$Default` as numbers. */
const numbered = (facts: GroupFacts): Launch =>
  atVersions(launcherOf(facts).launch, new Map([...facts.versions].map(([key, version]) => [key, version.number])));

/** What the group launches after the rollout; undefined until every version exists. */
export function launchAfter(before: Launch, changes: readonly Change[]): Launch | undefined {
  if (changes.some(({ to }) => to === undefined)) return undefined;
  const [converted] = changes.flatMap(({ to }) => to ?? []);
  // From a launch configuration to the template that was made from it.
  if (before.kind === 'configuration') return converted && { kind: 'template', template: useOf(converted) };
  return atVersions(before, new Map(changes.flatMap(({ from, to }) => (to === undefined ? [] : [[versionKey(from), to.number] as const]))));
}

const useOf = ({ templateId, templateName, number }: TemplateVersion) => ({ templateId, templateName, version: String(number) });

const versionKey = (version: TemplateVersion): string => useKey(useOf(version));

function changesOf(facts: GroupFacts, imageId: string): readonly Change[] {
  const { versions, ready, configuration } = facts;
  const used = [
    ...usesOf(launcherOf(facts).launch).flatMap(use => versions.get(useKey(use)) ?? []),
    ...[configuration?.template?.first ?? []].flat(),
  ];
  const distinct = new Map(used.map(version => [versionKey(version), version]));
  return [...distinct.values()].map(from => ({ from, to: from.imageId === imageId ? from : ready.get(contentKey(from)) }));
}
