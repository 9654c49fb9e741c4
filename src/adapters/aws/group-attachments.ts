import {
  type AutoScalingClient,
  type AutoScalingGroup,
  DescribeLifecycleHooksCommand,
  DescribeNotificationConfigurationsCommand,
  DescribePoliciesCommand,
  DescribeScheduledActionsCommand,
  EnableMetricsCollectionCommand,
  PutLifecycleHookCommand,
  PutNotificationConfigurationCommand,
  PutScalingPolicyCommand,
  PutScheduledUpdateGroupActionCommand,
  type ScalingPolicy,
} from '@aws-sdk/client-auto-scaling';
import { allPages } from './pages.ts';
import { orBusy } from './refreshes.ts';

/** What hangs on a group: policies, lifecycle hooks, schedules, notifications and metrics. Put again, each is the same again. */

export const policiesOf = (client: AutoScalingClient, name: string): Promise<ScalingPolicy[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribePoliciesCommand({ AutoScalingGroupName: name, NextToken }))
      .catch(orBusy(`read the scaling policies of ${name} (autoscaling:DescribePolicies)`));
    return { items: page.ScalingPolicies, next: page.NextToken };
  });

export const hooksOf = async (client: AutoScalingClient, name: string) => {
  const { LifecycleHooks = [] } = await client
    .send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName: name }))
    .catch(orBusy(`read the lifecycle hooks of ${name} (autoscaling:DescribeLifecycleHooks)`));
  return LifecycleHooks;
};

type Hook = Awaited<ReturnType<typeof hooksOf>>[number];

export const specified = ({ AutoScalingGroupName: _, GlobalTimeout: __, LifecycleTransition, ...hook }: Hook) => ({
  ...hook,
  LifecycleHookName: hook.LifecycleHookName,
  LifecycleTransition,
});

export async function putAll(
  client: AutoScalingClient,
  from: string,
  as: string,
  { EnabledMetrics = [] }: AutoScalingGroup,
): Promise<void> {
  const AutoScalingGroupName = as;
  for (const hook of await hooksOf(client, from))
    await client.send(new PutLifecycleHookCommand({ ...specified(hook), AutoScalingGroupName }));
  for (const { PolicyName, PolicyType, EstimatedInstanceWarmup, TargetTrackingConfiguration, Enabled } of await policiesOf(client, from)) {
    await client.send(
      new PutScalingPolicyCommand({
        AutoScalingGroupName,
        PolicyName,
        PolicyType,
        EstimatedInstanceWarmup,
        TargetTrackingConfiguration,
        Enabled,
      }),
    );
  }
  const scheduled = await allPages(async NextToken => {
    const page = await client.send(new DescribeScheduledActionsCommand({ AutoScalingGroupName: from, NextToken }));
    return { items: page.ScheduledUpdateGroupActions, next: page.NextToken };
  });
  for (const { ScheduledActionName, StartTime, EndTime, Recurrence, TimeZone, MinSize, MaxSize, DesiredCapacity } of scheduled) {
    // AWS shows the next time of a recurring one as its start, and takes no start in the past.
    const when = Recurrence === undefined ? { StartTime } : { Recurrence, TimeZone, EndTime };
    await client.send(
      new PutScheduledUpdateGroupActionCommand({ AutoScalingGroupName, ScheduledActionName, ...when, MinSize, MaxSize, DesiredCapacity }),
    );
  }
  const { NotificationConfigurations = [] } = await client.send(
    new DescribeNotificationConfigurationsCommand({ AutoScalingGroupNames: [from] }),
  );
  for (const TopicARN of new Set(NotificationConfigurations.map(({ TopicARN: topic }) => topic))) {
    const NotificationTypes = NotificationConfigurations.flatMap(({ TopicARN: topic, NotificationType }) =>
      topic === TopicARN && NotificationType !== undefined ? [NotificationType] : [],
    );
    await client.send(new PutNotificationConfigurationCommand({ AutoScalingGroupName, TopicARN, NotificationTypes }));
  }
  const [first] = EnabledMetrics;
  if (first === undefined) return;
  const Metrics = EnabledMetrics.flatMap(({ Metric }) => (Metric === undefined ? [] : [Metric]));
  await client.send(new EnableMetricsCollectionCommand({ AutoScalingGroupName, Granularity: first.Granularity ?? '1Minute', Metrics }));
}
