import {
  type AutoScalingClient,
  type AutoScalingGroup,
  type AutoScalingGroupNamesType,
  DescribeAutoScalingGroupsCommand,
  DescribeLifecycleHooksCommand,
  DescribeNotificationConfigurationsCommand,
  DescribePoliciesCommand,
  DescribeScheduledActionsCommand,
  DescribeTrafficSourcesCommand,
  type LifecycleHook,
  type NotificationConfiguration,
  type ScalingPolicy,
  type ScheduledUpdateGroupAction,
  type TrafficSourceState,
} from '@aws-sdk/client-auto-scaling';
import { RejectedError } from '../../kit/errors.ts';
import { allPages, listed } from './pages.ts';
import { orBusy } from './refreshes.ts';

/** Auto Scaling groups as AWS describes them, and what is attached to them. */

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
export const MOST_GROUPS_PER_CALL = 100;

export const listGroups = (client: AutoScalingClient, query: AutoScalingGroupNamesType): Promise<AutoScalingGroup[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribeAutoScalingGroupsCommand({ ...query, MaxRecords: MOST_GROUPS_PER_CALL, NextToken }))
      .catch(orBusy('describe Auto Scaling groups (autoscaling:DescribeAutoScalingGroups)'));
    return { items: page.AutoScalingGroups, next: page.NextToken };
  });

/** Throws `RejectedError` where it does not exist. */
export async function getGroup(client: AutoScalingClient, name: string): Promise<AutoScalingGroup> {
  const [group] = await listGroups(client, { AutoScalingGroupNames: [name] });
  if (group === undefined) throw new RejectedError(`Group ${name} does not exist any more.`);
  return group;
}

export const listPolicies = (client: AutoScalingClient, name: string): Promise<ScalingPolicy[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribePoliciesCommand({ AutoScalingGroupName: name, NextToken }))
      .catch(orBusy(`read the scaling policies of ${name} (autoscaling:DescribePolicies)`));
    return { items: page.ScalingPolicies, next: page.NextToken };
  });

export async function listHooks(client: AutoScalingClient, name: string): Promise<readonly LifecycleHook[]> {
  const { LifecycleHooks } = await client
    .send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName: name }))
    .catch(orBusy(`read the lifecycle hooks of ${name} (autoscaling:DescribeLifecycleHooks)`));
  return listed(LifecycleHooks);
}

export const listScheduledActions = (client: AutoScalingClient, name: string): Promise<ScheduledUpdateGroupAction[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribeScheduledActionsCommand({ AutoScalingGroupName: name, NextToken }))
      .catch(orBusy(`read the scheduled actions of ${name} (autoscaling:DescribeScheduledActions)`));
    return { items: page.ScheduledUpdateGroupActions, next: page.NextToken };
  });

export const listNotifications = (client: AutoScalingClient, name: string): Promise<NotificationConfiguration[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribeNotificationConfigurationsCommand({ AutoScalingGroupNames: [name], NextToken }))
      .catch(orBusy(`read the notifications of ${name} (autoscaling:DescribeNotificationConfigurations)`));
    return { items: page.NotificationConfigurations, next: page.NextToken };
  });

/** Load balancers of every kind. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeTrafficSources.html */
export const listTrafficSources = (client: AutoScalingClient, name: string): Promise<TrafficSourceState[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribeTrafficSourcesCommand({ AutoScalingGroupName: name, NextToken }))
      .catch(orBusy(`read the traffic sources of ${name} (autoscaling:DescribeTrafficSources)`));
    return { items: page.TrafficSources, next: page.NextToken };
  });
