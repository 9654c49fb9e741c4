import type {
  Activity,
  DescribeAutoScalingInstancesCommandInput,
  DescribeAutoScalingInstancesCommandOutput,
  EnterStandbyCommandInput,
  EnterStandbyCommandOutput,
  ExitStandbyCommandInput,
  ExitStandbyCommandOutput,
  SetInstanceHealthCommandInput,
  SetInstanceHealthCommandOutput,
  SetInstanceProtectionCommandInput,
  SetInstanceProtectionCommandOutput,
  TerminateInstanceInAutoScalingGroupCommandInput,
  TerminateInstanceInAutoScalingGroupCommandOutput,
} from '@aws-sdk/client-auto-scaling';
import { deregisterFrom } from '../elb/target-health.ts';
import type { Operation, Operations } from '../operation.ts';
import { began, ended } from './activities.ts';
import { describedDetails } from './described.ts';
import { groupNamed, groups, invalid, memberWithId, weightOf } from './group.ts';
import { enterService, inGrace, retire, sourceIds } from './health.ts';
import { records } from './records.ts';
import type { Group, Member } from './state.ts';

/** Includes instances of warm pools. IDs of instances without a group are omitted. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingInstances.html */
const describeAutoScalingInstances: Operation<DescribeAutoScalingInstancesCommandInput, DescribeAutoScalingInstancesCommandOutput> = (
  input,
  { place },
) => {
  const { InstanceIds: ids = [] } = input;
  const all = [...groups(place).values()].flatMap(group =>
    [...group.members.values(), ...(group.warmPool?.members.values() ?? [])].map(member => ({ group, member })),
  );
  const found = all.filter(({ member }) => ids.length === 0 || ids.includes(member.id));
  const { items, NextToken } = records(place, found, ({ member }) => member.id, input, 50, 50);
  return { AutoScalingInstances: items.map(({ group, member }) => describedDetails(group, member)), NextToken };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html */
const terminateInstanceInGroup: Operation<
  TerminateInstanceInAutoScalingGroupCommandInput,
  TerminateInstanceInAutoScalingGroupCommandOutput
> = ({ InstanceId, ShouldDecrementDesiredCapacity }, { place }) => {
  const { group, member } = memberWithId(place, InstanceId);
  if (ShouldDecrementDesiredCapacity) {
    if (group.desired <= group.min)
      throw invalid(
        `Currently, desiredSize equals minSize (${group.min}). Terminating instance without replacement will violate group's min size constraint.`,
      );
    group.desired -= weightOf(group);
  }
  retire(group, member, 'an instance was taken out of service in response to a user request.');
  return { Activity: member.activity };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceHealth.html */
const setInstanceHealth: Operation<SetInstanceHealthCommandInput, SetInstanceHealthCommandOutput> = (input, { place }) => {
  const { group, member } = memberWithId(place, input.InstanceId);
  const { HealthStatus, ShouldRespectGracePeriod = true } = input;
  if (HealthStatus !== 'Healthy' && HealthStatus !== 'Unhealthy') throw invalid('Valid instance health states are: [Healthy, Unhealthy].');
  if (HealthStatus === 'Unhealthy' && ShouldRespectGracePeriod && inGrace(group, member)) return {};
  member.health = HealthStatus;
  member.unhealthyReason = 'an instance was taken out of service in response to a user health-check.';
  return {};
};

function membersOf(group: Group, ids: readonly string[] = []): readonly Member[] {
  return ids.map(id => {
    const member = group.members.get(id);
    if (member === undefined) throw invalid(`The instance ${id} is not part of Auto Scaling group ${group.name}.`);
    return member;
  });
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html */
const setInstanceProtection: Operation<SetInstanceProtectionCommandInput, SetInstanceProtectionCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  for (const member of membersOf(group, input.InstanceIds)) member.protected = input.ProtectedFromScaleIn ?? false;
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-enter-exit-standby.html */
const enterStandby: Operation<EnterStandbyCommandInput, EnterStandbyCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const leaving = membersOf(group, input.InstanceIds);
  const wrong = leaving.find(({ state }) => state !== 'InService');
  if (wrong !== undefined) throw invalid(`The instance ${wrong.id} is not in InService.`);
  if (input.ShouldDecrementDesiredCapacity) {
    if (group.desired - leaving.length < group.min)
      throw invalid(
        `AutoScalingGroup ${group.name} has min-size=${group.min}, max-size=${group.max}, and desired-size=${group.desired}. To place into standby ${leaving.length} more instances, please update the AutoScalingGroup sizes appropriately.`,
      );
    group.desired -= leaving.length * weightOf(group);
  }
  const Activities = leaving.map(member => {
    member.state = 'Standby';
    for (const source of sourceIds(group)) deregisterFrom(place, source, member.id);
    return done(
      group,
      `Moving EC2 instance to Standby: ${member.id}`,
      `instance ${member.id} was moved to standby in response to a user request.`,
    );
  });
  return { Activities };
};

/** The desired capacity grows by the returning instances. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ExitStandby.html */
const exitStandby: Operation<ExitStandbyCommandInput, ExitStandbyCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const returning = membersOf(group, input.InstanceIds);
  const wrong = returning.find(({ state }) => state !== 'Standby');
  if (wrong !== undefined) throw invalid(`The instance ${wrong.id} is not in Standby.`);
  if (group.desired + returning.length > group.max)
    throw invalid(
      `AutoScalingGroup ${group.name} has min-size=${group.min}, max-size=${group.max}, and desired-size=${group.desired}. To bring ${returning.length} instances out of standby, please update the AutoScalingGroup sizes appropriately.`,
    );
  group.desired += returning.length * weightOf(group);
  const Activities = returning.map(member => {
    enterService(group, member);
    return done(
      group,
      `Moving EC2 instance out of Standby: ${member.id}`,
      `instance ${member.id} was moved out of standby in response to a user request.`,
    );
  });
  return { Activities };
};

function done(group: Group, description: string, cause: string): Activity {
  const activity = began(group, description, cause);
  ended(group, activity, 'Successful');
  return activity;
}

export const instanceOperations: Operations = {
  DescribeAutoScalingInstances: describeAutoScalingInstances,
  EnterStandby: enterStandby,
  ExitStandby: exitStandby,
  SetInstanceHealth: setInstanceHealth,
  SetInstanceProtection: setInstanceProtection,
  TerminateInstanceInAutoScalingGroup: terminateInstanceInGroup,
};
