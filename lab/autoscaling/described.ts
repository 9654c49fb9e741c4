import type { AutoScalingGroup, AutoScalingInstanceDetails, Instance } from '@aws-sdk/client-auto-scaling';
import type { Group, Member } from './state.ts';

/** An instance of a group as Describe returns it. */
export const describedMember = (member: Member): Instance => ({
  InstanceId: member.id,
  InstanceType: member.instanceType,
  AvailabilityZone: member.zone,
  LifecycleState: member.state,
  HealthStatus: member.health,
  ProtectedFromScaleIn: member.protected,
  LaunchConfigurationName: member.configurationName,
  LaunchTemplate: member.template && {
    LaunchTemplateId: member.template.id,
    LaunchTemplateName: member.template.name,
    Version: String(member.template.version),
  },
  // Only instances launched with an override of the image have it: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Instance.html
  ImageId: member.override?.ImageId,
  WeightedCapacity: member.override?.WeightedCapacity,
});

export const describedDetails = ({ name }: Group, member: Member): AutoScalingInstanceDetails => ({
  ...describedMember(member),
  ...{ InstanceId: member.id, AvailabilityZone: member.zone, LifecycleState: member.state, HealthStatus: member.health.toUpperCase() },
  ...{ AutoScalingGroupName: name, ProtectedFromScaleIn: member.protected },
});

export const describedGroup = (group: Group): AutoScalingGroup => ({
  ...group.described,
  ...group.recipe,
  AutoScalingGroupName: group.name,
  AutoScalingGroupARN: group.arn,
  CreatedTime: group.createdAt,
  DefaultCooldown: group.described.DefaultCooldown ?? 300,
  MinSize: group.min,
  MaxSize: group.max,
  DesiredCapacity: group.desired,
  AvailabilityZones: [...new Set(group.spots.map(({ zone }) => zone))],
  VPCZoneIdentifier: group.spots.map(({ subnetId }) => subnetId).join(','),
  HealthCheckType: group.healthTypes.join(','),
  HealthCheckGracePeriod: group.graceSeconds,
  DefaultInstanceWarmup: group.warmupSeconds,
  InstanceMaintenancePolicy: group.maintenance,
  NewInstancesProtectedFromScaleIn: group.protectNew,
  Tags: [...group.tags],
  // All three list the same sources, however they were attached.
  LoadBalancerNames: group.sources.filter(({ type }) => type === 'elb').map(({ id }) => id),
  TargetGroupARNs: group.sources.filter(({ type }) => type === 'elbv2').map(({ id }) => id),
  TrafficSources: group.sources.map(({ id, type }) => ({ Identifier: id, Type: type })),
  SuspendedProcesses: [...group.suspended].map(([ProcessName, SuspensionReason]) => ({ ProcessName, SuspensionReason })),
  Instances: [...group.members.values()].map(describedMember),
  WarmPoolConfiguration: group.warmPool?.configuration,
  WarmPoolSize: group.warmPool?.members.size,
  Status: group.deleting ? 'Delete in progress' : undefined,
});
