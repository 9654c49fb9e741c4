import {
  type AutoScalingClient,
  type AutoScalingGroup,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteTagsCommand,
  type LifecycleHook,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import type { GroupCopies } from '../../ports/groups.ts';
import { isCode, undefinedOn } from './errors.ts';
import { copyAttachments, copySchedules, specification } from './group-attachments.ts';
import { getGroup, listHooks, listPolicies, listScheduledActions } from './group-reads.ts';
import { launchTo } from './group-shapes.ts';
import { groupTraffic, skipping } from './group-traffic.ts';
import { orBusy, quotaOf } from './refreshes.ts';
import { unknownMembersOf } from './unknown-members.ts';

/** A second group of the same shape. AWS does not count attachments as part of a group, so each is read and put. */
export const groupCopies = (client: AutoScalingClient): GroupCopies => ({
  ...limits(client),

  async create({ from, as, launch, tags }) {
    const group = await getGroup(client, from);
    const hooks = await listHooks(client, from);
    const created = await client
      .send(
        new CreateAutoScalingGroupCommand({
          ...shapeOf(group, tags),
          ...launchTo(launch),
          AutoScalingGroupName: as,
          LifecycleHookSpecificationList: hooks.map(specification),
        }),
      )
      .catch(unlessExists)
      .catch(quotaOf(`create group ${as}`))
      .catch(orBusy(`create group ${as} (autoscaling:CreateAutoScalingGroup)`));
    return created === undefined ? 'exists' : 'created';
  },
  ...attachments(client),
  ...groupTraffic(client),
  ...sizes(client),
});

const limits = (client: AutoScalingClient): Pick<GroupCopies, 'copyLimits'> => ({
  // Alarms call a step or simple policy by its ARN: they would go on calling the one of the first group.
  async copyLimits(name) {
    const group = await getGroup(client, name);
    const policies = (await listPolicies(client, name)).filter(({ PolicyType }) => PolicyType !== 'TargetTrackingScaling');
    const hooks = await listHooks(client, name);
    const deployHooks = hooks.filter(({ LifecycleHookName = '' }) => /^CodeDeploy-managed/.test(LifecycleHookName));
    const reservations = group.CapacityReservationSpecification?.CapacityReservationPreference;
    const cannotCopy = [
      ...policies.map(({ PolicyName, PolicyType }) =>
        PolicyType === 'PredictiveScaling'
          ? `its predictive scaling policy ${PolicyName} forecasts from the history of this group`
          : `its scaling policy ${PolicyName} (${PolicyType}) is called by CloudWatch alarms`,
      ),
      ...deployHooks.map(({ LifecycleHookName }) => `CodeDeploy completes its hook ${LifecycleHookName} for this group only`),
      ...(group.WarmPoolConfiguration === undefined ? [] : ['it has a warm pool']),
      ...(group.DeletionProtection === undefined || group.DeletionProtection === 'none'
        ? []
        : [`it is protected from deletion (${group.DeletionProtection})`]),
      ...(reservations === 'capacity-reservations-only'
        ? ['it launches into capacity reservations only, which the first group fills']
        : []),
      ...unknownMembersOf(group).map(path => `AWS shows ${path} of it, which this version of ami-action does not know`),
    ];
    return { cannotCopy, hooks: hooks.map(formatHook) };
  },
});

const formatHook = ({ LifecycleHookName, NotificationTargetARN }: LifecycleHook) =>
  `${LifecycleHookName}${NotificationTargetARN === undefined ? '' : ` (${NotificationTargetARN})`}`;

async function suspend(client: AutoScalingClient, group: string, processes: readonly string[]): Promise<void> {
  await client
    .send(new SuspendProcessesCommand({ AutoScalingGroupName: group, ScalingProcesses: [...processes] }))
    .catch(orBusy(`suspend processes of ${group} (autoscaling:SuspendProcesses)`));
}

type Attachments = 'copyAttachments' | 'copySchedules' | 'schedules' | 'suspend' | 'terminationSeconds';

const attachments = (client: AutoScalingClient): Pick<GroupCopies, Attachments> => ({
  async copyAttachments(from, as, suspended) {
    const group = await getGroup(client, from);
    if (suspended.length > 0) await suspend(client, as, suspended);
    await copyAttachments(client, from, as, group).catch(orBusy(`copy policies, hooks and notifications of ${from} to ${as}`));
  },

  copySchedules: (from, as, now) => copySchedules(client, from, as, now).catch(orBusy(`copy scheduled actions of ${from} to ${as}`)),

  schedules: async group => (await listScheduledActions(client, group)).map(({ ScheduledActionName = '' }) => ScheduledActionName),

  suspend: (group, processes) => suspend(client, group, processes),

  async terminationSeconds(group) {
    const hooks = (await listHooks(client, group)).filter(({ LifecycleTransition }) => LifecycleTransition === TERMINATING);
    return hooks.reduce((sum, { HeartbeatTimeout = HEARTBEAT_SECONDS }) => sum + HeartbeatTimeout, 0);
  },
});

const sizes = (client: AutoScalingClient): Pick<GroupCopies, 'resize' | 'remove' | 'tag' | 'untag'> => ({
  async resize(group, { min, max, desired }) {
    await client
      .send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: group, MinSize: min, MaxSize: max, DesiredCapacity: desired }))
      .catch(orBusy(`resize ${group} (autoscaling:UpdateAutoScalingGroup)`));
  },

  async remove(group, { force }) {
    await client
      .send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: group, ForceDelete: force }))
      .catch(unlessGone)
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

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LifecycleHook.html
const TERMINATING = 'autoscaling:EC2_INSTANCE_TERMINATING';
const HEARTBEAT_SECONDS = 3600;

const tagOn = (ResourceId: string) => ({ ResourceId, ResourceType: 'auto-scaling-group' });

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html */
const shapeOf = (group: AutoScalingGroup, tags: Readonly<Record<string, string>>): CreateAutoScalingGroupCommandInput => {
  const { MaxSize = 0, DesiredCapacity = 0, DefaultCooldown, HealthCheckType, HealthCheckGracePeriod, PlacementGroup } = group;
  const { TerminationPolicies, NewInstancesProtectedFromScaleIn, CapacityRebalance, MaxInstanceLifetime, DefaultInstanceWarmup } = group;
  const { InstanceMaintenancePolicy, AvailabilityZoneDistribution, AvailabilityZoneImpairmentPolicy, CapacityReservationSpecification } =
    group;
  const { DesiredCapacityType, InstanceLifecyclePolicy } = group;
  // The default one is not named: to name a role is to pass it.
  // https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html
  const ServiceLinkedRoleARN = group.ServiceLinkedRoleARN?.endsWith('/AWSServiceRoleForAutoScaling')
    ? undefined
    : group.ServiceLinkedRoleARN;
  const own = (group.Tags ?? []).filter(({ Key = '' }) => !Key.startsWith('aws:') && !Key.startsWith('ami-action:'));
  return {
    // It must not scale in before it serves alone.
    ...{ AutoScalingGroupName: undefined, MinSize: DesiredCapacity, MaxSize: Math.max(MaxSize, DesiredCapacity), DesiredCapacity },
    ...{ DefaultCooldown, HealthCheckType, HealthCheckGracePeriod },
    ...{ TerminationPolicies, NewInstancesProtectedFromScaleIn, CapacityRebalance, MaxInstanceLifetime, DefaultInstanceWarmup },
    ...{ InstanceMaintenancePolicy, AvailabilityZoneDistribution, AvailabilityZoneImpairmentPolicy, CapacityReservationSpecification },
    ...skipping(AvailabilityZoneImpairmentPolicy),
    ...{ DesiredCapacityType, ServiceLinkedRoleARN, InstanceLifecyclePolicy, PlacementGroup },
    ...(group.VPCZoneIdentifier ? { VPCZoneIdentifier: group.VPCZoneIdentifier } : { AvailabilityZones: group.AvailabilityZones }),
    Tags: [
      ...own.map(({ Key, Value, PropagateAtLaunch }) => ({ Key, Value, PropagateAtLaunch })),
      ...Object.entries(tags).map(([Key, Value]) => ({ Key, Value, PropagateAtLaunch: false })),
    ],
  };
};

/** A repeated call whose first answer was lost. */
function unlessGone(cause: unknown): void {
  const isGone = isCode(cause, 'ValidationError') && cause instanceof Error && /group name not found/i.test(cause.message);
  if (!isGone) throw cause;
}

const unlessExists = undefinedOn('AlreadyExists', 'AlreadyExistsFault');
