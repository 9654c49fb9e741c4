import type { Source, Target } from '../../model/group.ts';
import { type Group, isClassic } from '../../model/group.ts';

/** Which instances get traffic from their load balancers. */

export interface Unserved {
  readonly id: string;
  readonly reason: string;
}

export interface Traffic {
  /** Get no traffic. */
  readonly without: readonly Unserved[];
  /** Get none yet: registered a moment ago. */
  readonly coming: readonly Unserved[];
}

type Served = Pick<Group, 'members' | 'targetGroups' | 'balancers' | 'healthCheck'>;

interface Problem {
  readonly coming: boolean;
  readonly reason: string;
}

/** Each instance must be healthy in every target group, because customers may come by only one of them. */
export function trafficOf(ids: readonly string[], group: Served, targets: readonly Target[], sources: readonly Source[]): Traffic {
  const silent = silentBalancer(group, sources);
  const problemOf = (id: string) =>
    targetProblem(id, targets, group.targetGroups.length) ?? balancerProblem(id, sources) ?? groupProblem(id, group) ?? silent;
  const unserved = ids.flatMap(id => {
    const problem = problemOf(id);
    return problem === undefined ? [] : [{ id, ...problem }];
  });
  const as = (coming: boolean) => unserved.filter(each => each.coming === coming).map(({ id, reason }) => ({ id, reason }));
  return { without: as(false), coming: as(true) };
}

function targetProblem(id: string, targets: readonly Target[], targetGroups: number): Problem | undefined {
  const own = targets.filter(({ instanceId }) => instanceId === id);
  if (own.length < targetGroups) return { coming: false, reason: 'not registered with its target group' };
  // NotInUse: no load balancer routes to that target group, or to that zone.
  const bad = own.filter(({ state, message }) => state !== 'healthy' && !message.includes('Target.NotInUse'));
  const worst = bad.find(({ state }) => state !== 'initial') ?? bad[0];
  return worst && { coming: worst.state === 'initial', reason: worst.message };
}

/** A classic load balancer is asked even where the health check of the group does not include it. */
function balancerProblem(id: string, sources: readonly Source[]): Problem | undefined {
  const bad = sources.flatMap(({ name, targets }): Problem[] => {
    const own = targets?.find(({ instanceId }) => instanceId === id);
    if (targets === undefined || own?.state === 'healthy') return [];
    return own === undefined
      ? [{ coming: true, reason: `not registered with ${name} yet` }]
      : [{ coming: own.state === 'initial', reason: own.message }];
  });
  return worstOf(bad);
}

const worstOf = (problems: readonly Problem[]): Problem | undefined => problems.find(({ coming }) => !coming) ?? problems[0];

/** Of other load balancers only the group knows whether one of them calls an instance unhealthy, and only where its health check includes them. */
const groupProblem = (id: string, { members, balancers = [], healthCheck }: Served): Problem | undefined =>
  balancers.length > 0 && healthCheck !== 'EC2' && members.some(member => member.id === id && !member.healthy)
    ? { coming: false, reason: 'unhealthy in its group' }
    : undefined;

/** A load balancer that has seen no healthy instance of the group routes to none of them. */
function silentBalancer({ balancers = [], healthCheck }: Served, sources: readonly Source[]): Problem | undefined {
  const silent = balancers.flatMap((name): Problem[] => {
    const source = sources.find(each => each.name === name);
    if (source?.targets !== undefined) return [];
    if (source?.state === 'InService' || (source?.state === 'Added' && !isChecked(source, healthCheck))) return [];
    if (source?.state !== 'Added') return [{ coming: true, reason: `the group is not fully registered with ${name} yet` }];
    return [{ coming: false, reason: `${name} sees no healthy instance of the group` }];
  });
  return worstOf(silent);
}

/** Where the group does not check it, Added is final: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LoadBalancerState.html */
const isChecked = ({ type }: Source, healthCheck: string): boolean =>
  healthCheck.split(',').includes(type === 'vpc-lattice' ? 'VPC_LATTICE' : 'ELB');

// AWS does not document how often a group reads the health of its load balancers; observed: about once a minute.
const CHECK_EVERY_SECONDS = 60;

/** Seconds for which the health that a group shows of a new instance means nothing: the grace period and one check. */
export const silentSeconds = ({ balancers = [], graceSeconds = 0, healthCheck }: Served & Pick<Group, 'graceSeconds'>): number =>
  healthCheck !== 'EC2' && !balancers.every(isClassic) ? graceSeconds + CHECK_EVERY_SECONDS : 0;

export const formatUnserved = (unserved: readonly Unserved[]): string => {
  const [first] = unserved;
  const more = unserved.length > 1 ? ` and ${unserved.length - 1} more` : '';
  return `${first?.id}${more} (${first?.reason})`;
};
