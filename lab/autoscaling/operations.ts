import { AwsError, type Call, type Operations } from '../operation.ts';
import { describeScalingActivities } from './activities.ts';
import { attachmentOperations } from './attachments.ts';
import { groups, invalid } from './group.ts';
import { groupOperations } from './groups.ts';
import { instanceOperations } from './instances.ts';
import { launchConfigurationOperations } from './launch-configurations.ts';
import { processOperations } from './processes.ts';
import { refreshOperations } from './refreshes.ts';
import { tagOperations } from './tags.ts';
import { trafficOperations } from './traffic.ts';
import { warmPoolOperations } from './warm-pool.ts';

const operations: Operations = {
  ...attachmentOperations,
  ...groupOperations,
  ...instanceOperations,
  ...launchConfigurationOperations,
  ...processOperations,
  ...refreshOperations,
  ...tagOperations,
  ...trafficOperations,
  ...warmPoolOperations,
  DescribeScalingActivities: describeScalingActivities,
};

interface GroupInput {
  readonly AutoScalingGroupName?: string;
  readonly Tags?: readonly { readonly ResourceId?: string | undefined }[];
}

/** Groups that the call changes. CreateAutoScalingGroup and DeleteAutoScalingGroup check for themselves. */
const changedGroups = ({ AutoScalingGroupName, Tags = [] }: GroupInput): readonly (string | undefined)[] =>
  AutoScalingGroupName === undefined ? Tags.map(({ ResourceId }) => ResourceId) : [AutoScalingGroupName];

/** Refuses changes of a group that is deleted or managed by another service. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html */
const guarded = (name: string, work: Operations[string]): Operations[string] =>
  name.startsWith('Describe') || name === 'CreateAutoScalingGroup'
    ? work
    : (input, call) => {
        for (const group of changedGroups(input)) refuseChange(call, group, name);
        return work(input, call);
      };

function refuseChange({ arn, place }: Call, name: string | undefined, operation: string): void {
  const group = groups(place).get(name ?? '');
  const operator = group?.described.Operator?.Principal;
  if (operator !== undefined)
    throw new AwsError(
      'AccessDenied',
      `User: ${arn} is not authorized to perform: autoscaling:${operation} on a group managed by ${operator}`,
      403,
    );
  if (group?.deleting && operation !== 'DeleteAutoScalingGroup')
    throw invalid('The AutoScaling group may not be modified while it is pending delete');
}

export const autoScalingOperations: Operations = Object.fromEntries(
  Object.entries(operations).map(([name, work]) => [name, guarded(name, work)]),
);
