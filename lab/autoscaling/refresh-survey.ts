import { counted, inService } from './group.ts';
import { notReady } from './health.ts';
import { goal } from './refresh.ts';
import type { Group, Member, Refresh } from './state.ts';

/** What one look at a group tells about its refresh. Nothing is changed here. */
export interface Survey {
  /** How many instances the refresh is about. */
  readonly total: number;
  /** How many of them must be replaced for success: all, or up to the last checkpoint. */
  readonly goal: number;
  /** Replaced, healthy and warm. */
  readonly done: number;
  /** Still to go, the oldest first. */
  readonly replaceable: readonly Member[];
  /** Still to go, but protected or in standby: it waits for somebody to change that. */
  readonly blocked: readonly Member[];
  /** New ones that are not ready, each with the reason. */
  readonly unready: readonly { readonly member: Member; readonly why: string }[];
  /** How many can serve now, old and new. */
  readonly serving: number;
  /** Nothing is missing or too many. */
  readonly complete: boolean;
}

export function survey(group: Group, refresh: Refresh): Survey {
  const present = counted(group);
  const isStale = ({ id }: Member) => refresh.stale.has(id);
  const stays = (member: Member) => refresh.spared.has(member.id) || isIgnored(refresh, member);
  const fresh = present.filter(member => !isStale(member) && !stays(member));
  const unready = fresh.flatMap(member => {
    const why = notReady(group, member, refresh.rules.warmupSeconds);
    return why === undefined ? [] : [{ member, why }];
  });
  const left = [...present, ...standby(group)].filter(member => isStale(member) && !stays(member));
  const total = Math.max(0, group.desired - present.filter(stays).length);
  return {
    total,
    goal: refresh.rollback === undefined ? goal(total, refresh.rules) : total,
    done: Math.min(total, fresh.length - unready.length),
    replaceable: left.filter(member => !isBlocked(refresh, member)).sort((a, b) => a.launchedAt - b.launchedAt),
    blocked: left.filter(member => isBlocked(refresh, member)),
    unready,
    serving: inService(group).filter(({ id, health }) => health === 'Healthy' && !unready.some(({ member }) => member.id === id)).length,
    complete: present.length === group.desired,
  };
}

const standby = (group: Group): readonly Member[] => [...group.members.values()].filter(({ state }) => state === 'Standby');

const isIgnored = ({ rules }: Refresh, member: Member): boolean =>
  member.state === 'Standby' ? rules.standby === 'Ignore' : member.protected && rules.protectedOnes === 'Ignore';

const isBlocked = ({ rules }: Refresh, member: Member): boolean =>
  member.state === 'Standby' ? rules.standby === 'Wait' : member.protected && rules.protectedOnes === 'Wait';

/** The words of AWS, where they are known. */
export function waitingFor({ blocked, unready, complete }: Survey, launchTrouble: string | undefined): string | undefined {
  const example = (id: string, why: string) => `Waiting for remaining instances to be available. For example: ${id} ${why}`;
  const [sick] = unready;
  if (launchTrouble !== undefined && !complete) return `Waiting for instances to launch. The last attempt failed: ${launchTrouble}`;
  if (sick !== undefined) return example(sick.member.id, sick.why);
  const [stuck] = blocked;
  if (stuck === undefined) return undefined;
  return stuck.state === 'Standby'
    ? example(stuck.id, 'is in standby. Return the instance to service to continue.')
    : example(stuck.id, 'is protected. Remove instance scale-in protection to continue.');
}
