import type {
  DescribeLoadBalancersCommandInput,
  DescribeLoadBalancersCommandOutput,
  DescribeLoadBalancerTargetGroupsCommandInput,
  DescribeLoadBalancerTargetGroupsCommandOutput,
  DescribeTrafficSourcesCommandInput,
  DescribeTrafficSourcesCommandOutput,
  TrafficSourceIdentifier,
} from '@aws-sdk/client-auto-scaling';
import { deregisterFrom, healthIn, registered, registerIn } from '../elb/target-health.ts';
import { classicBalancers, targetGroups } from '../elb/target-state.ts';
import type { Operation, Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { groupNamed, inService, invalid } from './group.ts';
import { records } from './records.ts';
import type { Group, Source } from './state.ts';

interface SourceInput {
  readonly TargetGroupARNs?: readonly string[] | undefined;
  readonly LoadBalancerNames?: readonly string[] | undefined;
  readonly TrafficSources?: readonly TrafficSourceIdentifier[] | undefined;
}

type Identifier = Pick<Source, 'id'> & { readonly type: string };

/** Target groups by ARN, classic load balancers by name and traffic sources are three forms of the same setting. */
export const identifiers = ({ TargetGroupARNs = [], LoadBalancerNames = [], TrafficSources = [] }: SourceInput): readonly Identifier[] => [
  ...TargetGroupARNs.map(id => ({ id, type: 'elbv2' })),
  ...LoadBalancerNames.map(id => ({ id, type: 'elb' })),
  ...TrafficSources.map(({ Identifier: id = '', Type: type = 'elbv2' }) => ({ id, type })),
];

/** Sources of a new group are InService at once. Those added later become InService. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LoadBalancerState.html */
export function addSources(group: Group, added: readonly Identifier[], state: Source['state'] = 'Adding'): void {
  const known = new Set(group.sources.map(({ id }) => id));
  const fresh = added.map(identifier => existing(group.place, identifier)).filter(({ id }) => !known.has(id));
  group.sources = [...group.sources, ...fresh.map(source => ({ ...source, state }))];
  for (const source of fresh) for (const { id } of inService(group)) registerIn(group.place, source.id, id);
}

function existing(place: Place, { id, type }: Identifier): Pick<Source, 'id' | 'type'> {
  if (type !== 'elb' && type !== 'elbv2') {
    throw invalid(
      `Setting ${type} as traffic sources is currently not supported. Supported sources are [elb, elbv2]: this lab has no VPC Lattice.`,
    );
  }
  const there = type === 'elb' ? classicBalancers(place) : targetGroups(place);
  const what = type === 'elb' ? 'Load Balancers' : 'Target Groups';
  if (!there.has(id)) throw invalid(`Provided ${what} may not be valid. Please ensure they exist and try again.`);
  return { id, type };
}

/** The instances keep running. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DetachTrafficSources.html */
function dropSources(group: Group, dropped: readonly Identifier[]): void {
  const gone = new Set(dropped.map(({ id }) => id));
  group.sources = group.sources.filter(({ id }) => !gone.has(id));
  for (const source of gone) for (const id of group.members.keys()) deregisterFrom(group.place, source, id);
}

/**
 * AWS does not document whether a state ever goes back. Here it does not, which is the harder case for a client: InService means that one
 * instance was healthy once, or that the group was created with the source. https://docs.aws.amazon.com/autoscaling/ec2/userguide/load-balancer-status.html
 */
export function noteSources(group: Group): void {
  const ids = inService(group).map(({ id }) => id);
  for (const source of group.sources) {
    if (source.state === 'Adding' && ids.every(id => registered(group.place, source.id, id))) source.state = 'Added';
    const isHealthy = (id: string) => healthIn(group.place, source.id, id)?.State === 'healthy';
    if (source.state === 'Added' && group.healthTypes.includes('ELB') && ids.some(isHealthy)) source.state = 'InService';
  }
}

/** Attach and Detach of TrafficSources, LoadBalancers and LoadBalancerTargetGroups differ only in the names of members. */
type Move = Operation<SourceInput & { readonly AutoScalingGroupName: string | undefined }, object>;

const attach: Move = (input, { place }) => {
  addSources(groupNamed(place, input.AutoScalingGroupName), identifiers(input));
  return {};
};

const detach: Move = (input, { place }) => {
  dropSources(groupNamed(place, input.AutoScalingGroupName), identifiers(input));
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeTrafficSources.html */
const describeTrafficSources: Operation<DescribeTrafficSourcesCommandInput, DescribeTrafficSourcesCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const found = group.sources.filter(({ type }) => input.TrafficSourceType === undefined || input.TrafficSourceType === type);
  const { items, NextToken } = records(place, found, ({ id }) => id, input, 50, 50);
  return {
    TrafficSources: items.map(({ id, type, state }) => ({ TrafficSource: id, Identifier: id, Type: type, State: state })),
    NextToken,
  };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLoadBalancerTargetGroups.html */
const describeTargetGroups: Operation<DescribeLoadBalancerTargetGroupsCommandInput, DescribeLoadBalancerTargetGroupsCommandOutput> = (
  input,
  { place },
) => {
  const found = groupNamed(place, input.AutoScalingGroupName).sources.filter(({ type }) => type === 'elbv2');
  const { items, NextToken } = records(place, found, ({ id }) => id, input, 100);
  return { LoadBalancerTargetGroups: items.map(({ id, state }) => ({ LoadBalancerTargetGroupARN: id, State: state })), NextToken };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLoadBalancers.html */
const describeLoadBalancers: Operation<DescribeLoadBalancersCommandInput, DescribeLoadBalancersCommandOutput> = (input, { place }) => {
  const found = groupNamed(place, input.AutoScalingGroupName).sources.filter(({ type }) => type === 'elb');
  const { items, NextToken } = records(place, found, ({ id }) => id, input, 100);
  return { LoadBalancers: items.map(({ id, state }) => ({ LoadBalancerName: id, State: state })), NextToken };
};

export const trafficOperations: Operations = {
  AttachLoadBalancerTargetGroups: attach,
  AttachLoadBalancers: attach,
  AttachTrafficSources: attach,
  DescribeLoadBalancers: describeLoadBalancers,
  DescribeLoadBalancerTargetGroups: describeTargetGroups,
  DescribeTrafficSources: describeTrafficSources,
  DetachLoadBalancerTargetGroups: detach,
  DetachLoadBalancers: detach,
  DetachTrafficSources: detach,
};
