import type {
  CreateLoadBalancerCommandInput,
  CreateLoadBalancerCommandOutput,
  DeleteLoadBalancerCommandInput,
  DeleteLoadBalancerCommandOutput,
  DescribeLoadBalancersCommandInput,
  DescribeLoadBalancersCommandOutput,
  LoadBalancer,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { dropBalancingTags, setBalancingTags } from './tags.ts';
import { arnOf, listeners } from './target-state.ts';

/** Load balancers, so that target groups are in use. Certificates do not exist. @public Tests read them. */
export const balancers = slice(() => new Map<string, LoadBalancer>());

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html */
const createLoadBalancer: Operation<CreateLoadBalancerCommandInput, CreateLoadBalancerCommandOutput> = (input, { place }) => {
  const { Name = '', Scheme = 'internet-facing', Type = 'application' } = input;
  if ([...balancers(place).values()].some(({ LoadBalancerName }) => LoadBalancerName === Name))
    throw new AwsError('DuplicateLoadBalancerName', `A load balancer with the same name '${Name}' exists, but with different settings`);
  const arn = arnOf(place, `loadbalancer/${Type === 'network' ? 'net' : 'app'}/${Name}`);
  const balancer: LoadBalancer = {
    ...{ LoadBalancerArn: arn, LoadBalancerName: Name, Scheme, Type, State: { Code: 'active' } },
    ...{ DNSName: `${Name}.elb.lab`, CreatedTime: place.core.clock.date() },
  };
  balancers(place).set(arn, balancer);
  setBalancingTags(place, arn, input.Tags);
  return { LoadBalancers: [balancer] };
};

export function balancer(place: Place, arn: string | undefined): LoadBalancer {
  const found = balancers(place).get(arn ?? '');
  if (found === undefined) throw new AwsError('LoadBalancerNotFound', `Load balancers '[${arn}]' not found`);
  return found;
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html */
const describeLoadBalancers: Operation<DescribeLoadBalancersCommandInput, DescribeLoadBalancersCommandOutput> = (input, { place }) => {
  for (const arn of input.LoadBalancerArns ?? []) balancer(place, arn);
  const found = [...balancers(place).values()]
    .filter(({ LoadBalancerName: name = '' }) => input.Names === undefined || input.Names.includes(name))
    .filter(({ LoadBalancerArn: arn = '' }) => input.LoadBalancerArns === undefined || input.LoadBalancerArns.includes(arn));
  return { LoadBalancers: found };
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html */
const deleteLoadBalancer: Operation<DeleteLoadBalancerCommandInput, DeleteLoadBalancerCommandOutput> = (
  { LoadBalancerArn: arn = '' },
  { place },
) => {
  balancers(place).delete(arn);
  dropBalancingTags(place, arn);
  for (const listener of [...listeners(place).values()]) if (listener.balancerArn === arn) listeners(place).delete(listener.arn);
  return {};
};

export const loadBalancerOperations: Operations = {
  CreateLoadBalancer: createLoadBalancer,
  DeleteLoadBalancer: deleteLoadBalancer,
  DescribeLoadBalancers: describeLoadBalancers,
};
