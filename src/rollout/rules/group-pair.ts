import { formatDuration } from '../../kit/format.ts';
import type { Group, Source, Target } from '../../model/group.ts';
import { inService, proofOf, unprovenBecause } from './proof.ts';
import { trafficOf } from './traffic.ts';

/** Blue-green: two names, of which one group is in charge and the other one comes, proves itself, and takes over. */

const GREEN = '-green';

/** A group and its successor take turns with two names: web, web-green, web ... */
export const greenGroupName = (name: string): string => (name.endsWith(GREEN) ? name.slice(0, -GREEN.length) : `${name}${GREEN}`);

/** On the group that comes: the name of the one that it is to replace. */
export const SUCCESSOR_OF = 'ami-action:successor-of';

/** On the group that comes: the image that all its instances have proven. From here on it may take over. */
export const PROVEN = 'ami-action:proven';

/** The group that comes in the place of this one, while both are there. */
export const successorOf = (allGroups: readonly Group[], group: Group): Group | undefined =>
  allGroups.find(other => other.tags[SUCCESSOR_OF] === group.name && !other.beingDeleted);

/** For its successor, which serves alone from here on: it must not be dropped any more. */
export const isEmptied = ({ max }: Group): boolean => max === 0;

/** Which of the two names is in charge now; undefined when there is neither. */
export function activeGroup(allGroups: readonly Group[], name: string): Group | undefined {
  const both = allGroups.filter(group => (group.name === name || group.name === greenGroupName(name)) && !group.beingDeleted);
  return both.find(group => !both.some(other => group.tags[SUCCESSOR_OF] === other.name)) ?? allGroups.find(group => group.name === name);
}

export interface PairSnapshot {
  readonly successor: Group | undefined;
  /** Undefined: somebody removed it. It may have grown since we copied it. */
  readonly old: Group | undefined;
  readonly images: ReadonlyMap<string, string>;
  readonly imageId: string;
  readonly targets: readonly Target[];
  readonly sources: readonly Source[];
  /** How long everything has been well. */
  readonly wellForSeconds: number | undefined;
  readonly bakeSeconds: number;
}

export type PairEvaluation =
  | {
      readonly state: 'waiting';
      readonly note: string;
      readonly well: boolean;
      /** An instance that may tell why. */
      readonly suspect?: string | undefined;
    }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly reason: string };

/** May the successor take over? Strict: one sick instance is enough to say no, because the old group still serves. */
export function evaluatePair(sight: PairSnapshot): PairEvaluation {
  const { successor, old, targets, sources } = sight;
  if (successor === undefined) return { state: 'failed', reason: 'the new group is gone' };
  const sick = successor.members.find(member => !member.healthy);
  if (sick !== undefined) return { state: 'failed', reason: `${sick.id} of the new group became unhealthy` };
  const serving = successor.members.filter(inService).length;
  const needed = Math.max(successor.desired, old?.desired ?? 0);
  if (serving < needed) return { state: 'waiting', note: `${serving} of ${needed} new instances in service`, well: false };
  const proof = proofOf(successor, sight.images, sight.imageId, { excluded: false });
  const unproven = unprovenBecause({ proof, group: successor });
  if (proof.wrong.length > 0) return { state: 'failed', reason: `in the new group, ${unproven}` };
  if (unproven !== undefined) return { state: 'waiting', note: unproven, well: false };
  const ids = successor.members.filter(inService).map(({ id }) => id);
  // What AWS says of the new group may be older than what we attached to it.
  const balancers = [...new Set([...(old?.balancers ?? []), ...(successor.balancers ?? [])])];
  const { without, coming } = trafficOf(ids, { ...successor, balancers }, targets, sources);
  const [first] = [...without, ...coming];
  if (first !== undefined) {
    const note = `${without.length + coming.length} new instances get no traffic yet: ${first.reason}`;
    return { state: 'waiting', note, well: false, suspect: without[0]?.id };
  }
  if ((sight.wellForSeconds ?? 0) >= sight.bakeSeconds) return { state: 'done' };
  return { state: 'waiting', note: `all ${serving} new instances are well, watched for ${formatDuration(sight.bakeSeconds)}`, well: true };
}
