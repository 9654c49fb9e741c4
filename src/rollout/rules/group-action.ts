import { formatCount } from '../../kit/format.ts';
import { isOver, type Launch, type Refresh, sameLaunch, useKey, usesOf } from '../../model/group.ts';
import { isParameterReference, referencedParameter } from '../../model/patterns.ts';
import type { GroupFacts, LaunchedBy, PlanOptions } from './facts.ts';
import { isEmptied } from './group-pair.ts';
import { stackOf } from './ownership.ts';
import { inService, staleOf } from './proof.ts';

/**
 * refresh: replace instances. watch: our refresh is in progress. template: no instance to replace, only the version changes.
 * nothing: up to date. swap: a green group takes over.
 */
export type GroupAction = 'refresh' | 'watch' | 'template' | 'nothing' | 'swap';

/** What must end before the rollout, where a setting allows it. */
export type Blocker =
  | { readonly kind: 'refresh'; readonly refresh: Refresh; readonly how: 'wait' | 'supersede' }
  /** The template reads a parameter: the group gets a version with the image ID that it means now. */
  | { readonly kind: 'parameter' }
  /** A green group with another image, of a promotion that did not finish. */
  | { readonly kind: 'successor'; readonly successor: string };

type DecisionOptions = Pick<PlanOptions, 'image' | 'pointer' | 'protectedInstances' | 'strategy'> & {
  readonly by: LaunchedBy;
  readonly before: Launch;
  /** Undefined: a template version must be created first. */
  readonly after: Launch | undefined;
};

interface Decision {
  readonly action: GroupAction;
  readonly reason: string;
}

export function decideAction(facts: GroupFacts, options: DecisionOptions): Decision {
  const decision = decideRolling(facts, options);
  const { successor } = facts;
  if (options.strategy !== 'blue-green' && options.strategy !== 'two-groups') return decision;
  if (successor?.imageId === options.image.id) return { action: 'swap', reason: `${successor.group.name} exists already, with this image` };
  return decision.action === 'refresh' ? { ...decision, action: 'swap' } : decision;
}

function decideRolling(facts: GroupFacts, options: DecisionOptions): Decision {
  const { group, images, warmPool } = facts;
  const { image, before, after, by, pointer, protectedInstances } = options;
  const active = activeRefresh(facts);
  if (active !== undefined && isThisRollout(group, active, options)) {
    return { action: 'watch', reason: `refresh ${active.id} to this image is in progress (${active.status}, ${active.percent} %)` };
  }
  const isExcluded = (id: string) => protectedInstances === 'ignore' && group.members.some(member => member.id === id && member.protected);
  const serving = group.members.filter(inService);
  const old = serving.filter(({ id }) => images.get(id) !== image.id && !isExcluded(id));
  const launchesIt = by === 'pointer' ? pointer.value === image.id : launches(facts, image.id, after);
  const oldPool = staleOf(warmPool, images, image.id);
  const isServed = group.desired === 0 || serving.length > 0;
  const isUpToDate = active === undefined && old.length === 0 && isServed && oldPool.length === 0;
  if (isUpToDate && launchesIt) return { action: 'nothing', reason: `launches and runs ${image.id} only` };
  if (isUpToDate && by === 'pointer') return { action: 'nothing', reason: `runs ${image.id} only, and launches what the pointer names` };
  if (oldPool.length === 0 && group.desired === 0 && group.members.every(({ state }) => state.startsWith('Terminating')))
    return { action: 'template', reason: 'no instances: only the template version changes' };
  if (isUpToDate && facts.idle !== undefined) return { action: 'refresh', reason: `runs ${image.id}, but launches another image` };
  if (isUpToDate && sameLaunch(before, after)) {
    return { action: 'template', reason: `runs ${image.id} already: only the version number is pinned` };
  }
  if (!isServed) return { action: 'refresh', reason: `none of its ${formatCount(group.desired, 'instance')} is in service` };
  if (old.length === 0 && oldPool.length > 0)
    return {
      action: 'refresh',
      reason: `${formatCount(oldPool.length, 'instance')} of its warm pool ${oldPool.length === 1 ? 'runs' : 'run'} another image`,
    };
  const although = launchesIt ? ', although it launches this image' : '';
  return {
    action: 'refresh',
    reason: `${old.length} of ${formatCount(serving.length, 'instance')} in service ${old.length === 1 ? 'runs' : 'run'} another image${although}`,
  };
}

/** Two permanent groups have a template each, so what the serving one launches is known by the image only. */
const launches = ({ group, versions, idle, configuration }: GroupFacts, imageId: string, after: Launch | undefined): boolean =>
  configuration !== undefined
    ? configuration.now.imageId === imageId
    : idle === undefined
      ? sameLaunch(group.launch, after)
      : usesOf(group.launch).every(use => versions.get(useKey(use))?.imageId === imageId);

const activeRefresh = ({ active }: GroupFacts): Refresh | undefined => (active === undefined || isOver(active) ? undefined : active);

/** A refresh carries no name, so it is recognized by its target. One without a desired configuration leads to what the pointer names. */
function isThisRollout({ launch }: GroupFacts['group'], active: Refresh, { by, after, pointer, image }: DecisionOptions): boolean {
  if (by === 'version') return sameLaunch(active.desired, after);
  const readsIt = pointer.value === image.id && startedAfter(active, pointer.since);
  return active.desired === undefined && (by === 'pointer' ? readsIt : sameLaunch(launch, after));
}

/** One that started before launches what the pointer named then. */
const startedAfter = ({ startedAt }: Refresh, since: Date | undefined): boolean =>
  startedAt === undefined || since === undefined || secondsOf(startedAt) >= secondsOf(since);

/** Every template of the group reads exactly this pointer, and the settings allow it. */
export const followsPointer = (facts: GroupFacts, { parameterTemplates, pointer }: Pick<PlanOptions, 'parameterTemplates' | 'pointer'>) =>
  parameterTemplates === 'follow' && allRead(facts, pointer.name);

function allRead({ group, versions }: GroupFacts, pointer: string): boolean {
  const uses = usesOf(group.launch);
  return uses.length > 0 && uses.every(use => readsPointer(versions.get(useKey(use))?.imageId ?? '', pointer));
}

/** By name or by ARN, but not a version or label of it, which would not move with it. */
export const readsPointer = (imageId: string, pointer: string): boolean =>
  isParameterReference(imageId) && isParameter(referencedParameter(imageId), pointer);

const isParameter = (name: string, pointer: string): boolean =>
  name === pointer || (name.startsWith('arn:') && name.endsWith(`:parameter${pointer}`));

/** The active refresh is ours. One without a desired configuration is, if it started after an unfinished run of ours had moved the pointer. */
export function isOurs(facts: GroupFacts, { name, movedAt }: PlanOptions['pointer']): boolean {
  const { active, activeIsOurs } = facts;
  if (activeIsOurs || active === undefined || active.desired !== undefined || movedAt === undefined) return activeIsOurs;
  return secondsOf(active.startedAt ?? movedAt) >= secondsOf(movedAt) && allRead(facts, name);
}

// Auto Scaling shows whole seconds, Parameter Store fractions.
const secondsOf = (time: Date): number => Math.floor(time.getTime() / 1000);

/** A rollback ends our own promotion in progress. A refresh of ours that rolls back already only needs time. */
function resolutionOf(
  facts: GroupFacts,
  { operation, foreignRefresh, pointer }: PlanOptions,
  active: Refresh | undefined,
): PlanOptions['foreignRefresh'] {
  // A stack that waits for its refresh fails when another process ends it.
  if (!isOurs(facts, pointer)) return foreignRefresh === 'supersede' && stackOf(facts.group) !== undefined ? 'refuse' : foreignRefresh;
  if (operation === 'rollback') return 'supersede';
  return active?.status === 'RollbackInProgress' ? 'wait' : foreignRefresh;
}

export function blockerOf(facts: GroupFacts, options: PlanOptions, action: GroupAction): Blocker | undefined {
  const { operation, image, foreignRefresh, parameterTemplates } = options;
  const active = action === 'watch' ? undefined : activeRefresh(facts);
  const how = resolutionOf(facts, options, active);
  const { successor } = facts;
  // An emptied group shows that the other one has taken over.
  if (
    successor !== undefined &&
    successor.imageId !== image.id &&
    (operation === 'rollback' || foreignRefresh === 'supersede' || isEmptied(facts.group))
  ) {
    return { kind: 'successor', successor: successor.group.name };
  }
  if (active !== undefined && how !== 'refuse') return { kind: 'refresh', refresh: active, how };
  const readsAny = [...facts.versions.values()].some(({ imageId }) => isParameterReference(imageId));
  return readsAny && parameterTemplates === 'pin' && facts.idle === undefined ? { kind: 'parameter' } : undefined;
}
