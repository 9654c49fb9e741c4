import {
  AttachTrafficSourcesCommand,
  type AutoScalingClient,
  type AutoScalingGroup,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteTagsCommand,
  EnableMetricsCollectionCommand,
  type LifecycleHook,
  PutLifecycleHookCommand,
  PutNotificationConfigurationCommand,
  PutScalingPolicyCommand,
  PutScheduledUpdateGroupActionCommand,
  type TrafficSourceIdentifier,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { batches } from '../../kit/concurrently.ts';
import { RejectedError } from '../../kit/errors.ts';
import type { GroupCopies } from '../../ports/groups.ts';
import { undefinedOn } from './errors.ts';
import { listGroups, listHooks, listNotifications, listPolicies, listScheduledActions } from './group-reads.ts';
import { launchTo } from './group-shapes.ts';
import { orBusy } from './refreshes.ts';

/** A second group of the same shape. AWS does not count attachments as part of a group, so each is read and put. */
export const groupCopies = (client: AutoScalingClient): GroupCopies => ({
  // Alarms call a step or simple policy by its ARN: they would go on calling the one of the first group.
  async cannotCopy(name) {
    const group = await getGroup(client, name);
    const policies = (await listPolicies(client, name)).filter(({ PolicyType }) => PolicyType !== 'TargetTrackingScaling');
    return [
      ...policies.map(({ PolicyName, PolicyType }) => `its scaling policy ${PolicyName} (${PolicyType}) is called by CloudWatch alarms`),
      ...(group.WarmPoolConfiguration === undefined ? [] : ['it has a warm pool']),
      ...(group.DeletionProtection === undefined || group.DeletionProtection === 'none'
        ? []
        : [`it is protected from deletion (${group.DeletionProtection})`]),
    ];
  },

  async copy({ from, as, launch, tags }) {
    const group = await getGroup(client, from);
    const hooks = await listHooks(client, from);
    await client
      .send(
        new CreateAutoScalingGroupCommand({
          ...shapeOf(group, tags),
          ...launchTo(launch),
          AutoScalingGroupName: as,
          LifecycleHookSpecificationList: hooks.map(specification),
        }),
      )
      .catch(unlessExists)
      .catch(orBusy(`create group ${as} (autoscaling:CreateAutoScalingGroup)`));
    // Each call can be repeated: the next run finishes what an interrupted one began.
    await attach(client, as, sourcesOf(group).later);
    await copyAttachments(client, from, as, group).catch(orBusy(`copy policies, hooks, schedules and notifications of ${from} to ${as}`));
  },

  async resize(group, { min, max, desired }) {
    await client
      .send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: group, MinSize: min, MaxSize: max, DesiredCapacity: desired }))
      .catch(orBusy(`resize ${group} (autoscaling:UpdateAutoScalingGroup)`));
  },

  async remove(group) {
    await client
      .send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: group, ForceDelete: true }))
      .catch(orBusy(`delete group ${group} (autoscaling:DeleteAutoScalingGroup)`));
  },

  async tag(group, tags) {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ ...tagOn(group), Key, Value, PropagateAtLaunch: false }));
    await client.send(new CreateOrUpdateTagsCommand({ Tags })).catch(orBusy(`tag group ${group} (autoscaling:CreateOrUpdateTags)`));
  },

  async untag(group, keys) {
    const Tags = keys.map(Key => ({ ...tagOn(group), Key }));
    await client.send(new DeleteTagsCommand({ Tags })).catch(orBusy(`remove tags of group ${group} (autoscaling:DeleteTags)`));
  },
});

const tagOn = (ResourceId: string) => ({ ResourceId, ResourceType: 'auto-scaling-group' });

async function getGroup(client: AutoScalingClient, name: string): Promise<AutoScalingGroup> {
  const [group] = await listGroups(client, { AutoScalingGroupNames: [name] });
  if (group === undefined) throw new RejectedError(`Group ${name} does not exist any more.`);
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
  const { atOnce } = sourcesOf(group);
  return {
    ...{ AutoScalingGroupName: undefined, MinSize, MaxSize, DesiredCapacity, DefaultCooldown, HealthCheckType, HealthCheckGracePeriod },
    ...{ TerminationPolicies, NewInstancesProtectedFromScaleIn, CapacityRebalance, MaxInstanceLifetime, DefaultInstanceWarmup },
    ...{ InstanceMaintenancePolicy, AvailabilityZoneDistribution, AvailabilityZoneImpairmentPolicy, CapacityReservationSpecification },
    ...{ DesiredCapacityType, ServiceLinkedRoleARN, InstanceLifecyclePolicy, PlacementGroup },
    ...(group.VPCZoneIdentifier ? { VPCZoneIdentifier: group.VPCZoneIdentifier } : { AvailabilityZones: group.AvailabilityZones }),
    ...(atOnce.length === 0 ? {} : { TrafficSources: [...atOnce] }),
    Tags: [
      ...own.map(({ Key, Value, PropagateAtLaunch }) => ({ Key, Value, PropagateAtLaunch })),
      ...Object.entries(tags).map(([Key, Value]) => ({ Key, Value, PropagateAtLaunch: false })),
    ],
  };
};

/**
 * A source that a group is created with is InService at once. Target groups report each instance; a classic load balancer has to be
 * attached afterwards for its health checks to count.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LoadBalancerState.html
 */
function sourcesOf({ TrafficSources = [], TargetGroupARNs = [], LoadBalancerNames = [] }: AutoScalingGroup) {
  const all = [
    ...TrafficSources,
    ...TargetGroupARNs.map(Identifier => ({ Identifier, Type: 'elbv2' })),
    ...LoadBalancerNames.map(Identifier => ({ Identifier, Type: 'elb' })),
  ];
  const distinct = [...new Map(all.map(source => [source.Identifier, source])).values()];
  return { atOnce: distinct.filter(({ Type }) => Type === 'elbv2'), later: distinct.filter(({ Type }) => Type !== 'elbv2') };
}

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AttachTrafficSources.html
const MOST_SOURCES_PER_CALL = 10;

/** Attaching twice changes nothing. */
async function attach(client: AutoScalingClient, group: string, sources: readonly TrafficSourceIdentifier[]): Promise<void> {
  for (const TrafficSources of batches(sources, MOST_SOURCES_PER_CALL)) {
    await client
      .send(new AttachTrafficSourcesCommand({ AutoScalingGroupName: group, TrafficSources }))
      .catch(orBusy(`attach load balancers to ${group} (autoscaling:AttachTrafficSources)`));
  }
}

const unlessExists = undefinedOn('AlreadyExists', 'AlreadyExistsFault');

const specification = ({ AutoScalingGroupName: _, GlobalTimeout: __, LifecycleTransition, ...hook }: LifecycleHook) => ({
  ...hook,
  LifecycleHookName: hook.LifecycleHookName,
  LifecycleTransition,
});

async function copyAttachments(client: AutoScalingClient, from: string, as: string, group: AutoScalingGroup): Promise<void> {
  const AutoScalingGroupName = as;
  for (const hook of await listHooks(client, from))
    await client.send(new PutLifecycleHookCommand({ ...specification(hook), AutoScalingGroupName }));
  for (const { PolicyName, PolicyType, EstimatedInstanceWarmup, TargetTrackingConfiguration, Enabled } of await listPolicies(
    client,
    from,
  )) {
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
  for (const {
    ScheduledActionName,
    StartTime,
    EndTime,
    Recurrence,
    TimeZone,
    MinSize,
    MaxSize,
    DesiredCapacity,
  } of await listScheduledActions(client, from)) {
    // AWS shows the next time of a recurring action as its start, and refuses a start in the past.
    const when = Recurrence === undefined ? { StartTime } : { Recurrence, TimeZone, EndTime };
    await client.send(
      new PutScheduledUpdateGroupActionCommand({ AutoScalingGroupName, ScheduledActionName, ...when, MinSize, MaxSize, DesiredCapacity }),
    );
  }
  const notifications = await listNotifications(client, from);
  for (const topic of new Set(notifications.map(({ TopicARN }) => TopicARN))) {
    const NotificationTypes = notifications.flatMap(({ TopicARN, NotificationType }) =>
      TopicARN === topic ? (NotificationType ?? []) : [],
    );
    await client.send(new PutNotificationConfigurationCommand({ AutoScalingGroupName, TopicARN: topic, NotificationTypes }));
  }
  const [first] = group.EnabledMetrics ?? [];
  if (first === undefined) return;
  const Metrics = (group.EnabledMetrics ?? []).flatMap(({ Metric }) => Metric ?? []);
  await client.send(new EnableMetricsCollectionCommand({ AutoScalingGroupName, Granularity: first.Granularity ?? '1Minute', Metrics }));
}
