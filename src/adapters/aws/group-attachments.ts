import {
  type AutoScalingClient,
  type AutoScalingGroup,
  EnableMetricsCollectionCommand,
  type LifecycleHook,
  PutLifecycleHookCommand,
  PutNotificationConfigurationCommand,
  PutScalingPolicyCommand,
  PutScheduledUpdateGroupActionCommand,
} from '@aws-sdk/client-auto-scaling';
import { listHooks, listNotifications, listPolicies, listScheduledActions } from './group-reads.ts';

/** What hangs on a group. AWS does not count it as part of the group, so each is read and put. */

export const specification = ({ AutoScalingGroupName: _, GlobalTimeout: __, LifecycleTransition, ...hook }: LifecycleHook) => ({
  ...hook,
  LifecycleHookName: hook.LifecycleHookName,
  LifecycleTransition,
});

/** Each call can be repeated: the next run finishes what an interrupted one began. */
export async function copyAttachments(client: AutoScalingClient, from: string, as: string, group: AutoScalingGroup): Promise<void> {
  const AutoScalingGroupName = as;
  for (const hook of await listHooks(client, from))
    await client.send(new PutLifecycleHookCommand({ ...specification(hook), AutoScalingGroupName }));
  for (const policy of await listPolicies(client, from)) {
    const { PolicyName, PolicyType, EstimatedInstanceWarmup, TargetTrackingConfiguration, Enabled } = policy;
    const shape = { PolicyName, PolicyType, EstimatedInstanceWarmup, Enabled };
    const tracking = withGroupName(TargetTrackingConfiguration, from, as);
    await client.send(new PutScalingPolicyCommand({ AutoScalingGroupName, ...shape, TargetTrackingConfiguration: tracking }));
  }
  const notifications = await listNotifications(client, from);
  for (const TopicARN of new Set(notifications.map(topic => topic.TopicARN))) {
    const NotificationTypes = notifications.flatMap(topic => (topic.TopicARN === TopicARN ? (topic.NotificationType ?? []) : []));
    await client.send(new PutNotificationConfigurationCommand({ AutoScalingGroupName, TopicARN, NotificationTypes }));
  }
  const [first] = group.EnabledMetrics ?? [];
  if (first === undefined) return;
  const Metrics = (group.EnabledMetrics ?? []).flatMap(({ Metric }) => Metric ?? []);
  await client.send(new EnableMetricsCollectionCommand({ AutoScalingGroupName, Granularity: first.Granularity ?? '1Minute', Metrics }));
}

/** A metric that is measured for the first group has no data for the second one. */
function withGroupName<T>(value: T, from: string, as: string): T {
  if (Array.isArray(value)) return value.map(item => withGroupName(item, from, as)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [
    key,
    key === 'Value' && inner === from ? as : withGroupName(inner, from, as),
  ]);
  return Object.fromEntries(entries) as T;
}

// The time until the call arrives.
const SOON_MS = 60_000;

export async function copySchedules(client: AutoScalingClient, from: string, AutoScalingGroupName: string, now: number): Promise<void> {
  for (const action of await listScheduledActions(client, from)) {
    const { ScheduledActionName, StartTime, EndTime, Recurrence, TimeZone, MinSize, MaxSize, DesiredCapacity } = action;
    // The start is the next time, also of a recurring action. AWS refuses one in the past.
    // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScheduledUpdateGroupAction.html
    const start = StartTime !== undefined && StartTime.getTime() > now + SOON_MS ? StartTime : undefined;
    const when = Recurrence === undefined ? { StartTime } : { Recurrence, TimeZone, StartTime: start, EndTime };
    const sizes = { MinSize, MaxSize, DesiredCapacity };
    await client.send(new PutScheduledUpdateGroupActionCommand({ AutoScalingGroupName, ScheduledActionName, ...when, ...sizes }));
  }
}
