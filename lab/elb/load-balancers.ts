import type {
  CreateListenerCommandInput,
  CreateListenerCommandOutput,
  CreateLoadBalancerCommandInput,
  CreateLoadBalancerCommandOutput,
  DeleteListenerCommandInput,
  DeleteListenerCommandOutput,
  DeleteLoadBalancerCommandInput,
  DeleteLoadBalancerCommandOutput,
  Listener as DescribedListener,
  DescribeListenersCommandInput,
  DescribeListenersCommandOutput,
  DescribeLoadBalancersCommandInput,
  DescribeLoadBalancersCommandOutput,
  LoadBalancer,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { dropBalancingTags, setBalancingTags } from './tags.ts';
import { arnOf, type Listener, listeners, targetGroup } from './target-state.ts';

/** Load balancers and listeners, so that target groups are in use. They carry no traffic. Rules, certificates and actions other than forward do not exist. */
const balancers = slice(() => new Map<string, LoadBalancer>());

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

function balancer(place: Place, arn: string | undefined): LoadBalancer {
  const found = balancers(place).get(arn ?? '');
  if (found === undefined) throw new AwsError('LoadBalancerNotFound', `Load balancers '[${arn}]' not found`);
  return found;
}

const describeLoadBalancers: Operation<DescribeLoadBalancersCommandInput, DescribeLoadBalancersCommandOutput> = (input, { place }) => {
  for (const arn of input.LoadBalancerArns ?? []) balancer(place, arn);
  const found = [...balancers(place).values()]
    .filter(({ LoadBalancerName: name = '' }) => input.Names === undefined || input.Names.includes(name))
    .filter(({ LoadBalancerArn: arn = '' }) => input.LoadBalancerArns === undefined || input.LoadBalancerArns.includes(arn));
  return { LoadBalancers: found };
};

const deleteLoadBalancer: Operation<DeleteLoadBalancerCommandInput, DeleteLoadBalancerCommandOutput> = (
  { LoadBalancerArn: arn = '' },
  { place },
) => {
  balancers(place).delete(arn);
  dropBalancingTags(place, arn);
  for (const listener of [...listeners(place).values()]) if (listener.balancerArn === arn) listeners(place).delete(listener.arn);
  return {};
};

const createListener: Operation<CreateListenerCommandInput, CreateListenerCommandOutput> = (input, { place }) => {
  const { LoadBalancerArn = '', Port = 80, Protocol = 'HTTP', DefaultActions = [] } = input;
  balancer(place, LoadBalancerArn);
  const targetGroupArns = DefaultActions.flatMap(({ TargetGroupArn, ForwardConfig }) => [
    ...(TargetGroupArn === undefined ? [] : [TargetGroupArn]),
    ...(ForwardConfig?.TargetGroups ?? []).flatMap(({ TargetGroupArn: arn }) => (arn === undefined ? [] : [arn])),
  ]);
  for (const arn of targetGroupArns) targetGroup(place, arn);
  const arn = arnOf(place, LoadBalancerArn.replace(/^.*:loadbalancer/, 'listener'));
  const listener: Listener = {
    arn,
    balancerArn: LoadBalancerArn,
    port: Port,
    protocol: Protocol,
    targetGroupArns: [...new Set(targetGroupArns)],
  };
  listeners(place).set(arn, listener);
  return { Listeners: [described(listener)] };
};

const described = ({ arn, balancerArn, port, protocol, targetGroupArns }: Listener): DescribedListener => ({
  ListenerArn: arn,
  LoadBalancerArn: balancerArn,
  Port: port,
  Protocol: protocol as NonNullable<DescribedListener['Protocol']>,
  DefaultActions: targetGroupArns.map(TargetGroupArn => ({ Type: 'forward', TargetGroupArn })),
});

const describeListeners: Operation<DescribeListenersCommandInput, DescribeListenersCommandOutput> = (input, { place }) => ({
  Listeners: [...listeners(place).values()]
    .filter(({ balancerArn }) => input.LoadBalancerArn === undefined || input.LoadBalancerArn === balancerArn)
    .filter(({ arn }) => input.ListenerArns === undefined || input.ListenerArns.includes(arn))
    .map(described),
});

const deleteListener: Operation<DeleteListenerCommandInput, DeleteListenerCommandOutput> = ({ ListenerArn = '' }, { place }) => {
  if (!listeners(place).delete(ListenerArn)) throw new AwsError('ListenerNotFound', `Listener '${ListenerArn}' not found`);
  return {};
};

export const loadBalancerOperations: Operations = {
  CreateListener: createListener,
  CreateLoadBalancer: createLoadBalancer,
  DeleteListener: deleteListener,
  DeleteLoadBalancer: deleteLoadBalancer,
  DescribeListeners: describeListeners,
  DescribeLoadBalancers: describeLoadBalancers,
};
