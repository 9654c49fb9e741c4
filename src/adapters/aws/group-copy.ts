import {
  AttachTrafficSourcesCommand,
  type AutoScalingClient,
  type AutoScalingGroup,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteTagsCommand,
  DescribeAutoScalingGroupsCommand,
  type TrafficSourceIdentifier,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { batches } from '../../kit/concurrently.ts';
import { RejectedError } from '../../kit/errors.ts';
import type { GroupCopies } from '../../ports/groups.ts';
import { isCode } from './errors.ts';
import { hooksOf, policiesOf, putAll, specified } from './group-attachments.ts';
import { launchTo } from './group-shapes.ts';
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
    await attach(client, as, sourcesOf(group).later);
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
 * A source that a group is made with is InService at once, whatever it thinks of the instances. Target groups tell that for each of
 * them; what a classic load balancer thinks shows only when it is attached afterwards.
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

/** What is attached already stays as it is. */
async function attach(client: AutoScalingClient, group: string, sources: readonly TrafficSourceIdentifier[]): Promise<void> {
  for (const TrafficSources of batches(sources, MOST_SOURCES_PER_CALL)) {
    await client
      .send(new AttachTrafficSourcesCommand({ AutoScalingGroupName: group, TrafficSources }))
      .catch(orBusy(`attach load balancers to ${group} (autoscaling:AttachTrafficSources)`));
  }
}

const unlessThere = (cause: unknown): undefined => {
  if (!isCode(cause, 'AlreadyExists', 'AlreadyExistsFault')) throw cause;
};
