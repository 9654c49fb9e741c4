import type {
  AutoScalingGroup,
  DesiredConfiguration,
  Instance as GroupInstance,
  InstanceRefresh,
  LaunchTemplateSpecification,
  MixedInstancesPolicy,
  RefreshPreferences as SdkPreferences,
} from '@aws-sdk/client-auto-scaling';
import type { Group, Launch, Member, Refresh, RefreshPreferences, RefreshStatus, TemplateUse } from '../../model/group.ts';
import { unknownMembersOf } from './unknown-members.ts';

/** Converts groups and refreshes between Auto Scaling's shapes and ours. */

const useFrom = ({ LaunchTemplateId = '', LaunchTemplateName = '', Version }: LaunchTemplateSpecification): TemplateUse => ({
  templateId: LaunchTemplateId,
  templateName: LaunchTemplateName,
  // Without a version it is the default one.
  // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateSpecification.html
  version: Version ?? '$Default',
});

// AWS answers with ID and name, and takes only one of them.
const useTo = ({ templateId, version }: TemplateUse): LaunchTemplateSpecification => ({ LaunchTemplateId: templateId, Version: version });

const maybe = <T, U>(value: T | undefined, as: (value: T) => U): U | undefined => (value === undefined ? undefined : as(value));

function launchFrom(group: Partial<AutoScalingGroup>): Launch {
  const { LaunchTemplate, MixedInstancesPolicy: policy, LaunchConfigurationName = '' } = group;
  const inner = policy?.LaunchTemplate;
  if (policy !== undefined && inner?.LaunchTemplateSpecification !== undefined) {
    const overrides = (inner.Overrides ?? []).map(override => ({
      instanceType: override.InstanceType,
      template: maybe(override.LaunchTemplateSpecification, useFrom),
      imageId: override.ImageId,
      ...(override.InstanceRequirements === undefined ? {} : { byRequirements: true }),
    }));
    const unknown = unknownMembersOf(group as AutoScalingGroup).filter(path => path.startsWith('MixedInstancesPolicy.'));
    const template = useFrom(inner.LaunchTemplateSpecification);
    return { kind: 'mixed', template, overrides, policy: { ...policy }, ...(unknown.length === 0 ? {} : { unknown }) };
  }
  return LaunchTemplate === undefined
    ? { kind: 'configuration', name: LaunchConfigurationName }
    : { kind: 'template', template: useFrom(LaunchTemplate) };
}

/** What a group launches, for an update of the group. */
export const savedLaunch = (launch: Launch): Partial<AutoScalingGroup> =>
  launch.kind === 'configuration' ? { LaunchConfigurationName: launch.name } : launchTo(launch);

/** Unchanged, except for template versions. */
export function launchTo(launch: Launch): DesiredConfiguration {
  if (launch.kind === 'configuration') throw new TypeError('a launch configuration is not a desired configuration');
  if (launch.kind === 'template') return { LaunchTemplate: useTo(launch.template) };
  const policy: MixedInstancesPolicy = launch.policy;
  const overrides = policy.LaunchTemplate?.Overrides?.map((override, i) => {
    const template = launch.overrides[i]?.template;
    return template === undefined ? override : { ...override, LaunchTemplateSpecification: useTo(template) };
  });
  return {
    MixedInstancesPolicy: {
      ...policy,
      LaunchTemplate: {
        ...policy.LaunchTemplate,
        LaunchTemplateSpecification: useTo(launch.template),
        ...(overrides === undefined ? {} : { Overrides: overrides }),
      },
    },
  };
}

const memberFrom = (instance: GroupInstance): Member => ({
  id: instance.InstanceId ?? '',
  state: instance.LifecycleState ?? '',
  healthy: instance.HealthStatus === 'Healthy',
  protected: instance.ProtectedFromScaleIn ?? false,
  template: maybe(instance.LaunchTemplate, useFrom),
  imageId: instance.ImageId,
});

const atLeastZero = (seconds: number | undefined): number | undefined => (seconds === undefined || seconds < 0 ? undefined : seconds);

function sizeUnitOf({ DesiredCapacityType, MixedInstancesPolicy }: AutoScalingGroup): Group['sizeUnit'] {
  if (DesiredCapacityType === 'vcpu' || DesiredCapacityType === 'memory-mib') return DesiredCapacityType;
  return heaviestOf(MixedInstancesPolicy) > 1 ? 'weights' : undefined;
}

const heaviestOf = (policy: MixedInstancesPolicy | undefined): number =>
  Math.max(1, ...(policy?.LaunchTemplate?.Overrides ?? []).map(({ WeightedCapacity = '1' }) => Number(WeightedCapacity)));

export const groupFrom = (group: AutoScalingGroup): Group => ({
  name: group.AutoScalingGroupName ?? '',
  launch: launchFrom(group),
  min: group.MinSize ?? 0,
  max: group.MaxSize ?? 0,
  desired: group.DesiredCapacity ?? 0,
  healthCheck: group.HealthCheckType ?? 'EC2',
  // -1 stands for "not set". https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
  warmUpSeconds: atLeastZero(group.DefaultInstanceWarmup) ?? group.HealthCheckGracePeriod ?? 0,
  suspended: (group.SuspendedProcesses ?? []).flatMap(({ ProcessName }) => (ProcessName === undefined ? [] : [ProcessName])),
  beingDeleted: group.Status !== undefined && group.Status !== '',
  members: (group.Instances ?? []).map(memberFrom),
  targetGroups: [
    ...new Set([
      ...(group.TargetGroupARNs ?? []),
      ...(group.TrafficSources ?? []).flatMap(({ Identifier = '', Type }) => (Type === 'elbv2' ? [Identifier] : [])),
    ]),
  ],
  balancers: [
    ...new Set([
      ...(group.LoadBalancerNames ?? []),
      ...(group.TrafficSources ?? []).flatMap(({ Identifier = '', Type }) => (Type === 'elbv2' ? [] : [Identifier])),
    ]),
  ],
  graceSeconds: group.HealthCheckGracePeriod ?? 0,
  warmPool: group.WarmPoolConfiguration !== undefined && group.WarmPoolConfiguration.Status !== 'PendingDelete',
  operator: group.Operator?.Principal,
  maintenance: maybe(group.InstanceMaintenancePolicy, ({ MinHealthyPercentage, MaxHealthyPercentage }) => ({
    minHealthy: atLeastZero(MinHealthyPercentage),
    maxHealthy: atLeastZero(MaxHealthyPercentage),
  })),
  sizeUnit: sizeUnitOf(group),
  heaviest: sizeUnitOf(group) === 'weights' ? heaviestOf(group.MixedInstancesPolicy) : undefined,
  tags: Object.fromEntries((group.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
});

export const refreshFrom = (refresh: InstanceRefresh): Refresh => ({
  id: refresh.InstanceRefreshId ?? '',
  group: refresh.AutoScalingGroupName ?? '',
  status: (refresh.Status ?? 'Pending') as RefreshStatus,
  reason: [refresh.StatusReason, refresh.RollbackDetails?.RollbackReason].filter(text => text !== undefined && text !== '').join(' '),
  percent: refresh.PercentageComplete ?? 0,
  toUpdate: refresh.InstancesToUpdate,
  startedAt: refresh.StartTime,
  endedAt: refresh.EndTime,
  // AWS may show an empty one where none was given.
  desired: maybe(refresh.DesiredConfiguration, desired => (Object.values(desired).some(Boolean) ? launchFrom(desired) : undefined)),
});

const PROTECTED = { refresh: 'Refresh', ignore: 'Ignore', wait: 'Wait' } as const;
const STANDBY = { terminate: 'Terminate', ignore: 'Ignore', wait: 'Wait' } as const;

export const preferencesTo = (preferences: RefreshPreferences): SdkPreferences => ({
  MinHealthyPercentage: preferences.minHealthy,
  MaxHealthyPercentage: preferences.maxHealthy,
  InstanceWarmup: preferences.warmUpSeconds,
  ...(preferences.checkpoints.length === 0
    ? {}
    : { CheckpointPercentages: [...preferences.checkpoints], CheckpointDelay: preferences.checkpointDelaySeconds }),
  BakeTime: preferences.bakeSeconds,
  SkipMatching: preferences.skipMatching,
  AutoRollback: preferences.autoRollback,
  ScaleInProtectedInstances: PROTECTED[preferences.protectedInstances],
  StandbyInstances: STANDBY[preferences.standbyInstances],
  ...(preferences.alarms.length === 0 ? {} : { AlarmSpecification: { Alarms: [...preferences.alarms] } }),
});
