import type {
  DescribeInstanceHealthCommandInput,
  DescribeInstanceHealthCommandOutput,
  DescribeLoadBalancersCommandInput,
  DescribeLoadBalancersCommandOutput,
  InstanceState,
} from '@aws-sdk/client-elastic-load-balancing';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { shown } from './target-health.ts';
import { classicBalancers, type LabTargetGroup, type Target } from './target-state.ts';

// Classic load balancers (ELB v1) have a separate API, of which the lab has only the health of instances. Tests add a balancer
// by `addClassicBalancer`. Auto Scaling refers to it by name.

export interface ClassicBalancerOptions {
  /** `HTTP:8080/health` or `TCP:22`. https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html */
  readonly target: string;
  readonly healthyThreshold?: number;
  readonly unhealthyThreshold?: number;
  /** Connection draining. Default: off. */
  readonly drainSeconds?: number;
}

export function addClassicBalancer(place: Place, name: string, options: ClassicBalancerOptions): void {
  const [, protocol, port, path = '/'] = /^(HTTPS?|TCP|SSL):(\d+)(\/.*)?$/.exec(options.target) ?? [];
  if (protocol === undefined) throw new TypeError(`${options.target} is not a target of a health check.`);
  const settings = {
    ...{ Port: Number(port), HealthCheckPort: 'traffic-port', HealthCheckPath: path, Matcher: { HttpCode: '200' } },
    HealthCheckProtocol: protocol.startsWith('HTTP') ? ('HTTP' as const) : ('TCP' as const),
    ...{ HealthyThresholdCount: options.healthyThreshold ?? 10, UnhealthyThresholdCount: options.unhealthyThreshold ?? 2 },
  };
  const attributes = new Map([['deregistration_delay.timeout_seconds', String(options.drainSeconds ?? 0)]]);
  classicBalancers(place).set(name, { arn: name, name, place, settings, attributes, targets: new Map() });
}

/** Health of the registered instances, as DescribeInstanceHealth returns it. https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_InstanceState.html */
export const classicHealth = (place: Place, name: string): ReadonlyMap<string, 'InService' | 'OutOfService'> =>
  new Map(
    [...(classicBalancers(place).get(name)?.targets.values() ?? [])].map(({ id, health }) => [
      id,
      health.State === 'healthy' ? 'InService' : 'OutOfService',
    ]),
  );

/** https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_DescribeInstanceHealth.html */
const describeInstanceHealth: Operation<DescribeInstanceHealthCommandInput, DescribeInstanceHealthCommandOutput> = (input, { place }) => {
  const name = input.LoadBalancerName ?? '';
  const balancer = classicBalancers(place).get(name);
  if (balancer === undefined) throw new AwsError('LoadBalancerNotFound', `There is no ACTIVE Load Balancer named '${name}'`);
  const asked = input.Instances?.map(({ InstanceId }) => InstanceId);
  const known = [...balancer.targets.values()];
  const unknown = asked?.find(id => !known.some(target => target.id === id));
  if (unknown !== undefined) throw new AwsError('InvalidInstance', `Could not find EC2 instance ${unknown}.`);
  return { InstanceStates: known.filter(({ id }) => asked?.includes(id) ?? true).map(target => stateOf(balancer, target)) };
};

const OUT = {
  initial: ['ELB', 'Instance registration is still in progress.'],
  unhealthy: ['Instance', 'Instance has failed at least the UnhealthyThreshold number of health checks consecutively.'],
  unused: ['Instance', 'Instance is in stopped state.'],
} as const;

function stateOf(balancer: LabTargetGroup, target: Target): InstanceState {
  const { State = 'initial' } = shown(balancer, target);
  const [ReasonCode, Description] = OUT[State as keyof typeof OUT] ?? ['N/A', State === 'draining' ? DRAINS : 'N/A'];
  return { InstanceId: target.id, State: State in OUT ? 'OutOfService' : 'InService', ReasonCode, Description };
}

const DRAINS = 'Instance deregistration currently in progress.';

/** A name is made of that of the load balancer. https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_LoadBalancerDescription.html @public Tests read it. */
export const classicName = ({ region }: Place, name: string): string => `${name}-1234567890.${region}.elb.amazonaws.com`;

/** https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_DescribeLoadBalancers.html */
const describeLoadBalancers: Operation<DescribeLoadBalancersCommandInput, DescribeLoadBalancersCommandOutput> = (input, { place }) => {
  const found = [...classicBalancers(place).keys()].filter(name => input.LoadBalancerNames?.includes(name) ?? true);
  return { LoadBalancerDescriptions: found.map(name => ({ LoadBalancerName: name, DNSName: classicName(place, name) })) };
};

export const classicOperations: Operations = {
  DescribeInstanceHealth: describeInstanceHealth,
  DescribeLoadBalancers: describeLoadBalancers,
};
