import type {
  AttachLoadBalancerTargetGroupsCommandInput,
  AttachLoadBalancerTargetGroupsCommandOutput,
  AttachTrafficSourcesCommandInput,
  AttachTrafficSourcesCommandOutput,
  DescribeLoadBalancerTargetGroupsCommandInput,
  DescribeLoadBalancerTargetGroupsCommandOutput,
  DescribeTrafficSourcesCommandInput,
  DescribeTrafficSourcesCommandOutput,
  DetachLoadBalancerTargetGroupsCommandInput,
  DetachLoadBalancerTargetGroupsCommandOutput,
  DetachTrafficSourcesCommandInput,
  DetachTrafficSourcesCommandOutput,
  TrafficSourceIdentifier,
} from '@aws-sdk/client-auto-scaling';
import { deregisterFrom, healthIn, registered, registerIn } from '../elb/target-health.ts';
import { targetGroups } from '../elb/target-state.ts';
import type { Operation, Operations } from '../operation.ts';
import { type Group, groupNamed, inService, invalid } from './group.ts';
import { records } from './records.ts';

/** Target groups by ARN and traffic sources are two ways to say the same. */
export const identifiers = (
  arns: readonly string[] = [],
  sources: readonly TrafficSourceIdentifier[] = [],
): readonly TrafficSourceIdentifier[] => [
  ...arns.map(Identifier => ({ Identifier, Type: 'elbv2' })),
  ...sources.map(({ Identifier, Type = 'elbv2' }) => ({ Identifier, Type })),
];

export function setSources(group: Group, added: readonly TrafficSourceIdentifier[]): void {
  for (const { Identifier = '', Type } of added) {
    if (Type !== 'elbv2') throw invalid(`This lab has target groups only, no traffic source of type ${Type}.`);
    if (!targetGroups(group.place).has(Identifier))
      throw invalid('Provided Target Groups may not be valid. Please ensure they exist and try again.');
  }
  const known = new Set(group.sources.map(({ Identifier }) => Identifier));
  const fresh = added.filter(({ Identifier }) => !known.has(Identifier));
  group.sources = [...group.sources, ...fresh];
  for (const { Identifier = '' } of fresh) for (const { id } of inService(group)) registerIn(group.place, Identifier, id);
}

/** The instances go on running. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DetachTrafficSources.html */
function dropSources(group: Group, dropped: readonly TrafficSourceIdentifier[]): void {
  const gone = new Set(dropped.map(({ Identifier }) => Identifier));
  group.sources = group.sources.filter(({ Identifier }) => !gone.has(Identifier));
  for (const arn of gone) for (const id of group.members.keys()) deregisterFrom(group.place, arn ?? '', id);
}

const attachTrafficSources: Operation<AttachTrafficSourcesCommandInput, AttachTrafficSourcesCommandOutput> = (input, { place }) => {
  setSources(groupNamed(place, input.AutoScalingGroupName), identifiers([], input.TrafficSources));
  return {};
};

const detachTrafficSources: Operation<DetachTrafficSourcesCommandInput, DetachTrafficSourcesCommandOutput> = (input, { place }) => {
  dropSources(groupNamed(place, input.AutoScalingGroupName), identifiers([], input.TrafficSources));
  return {};
};

const attachTargetGroups: Operation<AttachLoadBalancerTargetGroupsCommandInput, AttachLoadBalancerTargetGroupsCommandOutput> = (
  input,
  { place },
) => {
  setSources(groupNamed(place, input.AutoScalingGroupName), identifiers(input.TargetGroupARNs));
  return {};
};

const detachTargetGroups: Operation<DetachLoadBalancerTargetGroupsCommandInput, DetachLoadBalancerTargetGroupsCommandOutput> = (
  input,
  { place },
) => {
  dropSources(groupNamed(place, input.AutoScalingGroupName), identifiers(input.TargetGroupARNs));
  return {};
};

/** InService as soon as one instance of the group is healthy there. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TrafficSourceState.html */
function stateOf(group: Group, arn: string): string {
  const ids = inService(group).map(({ id }) => id);
  if (group.healthTypes.includes('ELB') && ids.some(id => healthIn(group.place, arn, id)?.State === 'healthy')) return 'InService';
  return ids.every(id => registered(group.place, arn, id)) ? 'Added' : 'Adding';
}

const describeTrafficSources: Operation<DescribeTrafficSourcesCommandInput, DescribeTrafficSourcesCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const found = group.sources.filter(({ Type }) => input.TrafficSourceType === undefined || input.TrafficSourceType === Type);
  const { items, NextToken } = records(place, found, ({ Identifier = '' }) => Identifier, input, 50, 50);
  return {
    TrafficSources: items.map(({ Identifier = '', Type }) => ({
      TrafficSource: Identifier,
      Identifier,
      Type,
      State: stateOf(group, Identifier),
    })),
    NextToken,
  };
};

const describeTargetGroups: Operation<DescribeLoadBalancerTargetGroupsCommandInput, DescribeLoadBalancerTargetGroupsCommandOutput> = (
  input,
  { place },
) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const { items, NextToken } = records(place, group.sources, ({ Identifier = '' }) => Identifier, input, 100);
  return {
    LoadBalancerTargetGroups: items.map(({ Identifier = '' }) => ({
      LoadBalancerTargetGroupARN: Identifier,
      State: stateOf(group, Identifier),
    })),
    NextToken,
  };
};

export const trafficOperations: Operations = {
  AttachLoadBalancerTargetGroups: attachTargetGroups,
  AttachTrafficSources: attachTrafficSources,
  DescribeLoadBalancerTargetGroups: describeTargetGroups,
  DescribeTrafficSources: describeTrafficSources,
  DetachLoadBalancerTargetGroups: detachTargetGroups,
  DetachTrafficSources: detachTrafficSources,
};
