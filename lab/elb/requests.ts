import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import { instances } from '../ec2/state.ts';
import type { Place } from '../place.ts';
import { shown } from './target-health.ts';
import { listeners, targetGroups } from './target-state.ts';

/**
 * A hundred requests at a listener or a rule: how many of them instances of each image answered. They are divided exactly by weight, and evenly among
 * the healthy targets. `none`: no target was healthy. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
 */
export function hundredRequests(place: Place, arn: string): Readonly<Record<string, number>> {
  const tuples = actionsAt(place, arn).flatMap(({ ForwardConfig }) => ForwardConfig?.TargetGroups ?? []);
  const total = tuples.reduce((sum, { Weight = 1 }) => sum + Weight, 0);
  const counts: Record<string, number> = {};
  for (const { TargetGroupArn = '', Weight = 1 } of tuples) {
    const requests = total === 0 ? 0 : (100 * Weight) / total;
    const images = imagesBehind(place, TargetGroupArn);
    for (const image of requests === 0 ? [] : images.length === 0 ? ['none'] : images)
      counts[image] = (counts[image] ?? 0) + requests / Math.max(1, images.length);
  }
  return counts;
}

function actionsAt(place: Place, arn: string): readonly Action[] {
  const all = [...listeners(place).values()];
  return all.find(listener => listener.arn === arn)?.actions ?? all.find(({ rules }) => rules.has(arn))?.rules.get(arn)?.actions ?? [];
}

function imagesBehind(place: Place, targetGroupArn: string): readonly string[] {
  const group = targetGroups(place).get(targetGroupArn);
  const healthy = [...(group?.targets.values() ?? [])].filter(target => group && shown(group, target).State === 'healthy');
  return healthy.flatMap(({ id }) => instances(place).get(id)?.imageId ?? []);
}
