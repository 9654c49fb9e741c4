import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { instances } from '../../lab/ec2/state.ts';
import { classicName } from '../../lab/elb/classic.ts';
import { balancers } from '../../lab/elb/load-balancers.ts';
import { shown } from '../../lab/elb/target-health.ts';
import { balancersOf, classicBalancers, listeners, receiver, targetGroups } from '../../lab/elb/target-state.ts';
import type { Place } from '../../lab/place.ts';
import { zones } from '../../lab/route53/records.ts';

/**
 * A hundred requests at a listener, a rule or a pair of records: how many of them instances of each image answered. They are divided exactly by weight, and evenly among
 * the healthy targets. `none`: no target was healthy. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
 */
export function hundredRequests(place: Place, at: string): Readonly<Record<string, number>> {
  const receivers = at.startsWith('arn:')
    ? actionsAt(place, at)
        .flatMap(({ ForwardConfig }) => ForwardConfig?.TargetGroups ?? [])
        .map(weighted => ({ weight: weighted.Weight ?? 1, ids: [weighted.TargetGroupArn ?? ''] }))
    : recordsAt(place, at).map(record => ({ weight: record.Weight ?? 0, ids: sourcesBehind(place, record) }));
  const total = receivers.reduce((sum, { weight }) => sum + weight, 0);
  const counts: Record<string, number> = {};
  for (const { weight, ids } of receivers) {
    const requests = total === 0 ? 0 : (100 * weight) / total;
    const images = ids.flatMap(id => imagesBehind(place, id));
    for (const image of requests === 0 ? [] : images.length === 0 ? ['none'] : images)
      counts[image] = (counts[image] ?? 0) + requests / Math.max(1, images.length);
  }
  return counts;
}

function actionsAt(place: Place, arn: string): readonly Action[] {
  const all = [...listeners(place).values()];
  return all.find(listener => listener.arn === arn)?.actions ?? all.find(({ rules }) => rules.has(arn))?.rules.get(arn)?.actions ?? [];
}

/** The records of `zone/name/type`. */
export const recordsAt = (place: Place, at: string): readonly ResourceRecordSet[] => {
  const [zone = '', name = '', type] = at.split('/');
  return (zones(place).get(zone) ?? []).filter(({ Name, Type }) => Name === `${name}.` && Type === type);
};

/** Target groups, or the classic load balancer, behind the DNS name of a record. */
export function sourcesBehind(place: Place, { AliasTarget, ResourceRecords }: ResourceRecordSet): readonly string[] {
  const name = (AliasTarget?.DNSName ?? ResourceRecords?.[0]?.Value ?? '').replace(/^dualstack\./, '').replace(/\.$/, '');
  const own = [...balancers(place).values()].find(({ DNSName }) => DNSName === name);
  if (own === undefined) return [...classicBalancers(place).keys()].filter(classic => classicName(place, classic) === name);
  return [...targetGroups(place).keys()].filter(arn => balancersOf(place, arn).includes(own.LoadBalancerArn ?? ''));
}

/** Images of the healthy instances of a target group or a classic load balancer. */
export function imagesBehind(place: Place, id: string): readonly string[] {
  const group = receiver(place, id);
  const healthy = [...(group?.targets.values() ?? [])].filter(target => group && shown(group, target).State === 'healthy');
  return healthy.flatMap(({ id }) => instances(place).get(id)?.imageId ?? []);
}
