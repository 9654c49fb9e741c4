import type { Source, Target } from '../../model/group.ts';
import { type Group, isClassic } from '../../model/group.ts';

export interface Unserved {
  readonly id: string;
  readonly reason: string;
}

export interface Traffic {
  /** Get none. */
  readonly without: readonly Unserved[];
  /** Get none yet: registered just now, and not asked often enough. */
  readonly coming: readonly Unserved[];
}

type Served = Pick<Group, 'members' | 'targetGroups' | 'balancers' | 'healthCheck'>;

interface Bad {
  readonly coming: boolean;
  readonly reason: string;
}

/** Each instance must be well in every target group: one of them may be the only one that customers come by. */
export function trafficOf(ids: readonly string[], group: Served, targets: readonly Target[], sources: readonly Source[]): Traffic {
  const blind = blindOf(group, sources);
  const badOf = (id: string) => badly(id, targets, group.targetGroups.length) ?? toldOf(id, sources) ?? calledSick(id, group) ?? blind;
  const seen = ids.map(id => ({ id, bad: badOf(id) }));
  const as = (coming: boolean) =>
    seen.flatMap(({ id, bad }) => (bad !== undefined && bad.coming === coming ? [{ id, reason: bad.reason }] : []));
  return { without: as(false), coming: as(true) };
}

/** Why it gets no traffic; undefined when it does, or when nothing sends any there. */
function badly(id: string, targets: readonly Target[], targetGroups: number): Bad | undefined {
  const its = targets.filter(({ instanceId }) => instanceId === id);
  if (its.length < targetGroups) return { coming: false, reason: 'not registered with its target group' };
  // NotInUse: no load balancer sends anything to that target group, or to that zone.
  const bad = its.filter(({ state, message }) => state !== 'healthy' && !message.includes('Target.NotInUse'));
  const worst = bad.find(({ state }) => state !== 'initial') ?? bad[0];
  return worst && { coming: worst.state === 'initial', reason: worst.message };
}

/** A classic load balancer is asked, whether the group asks it too or not. */
function toldOf(id: string, sources: readonly Source[]): Bad | undefined {
  const bad = sources.flatMap(({ name, targets }): Bad[] => {
    const its = targets?.find(({ instanceId }) => instanceId === id);
    if (targets === undefined || its?.state === 'healthy') return [];
    return its === undefined
      ? [{ coming: true, reason: `${name} does not know it yet` }]
      : [{ coming: its.state === 'initial', reason: its.message }];
  });
  return bad.find(({ coming }) => !coming) ?? bad[0];
}

/** Of other load balancers the group only says that one of them finds an instance sick, and only where its health check asks them. */
const calledSick = (id: string, { members, balancers = [], healthCheck }: Served): Bad | undefined =>
  balancers.length > 0 && healthCheck !== 'EC2' && members.some(member => member.id === id && !member.healthy)
    ? { coming: false, reason: 'its group calls it unhealthy' }
    : undefined;

/** One that has seen no healthy instance of the group sends nothing to any of them. */
function blindOf({ balancers = [], healthCheck }: Served, sources: readonly Source[]): Bad | undefined {
  const blind = balancers.flatMap((name): Bad[] => {
    const source = sources.find(each => each.name === name);
    if (source?.targets !== undefined) return [];
    if (source?.state === 'InService' || (source?.state === 'Added' && !isAsked(source, healthCheck))) return [];
    if (source?.state !== 'Added') return [{ coming: true, reason: `${name} does not know all of its group yet` }];
    return [{ coming: false, reason: `${name} has seen no healthy instance of its group` }];
  });
  return blind.find(({ coming }) => !coming) ?? blind[0];
}

/** Where the group does not ask, Added is the end: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LoadBalancerState.html */
const isAsked = ({ type }: Source, healthCheck: string): boolean =>
  healthCheck.split(',').includes(type === 'vpc-lattice' ? 'VPC_LATTICE' : 'ELB');

// How often a group listens is not documented; about so often is what one sees.
const LISTENS_EVERY_SECONDS = 60;

/** How long the silence of a group about its instances says nothing: until then it does not listen to those whom only it can ask. */
export const silentSeconds = ({ balancers = [], graceSeconds = 0, healthCheck }: Served & Pick<Group, 'graceSeconds'>): number =>
  healthCheck !== 'EC2' && !balancers.every(isClassic) ? graceSeconds + LISTENS_EVERY_SECONDS : 0;

export const formatUnserved = (unserved: readonly Unserved[]): string => {
  const [first] = unserved;
  const more = unserved.length > 1 ? ` and ${unserved.length - 1} more` : '';
  return `${first?.id}${more} (${first?.reason})`;
};
