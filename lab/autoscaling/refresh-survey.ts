import { counted, desiredInstances, inService } from './group.ts';
import { notReady } from './health.ts';
import { goal } from './refresh.ts';
import type { Group, Member, Refresh } from './state.ts';

/** The state of a refresh at one moment. Nothing is changed here. */
export interface Survey {
  /** Number of instances that the refresh covers. */
  readonly total: number;
  /** Number that must be replaced for success: all, or up to the last checkpoint. */
  readonly goal: number;
  /** Number that is replaced, healthy and past its warm-up. */
  readonly done: number;
  /** Still to replace, oldest first. */
  readonly replaceable: readonly Member[];
  /** Still to replace, but protected or in standby. The refresh waits until a user changes that. */
  readonly blocked: readonly Member[];
  /** New instances that are not ready, each with the reason. */
  readonly unready: readonly { readonly member: Member; readonly reason: string }[];
  /** Number of instances that can serve now, old and new. */
  readonly serving: number;
  /** Whether the group has exactly its desired capacity. */
  readonly complete: boolean;
}

export function survey(group: Group, refresh: Refresh): Survey {
  const present = counted(group);
  const isStale = ({ id }: Member) => refresh.stale.has(id);
  const stays = (member: Member) => refresh.excluded.has(member.id) || isIgnored(refresh, member);
  const fresh = present.filter(member => !isStale(member) && !stays(member));
  const unready = fresh.flatMap(member => {
    const reason = notReady(group, member, refresh.rules.warmupSeconds);
    return reason === undefined ? [] : [{ member, reason }];
  });
  const left = [...present, ...standby(group)].filter(member => isStale(member) && !stays(member));
  const total = Math.max(0, desiredInstances(group) - present.filter(stays).length);
  return {
    total,
    goal: refresh.rollback === undefined ? goal(total, refresh.rules) : total,
    done: Math.min(total, fresh.length - unready.length),
    replaceable: left.filter(member => !isBlocked(refresh, member)).sort((a, b) => a.launchedAt - b.launchedAt),
    blocked: left.filter(member => isBlocked(refresh, member)),
    unready,
    serving: inService(group).filter(({ id, health }) => health === 'Healthy' && !unready.some(({ member }) => member.id === id)).length,
    complete: present.length === desiredInstances(group),
  };
}

const standby = (group: Group): readonly Member[] => [...group.members.values()].filter(({ state }) => state === 'Standby');

const isIgnored = ({ rules }: Refresh, member: Member): boolean =>
  member.state === 'Standby' ? rules.standby === 'Ignore' : member.protected && rules.protectedOnes === 'Ignore';

const isBlocked = ({ rules }: Refresh, member: Member): boolean =>
  member.state === 'Standby' ? rules.standby === 'Wait' : member.protected && rules.protectedOnes === 'Wait';

/** In the wording of AWS, where it is known. */
export function waitingFor({ blocked, unready, complete }: Survey, launchTrouble: string | undefined): string | undefined {
  const example = (id: string, reason: string) => `Waiting for remaining instances to be available. For example: ${id} ${reason}`;
  const [sick] = unready;
  if (launchTrouble !== undefined && !complete) return `Waiting for instances to launch. The last attempt failed: ${launchTrouble}`;
  if (sick !== undefined) return example(sick.member.id, sick.reason);
  const [stuck] = blocked;
  if (stuck === undefined) return undefined;
  return stuck.state === 'Standby'
    ? example(stuck.id, 'is in standby. Return the instance to service to continue.')
    : example(stuck.id, 'is protected. Remove instance scale-in protection to continue.');
}
