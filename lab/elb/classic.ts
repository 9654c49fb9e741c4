import type { Place } from '../place.ts';
import { classicBalancers } from './target-state.ts';

// Classic load balancers (ELB v1) have an API of their own, whose client nothing here needs: on the wire it is InvalidAction, and
// whoever wants one makes it by hand. Auto Scaling knows them by name.

export interface ClassicWish {
  /** `HTTP:8080/health` or `TCP:22`. https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html */
  readonly target: string;
  readonly healthyThreshold?: number;
  readonly unhealthyThreshold?: number;
  /** Connection draining; off unless it is asked for. */
  readonly drainSeconds?: number;
}

export function addClassicBalancer(place: Place, name: string, wish: ClassicWish): void {
  const [, protocol, port, path = '/'] = /^(HTTPS?|TCP|SSL):(\d+)(\/.*)?$/.exec(wish.target) ?? [];
  if (protocol === undefined) throw new TypeError(`${wish.target} is no target of a health check.`);
  const settings = {
    ...{ Port: Number(port), HealthCheckPort: 'traffic-port', HealthCheckPath: path, Matcher: { HttpCode: '200' } },
    HealthCheckProtocol: protocol.startsWith('HTTP') ? ('HTTP' as const) : ('TCP' as const),
    ...{ HealthyThresholdCount: wish.healthyThreshold ?? 10, UnhealthyThresholdCount: wish.unhealthyThreshold ?? 2 },
  };
  const attributes = new Map([['deregistration_delay.timeout_seconds', String(wish.drainSeconds ?? 0)]]);
  classicBalancers(place).set(name, { arn: name, name, place, settings, attributes, targets: new Map() });
}

/** Who is registered, as DescribeInstanceHealth tells it. https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_InstanceState.html */
export const classicHealth = (place: Place, name: string): ReadonlyMap<string, 'InService' | 'OutOfService'> =>
  new Map(
    [...(classicBalancers(place).get(name)?.targets.values() ?? [])].map(({ id, health }) => [
      id,
      health.State === 'healthy' ? 'InService' : 'OutOfService',
    ]),
  );
