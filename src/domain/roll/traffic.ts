/** What the load balancers of a group say about its instances. */

export interface Target {
  readonly instanceId: string;
  /** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html#target-health-states */
  readonly state: string;
  /** State, reason and description in one line. */
  readonly said: string;
}

export interface Unserved {
  readonly id: string;
  readonly because: string;
}

export interface Traffic {
  /** Get none. */
  readonly without: readonly Unserved[];
  /** Get none yet: registered just now, and not asked often enough. */
  readonly coming: readonly Unserved[];
}

/** Each instance must be well in every target group: one of them may be the only one that customers come by. */
export function trafficOf(ids: readonly string[], targets: readonly Target[], targetGroups: readonly string[]): Traffic {
  const seen = ids.map(id => ({ id, bad: badly(id, targets, targetGroups.length) }));
  const as = (coming: boolean) =>
    seen.flatMap(({ id, bad }) => (bad !== undefined && bad.coming === coming ? [{ id, because: bad.because }] : []));
  return { without: as(false), coming: as(true) };
}

/** Why it gets no traffic; undefined when it does, or when nothing sends any there. */
function badly(id: string, targets: readonly Target[], targetGroups: number): { coming: boolean; because: string } | undefined {
  const its = targets.filter(({ instanceId }) => instanceId === id);
  if (its.length < targetGroups) return { coming: false, because: 'not registered with its target group' };
  // NotInUse: no load balancer sends anything to that target group, or to that zone.
  const bad = its.filter(({ state, said }) => state !== 'healthy' && !said.includes('Target.NotInUse'));
  const worst = bad.find(({ state }) => state !== 'initial') ?? bad[0];
  return worst && { coming: worst.state === 'initial', because: worst.said };
}

export const sayUnserved = (unserved: readonly Unserved[]): string => {
  const [first] = unserved;
  const more = unserved.length > 1 ? ` and ${unserved.length - 1} more` : '';
  return `${first?.id}${more} (${first?.because})`;
};
