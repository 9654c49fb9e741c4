import {
  type AutoScalingClient,
  type AutoScalingGroup,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteTagsCommand,
  DescribeAutoScalingGroupsCommand,
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
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { RejectedError } from '../../kit/errors.ts';
import type { GroupCopies } from '../../world/fleet.ts';
import { isCode } from './errors.ts';
import { launchTo } from './group-shapes.ts';
import { allPages } from './pages.ts';
import { orBusy } from './refreshes.ts';

/** A second group of the same shape. What hangs on a group is not part of it for AWS, so it is read and put one by one. */
export const groupCopies = (client: AutoScalingClient): GroupCopies => ({
  // A step or simple policy is called by alarms that name it, and those would go on calling the old one.
  async cannotCopy(name) {
    const group = await described(client, name);
    const policies = (await policiesOf(client, name)).filter(({ PolicyType }) => PolicyType !== 'TargetTrackingScaling');
    return [
      ...policies.map(({ PolicyName, PolicyType }) => `its scaling policy ${PolicyName} (${PolicyType}) is called by alarms of its own`),
      ...(group.WarmPoolConfiguration === undefined ? [] : ['it has a warm pool']),
      ...(group.DeletionProtection === undefined || group.DeletionProtection === 'none'
        ? []
        : [`it is protected from deletion (${group.DeletionProtection})`]),
    ];
  },

  async copy({ from, as, launch, tags }) {
    const group = await described(client, from);
    const hooks = await hooksOf(client, from);
    await client
      .send(
        new CreateAutoScalingGroupCommand({
          ...shapeOf(group, tags),
          ...launchTo(launch),
          AutoScalingGroupName: as,
          LifecycleHookSpecificationList: hooks.map(specified),
        }),
      )
      .catch(unlessThere)
      .catch(orBusy(`make the group ${as} (autoscaling:CreateAutoScalingGroup)`));
    // Each of these puts the same again when it is repeated: a run that was lost here is finished by the next.
    await putAll(client, from, as, group).catch(orBusy(`give ${as} what hangs on ${from}`));
  },

  async resize(group, { min, max, desired }) {
    await client
      .send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: group, MinSize: min, MaxSize: max, DesiredCapacity: desired }))
      .catch(orBusy(`resize ${group} (autoscaling:UpdateAutoScalingGroup)`));
  },

  async remove(group) {
    await client
      .send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: group, ForceDelete: true }))
      .catch(orBusy(`remove the group ${group} (autoscaling:DeleteAutoScalingGroup)`));
  },

  async tag(group, tags) {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ ...tagOn(group), Key, Value, PropagateAtLaunch: false }));
    await client.send(new CreateOrUpdateTagsCommand({ Tags })).catch(orBusy(`tag the group ${group} (autoscaling:CreateOrUpdateTags)`));
  },

  async untag(group, keys) {
    const Tags = keys.map(Key => ({ ...tagOn(group), Key }));
    await client.send(new DeleteTagsCommand({ Tags })).catch(orBusy(`take tags off the group ${group} (autoscaling:DeleteTags)`));
  },
});

const tagOn = (ResourceId: string) => ({ ResourceId, ResourceType: 'auto-scaling-group' });

async function described(client: AutoScalingClient, name: string): Promise<AutoScalingGroup> {
  const { AutoScalingGroups: [group] = [] } = await client
    .send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }))
    .catch(orBusy('read Auto Scaling groups (autoscaling:DescribeAutoScalingGroups)'));
  if (group === undefined) throw new RejectedError(`The group ${name} is gone.`);
  return group;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html */
const shapeOf = (group: AutoScalingGroup, tags: Readonly<Record<string, string>>): CreateAutoScalingGroupCommandInput => {
  const { MinSize, MaxSize, DesiredCapacity, DefaultCooldown, HealthCheckType, HealthCheckGracePeriod, PlacementGroup } = group;
  const { TerminationPolicies, NewInstancesProtectedFromScaleIn, CapacityRebalance, MaxInstanceLifetime, DefaultInstanceWarmup } = group;
  const { InstanceMaintenancePolicy, AvailabilityZoneDistribution, AvailabilityZoneImpairmentPolicy, CapacityReservationSpecification } =
    group;
  const { DesiredCapacityType, ServiceLinkedRoleARN, InstanceLifecyclePolicy } = group;
  const own = (group.Tags ?? []).filter(({ Key = '' }) => !Key.startsWith('aws:') && !Key.startsWith('ami-action:'));
  const sources = group.TrafficSources ?? (group.TargetGroupARNs ?? []).map(Identifier => ({ Identifier, Type: 'elbv2' }));
  return {
    ...{ AutoScalingGroupName: undefined, MinSize, MaxSize, DesiredCapacity, DefaultCooldown, HealthCheckType, HealthCheckGracePeriod },
    ...{ TerminationPolicies, NewInstancesProtectedFromScaleIn, CapacityRebalance, MaxInstanceLifetime, DefaultInstanceWarmup },
    ...{ InstanceMaintenancePolicy, AvailabilityZoneDistribution, AvailabilityZoneImpairmentPolicy, CapacityReservationSpecification },
    ...{ DesiredCapacityType, ServiceLinkedRoleARN, InstanceLifecyclePolicy, PlacementGroup },
    ...(group.VPCZoneIdentifier ? { VPCZoneIdentifier: group.VPCZoneIdentifier } : { AvailabilityZones: group.AvailabilityZones }),
    ...(sources.length === 0 ? {} : { TrafficSources: sources }),
    ...((group.LoadBalancerNames?.length ?? 0) === 0 || sources.length > 0 ? {} : { LoadBalancerNames: group.LoadBalancerNames }),
    Tags: [
      ...own.map(({ Key, Value, PropagateAtLaunch }) => ({ Key, Value, PropagateAtLaunch })),
      ...Object.entries(tags).map(([Key, Value]) => ({ Key, Value, PropagateAtLaunch: false })),
    ],
  };
};

const unlessThere = (cause: unknown): undefined => {
  if (!isCode(cause, 'AlreadyExists', 'AlreadyExistsFault')) throw cause;
};

const policiesOf = (client: AutoScalingClient, name: string): Promise<ScalingPolicy[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribePoliciesCommand({ AutoScalingGroupName: name, NextToken }))
      .catch(orBusy(`read the scaling policies of ${name} (autoscaling:DescribePolicies)`));
    return { items: page.ScalingPolicies, next: page.NextToken };
  });

const hooksOf = async (client: AutoScalingClient, name: string) => {
  const { LifecycleHooks = [] } = await client
    .send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName: name }))
    .catch(orBusy(`read the lifecycle hooks of ${name} (autoscaling:DescribeLifecycleHooks)`));
  return LifecycleHooks;
};

type Hook = Awaited<ReturnType<typeof hooksOf>>[number];

const specified = ({ AutoScalingGroupName: _, GlobalTimeout: __, LifecycleTransition, ...hook }: Hook) => ({
  ...hook,
  LifecycleHookName: hook.LifecycleHookName,
  LifecycleTransition,
});

async function putAll(client: AutoScalingClient, from: string, as: string, { EnabledMetrics = [] }: AutoScalingGroup): Promise<void> {
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
