import { isOver, type Launch, type Refresh, sameLaunch, useKey, usesOf } from '../../model/group.ts';
import type { Image } from '../../model/image.ts';
import { isParameterReference, referencedParameter } from '../../model/patterns.ts';
import type { GroupFacts, PlanOptions } from './facts.ts';
import type { PreferenceOptions } from './preferences.ts';
import { inService, staleOf } from './proof.ts';

/** What is done to a group. refresh: replace instances. watch: a refresh of ours runs already. template: no instance to replace. nothing: it is there. swap: a second group takes over. */
export type GroupAction = 'refresh' | 'watch' | 'template' | 'nothing' | 'swap';

/** What stands in the way and is cleared away first, because the user said so. */
export type Blocker =
  | { readonly kind: 'refresh'; readonly refresh: Refresh; readonly how: 'wait' | 'supersede' }
  /** The template reads a parameter; the group gets a version with the image that this means now. */
  | { readonly kind: 'parameter' }
  /** A second group with another image, of a promotion that did not come to its end. */
  | { readonly kind: 'successor'; readonly successor: string };

interface Deciding {
  readonly image: Image;
  readonly by: 'version' | 'pointer';
  readonly before: Launch;
  /** Undefined: a template version must be made first. */
  readonly after: Launch | undefined;
  readonly pointer: PlanOptions['pointer'];
  readonly protectedInstances?: PreferenceOptions['protectedInstances'];
  readonly strategy: PlanOptions['strategy'];
}

export function decide(facts: GroupFacts, wanted: Deciding): { action: GroupAction; reason: string } {
  const decided = decideRolling(facts, wanted);
  const { successor } = facts;
  if (wanted.strategy !== 'blue-green') return decided;
  if (successor?.imageId === wanted.image.id)
    return { action: 'swap', reason: `${successor.group.name} is there already, with this image` };
  return decided.action === 'refresh' ? { ...decided, action: 'swap' } : decided;
}

function decideRolling(facts: GroupFacts, wanted: Deciding): { action: GroupAction; reason: string } {
  const { group, images } = facts;
  const { image, before, after, by } = wanted;
  const active = runningIn(facts);
  if (active !== undefined && isThisRoll(active, wanted)) {
    return { action: 'watch', reason: `refresh ${active.id} to this image runs already (${active.status}, ${active.percent} %)` };
  }
  const excluded = (id: string) =>
    wanted.protectedInstances === 'ignore' && (group.members.find(member => member.id === id)?.protected ?? false);
  const serving = group.members.filter(inService);
  const old = serving.filter(({ id }) => images.get(id) !== image.id && !excluded(id));
  const launchesIt = by === 'pointer' ? wanted.pointer.value === image.id : sameLaunch(group.launch, after);
  const oldPool = staleOf(facts.warmPool, images, image.id);
  const isServed = group.desired === 0 || serving.length > 0;
  const isThere = active === undefined && old.length === 0 && isServed && oldPool.length === 0;
  if (isThere && launchesIt) return { action: 'nothing', reason: `launches ${image.id} and runs nothing else` };
  if (isThere && by === 'pointer') return { action: 'nothing', reason: 'runs nothing else, and reads the pointer when it launches' };
  if (oldPool.length === 0 && group.desired === 0 && group.members.every(({ state }) => state.startsWith('Terminating')))
    return { action: 'template', reason: 'has no instances, so it only gets the template version' };
  if (isThere && sameLaunch(before, after)) {
    return { action: 'template', reason: `runs ${image.id} already, so it is only pinned to the version that it launches` };
  }
  if (!isServed) return { action: 'refresh', reason: `none of its ${group.desired} instances is in service` };
  if (old.length === 0 && oldPool.length > 0) return { action: 'refresh', reason: `${oldPool.length} of its warm pool run something else` };
  const although = launchesIt ? ', though it launches the image' : '';
  return { action: 'refresh', reason: `${old.length} of ${serving.length} instances in service run something else${although}` };
}

const runningIn = ({ active }: GroupFacts): Refresh | undefined => (active === undefined || isOver(active) ? undefined : active);

/** A refresh carries no name: it is known by what it leads to. One that replaces like with like leads to what the pointer names. */
const isThisRoll = (active: Refresh, { by, after, pointer, image }: Deciding): boolean =>
  by === 'pointer' ? active.desired === undefined && pointer.value === image.id : sameLaunch(active.desired, after);

/** Every template of the group reads exactly this pointer, and the user wants it to. */
export const followsPointer = (facts: GroupFacts, { parameterTemplates, pointer }: Pick<PlanOptions, 'parameterTemplates' | 'pointer'>) =>
  parameterTemplates === 'follow' && readsIt(facts, pointer.name);

function readsIt({ group, versions }: GroupFacts, pointer: string): boolean {
  const uses = usesOf(group.launch);
  return uses.length > 0 && uses.every(use => reads(versions.get(useKey(use))?.imageId ?? '', pointer));
}

/** By name or by ARN, but not a version or label of it: that would not move with it. */
export const reads = (imageId: string, pointer: string): boolean =>
  isParameterReference(imageId) && isParameter(referencedParameter(imageId), pointer);

const isParameter = (name: string, pointer: string): boolean =>
  name === pointer || (name.startsWith('arn:') && name.endsWith(`:parameter${pointer}`));

/** By what it rolls out. One that replaces like with like brings what the pointer means, if it began when an unfinished run of ours had moved that. */
export function isOurs(facts: GroupFacts, { name, movedAt }: PlanOptions['pointer']): boolean {
  const { active, activeIsOurs } = facts;
  if (activeIsOurs || active === undefined || active.desired !== undefined || movedAt === undefined) return activeIsOurs;
  return secondsOf(active.startedAt ?? movedAt) >= secondsOf(movedAt) && readsIt(facts, name);
}

// Auto Scaling tells whole seconds, Parameter Store parts of them.
const secondsOf = (time: Date): number => Math.floor(time.getTime() / 1000);

/** Who rolls back wants to be rid of what our own promotion is bringing just now; one of ours that goes back already only needs time. */
function howToMeet(
  facts: GroupFacts,
  { operation, foreignRefresh, pointer }: Pick<PlanOptions, 'operation' | 'foreignRefresh' | 'pointer'>,
  untrusted: Refresh | undefined,
): PlanOptions['foreignRefresh'] {
  if (!isOurs(facts, pointer)) return foreignRefresh;
  if (operation === 'rollback') return 'supersede';
  return untrusted?.status === 'RollbackInProgress' ? 'wait' : foreignRefresh;
}

export function blockerOf(
  facts: GroupFacts,
  { operation, image, foreignRefresh, parameterTemplates, pointer }: PlanOptions,
  doing: GroupAction,
): Blocker | undefined {
  const untrusted = doing === 'watch' ? undefined : runningIn(facts);
  const how = howToMeet(facts, { operation, foreignRefresh, pointer }, untrusted);
  const { successor } = facts;
  if (successor !== undefined && successor.imageId !== image.id && (operation === 'rollback' || foreignRefresh === 'supersede')) {
    return { kind: 'successor', successor: successor.group.name };
  }
  if (untrusted !== undefined && how !== 'refuse') return { kind: 'refresh', refresh: untrusted, how };
  const some = [...facts.versions.values()].some(({ imageId }) => isParameterReference(imageId));
  return some && parameterTemplates === 'pin' ? { kind: 'parameter' } : undefined;
}
