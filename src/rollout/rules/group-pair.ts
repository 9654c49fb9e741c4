import { formatDuration } from '../../kit/format.ts';
import type { Group, Source, Target } from '../../model/group.ts';
import type { GroupFacts, PlanOptions } from './facts.ts';
import { imageProblem, inService, proofOf } from './proof.ts';
import { trafficOf } from './traffic.ts';

/** Blue-green: two names, of which one serves while the other is created, checked, and takes over. */

const GREEN = '-green';

/** The other name of a pair: web, web-green, web ... */
export const greenGroupName = (name: string): string => (name.endsWith(GREEN) ? name.slice(0, -GREEN.length) : `${name}${GREEN}`);

/** Tag that stays on every group that ami-action created: the name of the group that it was copied from. */
export const MADE_BY = 'ami-action:made-by';

/** Tag of a green group: the name of the group that it is to replace. */
export const SUCCESSOR_OF = 'ami-action:successor-of';

/** Tag of a green group: the minimum size of the old group, which both keep raised as long as both serve. */
export const HELD_MIN = 'ami-action:held-min';

/** Tag of a green group: the image that all its instances were healthy on. From here on it may take over. */
export const PROVEN = 'ami-action:proven';

/** Tag of a green group that exists permanently: it is emptied, never deleted. */
export const PERMANENT = 'ami-action:permanent';

export const isPermanent = ({ tags }: Pick<Group, 'tags'>): boolean => tags[PERMANENT] !== undefined;

/** Tags of a green group that end with the take-over. */
/** Tag of a green group that gets its traffic by weights: where, the weight of the old side before, and the steps. See shift.ts. */
export const SHIFT = 'ami-action:shift';

export const PAIR_TAGS = [SUCCESSOR_OF, PROVEN, HELD_MIN, PERMANENT, SHIFT] as const;

/** What sends traffic to it, sorted. */
export const sourceKeys = ({ targetGroups, balancers = [] }: Pick<Group, 'targetGroups' | 'balancers'>): readonly string[] =>
  [...targetGroups, ...balancers].sort();

export const sourcesCount = (group: Pick<Group, 'targetGroups' | 'balancers'>): number => sourceKeys(group).length;

/** The group whose launch template version changes: for `two-groups` the one that is to take over. */
export const launcherOf = ({ group, idle }: Pick<GroupFacts, 'group' | 'idle'>): Group => idle?.group ?? group;

const isEmpty = ({ desired, members }: Group): boolean => desired === 0 && members.length === 0;

/** Which of two permanent groups serves: the one that our tag on the other names, or the one with instances. */
export function inTurn(one: Group, other: Group): { readonly serving: Group; readonly idle: Group | undefined } {
  if (isSuccessor(one, other.name)) return { serving: other, idle: one };
  if (isSuccessor(other, one.name)) return { serving: one, idle: other };
  if (isEmpty(one) && isEmpty(other)) return { serving: one, idle: undefined };
  return isEmpty(one) ? { serving: other, idle: one } : { serving: one, idle: other };
}

/** Why two permanent groups cannot change places. */
export function turnRefusals({ group, idle, successor, shift }: Pick<GroupFacts, 'group' | 'idle' | 'successor' | 'shift'>): string[] {
  if (idle === undefined) return [];
  const { name } = idle.group;
  return [
    successor === undefined && !isEmpty(idle.group) && `${name} has instances too: size one of the two groups to 0`,
    successor === undefined &&
      shift === undefined &&
      sourceKeys(idle.group).join() !== sourceKeys(group).join() &&
      `${name} has other load balancers: both groups need the same ones, or "shift-at" names what divides the traffic`,
    idle.schedules.length > 0 &&
      `scheduled actions (${idle.schedules.join(', ')}) would size ${group.name} and ${name} at the wrong time: delete them`,
  ].filter(refusal => refusal !== false);
}

/** The green group of this one, while both exist. */
export const successorOf = (allGroups: readonly Group[], group: Group): Group | undefined =>
  allGroups.find(other => other.tags[SUCCESSOR_OF] === group.name && !other.beingDeleted);

/** By its tag. A group of the same name that has no tag belongs to another owner. */
export const isSuccessor = ({ tags }: Group, old: string): boolean => tags[SUCCESSOR_OF] === old;

/** What sends traffic to the pair. AWS may not show yet what was attached to the green group. */
export const sourcesOfPair = (green: Group, old: Pick<Group, 'targetGroups' | 'balancers'> | undefined) => ({
  targetGroups: [...new Set([...(old?.targetGroups ?? []), ...green.targetGroups])],
  balancers: [...new Set([...(old?.balancers ?? []), ...(green.balancers ?? [])])],
});

export function isAttached(green: Group, old: Pick<Group, 'targetGroups' | 'balancers'>): boolean {
  return sourcesCount(sourcesOfPair(green, old)) === sourcesCount(green);
}

/** The minimum that the pair had before both groups kept it raised, as the tag of the green group says. */
export const heldMin = ({ tags }: Pick<Group, 'tags'>): number | undefined =>
  /^\d+$/.test(tags[HELD_MIN] ?? '') ? Number(tags[HELD_MIN]) : undefined;

/** The same of a group that may have the tag. */
export const ownMin = (group: Pick<Group, 'tags' | 'min'>): number => Math.min(heldMin(group) ?? group.min, group.min);

/** Its tags say that it was half of a pair, and the other half is gone. */
export const servesAfterPair = ({ group, successor }: Pick<GroupFacts, 'group' | 'successor'>): boolean =>
  group.tags[SUCCESSOR_OF] !== undefined || (successor === undefined && heldMin(group) !== undefined);

/** Why half of a pair serves nothing: a run was emptying it when another process deleted the half that served. */
export const strandedRefusals = (facts: Pick<GroupFacts, 'group' | 'successor'>): string[] =>
  servesAfterPair(facts) && isEmptied(facts.group)
    ? [
        `an earlier run had emptied it when the group that served next to it was deleted, so nothing serves: set its sizes (aws autoscaling update-auto-scaling-group --auto-scaling-group-name ${facts.group.name} --min-size ${heldMin(facts.group) ?? 0} --max-size ... --desired-capacity ...)`,
      ]
    : [];

/** The size at which the green group carries what the old one carries now, without scaling in. */
export const grownTo = (green: Group, { desired, max }: Group) => ({ min: desired, max: Math.max(max, green.max), desired });

/** Its successor serves alone and must not be deleted any more. */
export const isEmptied = ({ max }: Group): boolean => max === 0;

/**
 * The group that serves under a name; undefined if there is none. It is the exact one. The other name of a pair counts only by our tags: for
 * blue-green, where the exact one was replaced, or while the exact one is the green group.
 */
export function activeGroup(allGroups: readonly Group[], name: string, strategy: PlanOptions['strategy']): Group | undefined {
  const live = (wanted: string) => allGroups.find(group => group.name === wanted && !group.beingDeleted);
  const [exact, other] = [live(name), live(greenGroupName(name))];
  if (exact !== undefined) return other !== undefined && exact.tags[SUCCESSOR_OF] === other.name ? other : exact;
  if (strategy === 'blue-green' && other?.tags[MADE_BY] === name) return other;
  return other === undefined ? allGroups.find(group => group.name === name) : undefined;
}

/** Why no group serves under a name although the other one of the pair exists. */
export function otherNameProblem(allGroups: readonly Group[], name: string): string | undefined {
  const other = allGroups.find(group => group.name === greenGroupName(name) && !group.beingDeleted);
  if (other === undefined) return undefined;
  const made = other.tags[MADE_BY] === name;
  return `"groups": Auto Scaling group "${name}" does not exist; "${other.name}" ${made ? 'replaced it by blue-green' : 'was not created by ami-action'}: set "groups: ${other.name}"${made ? ', or "strategy: blue-green"' : ''}`;
}

// AWS does not replace an unhealthy instance before the load balancer has seen a healthy one. So the group would wait until the time limit.
const UNSERVED_SECONDS = 300;

export interface PairSnapshot {
  readonly successor: Group | undefined;
  /** Undefined: another process deleted it. It may have grown since it was copied. */
  readonly old: Group | undefined;
  readonly images: ReadonlyMap<string, string>;
  readonly imageId: string;
  /** It is behind the load balancers of the old group. */
  readonly attached: boolean;
  readonly targets: readonly Target[];
  readonly sources: readonly Source[];
  /** How long the green group has been healthy without a break. */
  readonly wellForSeconds: number | undefined;
  readonly bakeSeconds: number;
  /** How long an instance has been without traffic, although it is registered. */
  readonly unservedForSeconds: number | undefined;
}

/** `suspect`: an instance that may show the cause. `ready`: all run the image, and may get traffic once their checks pass. */
export type PairEvaluation =
  | {
      readonly state: 'waiting';
      readonly note: string;
      readonly well: boolean;
      readonly ready?: boolean;
      readonly suspect?: string | undefined;
    }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly reason: string };

/** Whether the green group may take over. One unhealthy instance is enough to fail, because the old group still serves. */
export function evaluatePair(snapshot: PairSnapshot): PairEvaluation {
  const { successor, old, targets, sources } = snapshot;
  if (successor === undefined) return { state: 'failed', reason: 'the new group no longer exists' };
  const sick = successor.members.find(member => !member.healthy);
  if (sick !== undefined) return { state: 'failed', reason: `${sick.id} of the new group became unhealthy` };
  const ids = successor.members.filter(inService).map(({ id }) => id);
  const needed = Math.max(successor.desired, old?.desired ?? 0);
  if (ids.length < needed) return { state: 'waiting', note: `${ids.length} of ${needed} new instances in service`, well: false };
  const proof = proofOf(successor, snapshot.images, snapshot.imageId, { excluded: false });
  const problem = imageProblem({ proof, group: successor });
  if (proof.wrong.length > 0) return { state: 'failed', reason: `in the new group, ${problem}` };
  if (problem !== undefined) return { state: 'waiting', note: problem, well: false };
  if (!snapshot.attached && old !== undefined)
    return { state: 'waiting', note: `all ${ids.length} new instances are in service, without traffic`, well: false, ready: true };
  const { without, coming } = trafficOf(ids, successor, targets, sources);
  const [first] = [...without, ...coming];
  if (first !== undefined) {
    const instances = `${without.length + coming.length} of ${ids.length} new instances get no traffic`;
    const limit = Math.max(UNSERVED_SECONDS, successor.graceSeconds ?? 0);
    if ((snapshot.unservedForSeconds ?? 0) >= limit)
      return { state: 'failed', reason: `${instances} for ${formatDuration(limit)}: ${first.reason}` };
    return { state: 'waiting', note: `${instances} yet: ${first.reason}`, well: false, suspect: without[0]?.id };
  }
  if ((snapshot.wellForSeconds ?? 0) >= snapshot.bakeSeconds) return { state: 'done' };
  const note = `all ${ids.length} new instances are healthy; bake time ${formatDuration(snapshot.bakeSeconds)}`;
  return { state: 'waiting', note, well: true };
}
