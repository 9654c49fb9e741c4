import type {
  DeleteLifecycleHookCommandInput,
  DeleteLifecycleHookCommandOutput,
  DeleteNotificationConfigurationCommandInput,
  DeleteNotificationConfigurationCommandOutput,
  DeletePolicyCommandInput,
  DeletePolicyCommandOutput,
  DeleteScheduledActionCommandInput,
  DeleteScheduledActionCommandOutput,
  DescribeLifecycleHooksCommandInput,
  DescribeLifecycleHooksCommandOutput,
  DescribeNotificationConfigurationsCommandInput,
  DescribeNotificationConfigurationsCommandOutput,
  DescribePoliciesCommandInput,
  DescribePoliciesCommandOutput,
  DescribeScheduledActionsCommandInput,
  DescribeScheduledActionsCommandOutput,
  EnableMetricsCollectionCommandInput,
  EnableMetricsCollectionCommandOutput,
  LifecycleHook,
  NotificationConfiguration,
  PutLifecycleHookCommandInput,
  PutLifecycleHookCommandOutput,
  PutNotificationConfigurationCommandInput,
  PutNotificationConfigurationCommandOutput,
  PutScalingPolicyCommandInput,
  PutScalingPolicyCommandOutput,
  PutScheduledUpdateGroupActionCommandInput,
  PutScheduledUpdateGroupActionCommandOutput,
  ScalingPolicy,
  ScheduledUpdateGroupAction,
} from '@aws-sdk/client-auto-scaling';
import type { Operation, Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { groupNamed, groups, invalid } from './group.ts';
import { arn, records } from './records.ts';
import type { Group } from './state.ts';

/** Attachments of a group. They are stored and described only: no policy scales, no hook waits, no action runs, no notification is sent. */
interface Attachments {
  readonly hooks: Map<string, LifecycleHook>;
  readonly policies: Map<string, ScalingPolicy>;
  readonly actions: Map<string, ScheduledUpdateGroupAction>;
  readonly topics: Map<string, readonly string[]>;
}

/** Deleted with their group. */
const all = new WeakMap<Group, Attachments>();

function attachments(place: Place, name: string | undefined): Attachments {
  const group = groupNamed(place, name);
  const known = all.get(group) ?? { hooks: new Map(), policies: new Map(), actions: new Map(), topics: new Map() };
  all.set(group, known);
  return known;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html */
const putLifecycleHook: Operation<PutLifecycleHookCommandInput, PutLifecycleHookCommandOutput> = (input, { place }) => {
  const { LifecycleHookName: name = '' } = input;
  const { hooks } = attachments(place, input.AutoScalingGroupName);
  // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html: an existing name is updated.
  hooks.set(name, { HeartbeatTimeout: 3600, DefaultResult: 'ABANDON', GlobalTimeout: 172_800, ...hooks.get(name), ...input });
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLifecycleHooks.html */
const describeLifecycleHooks: Operation<DescribeLifecycleHooksCommandInput, DescribeLifecycleHooksCommandOutput> = (input, { place }) => ({
  LifecycleHooks: [...attachments(place, input.AutoScalingGroupName).hooks.values()],
});

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScalingPolicy.html */
const putScalingPolicy: Operation<PutScalingPolicyCommandInput, PutScalingPolicyCommandOutput> = (input, { place }) => {
  const { PolicyName: name = '', AutoScalingGroupName: group } = input;
  const { policies } = attachments(place, group);
  const PolicyARN = policies.get(name)?.PolicyARN ?? arn(place, 'scalingPolicy', `autoScalingGroupName/${group}:policyName/${name}`);
  // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ScalingPolicy.html : the alarms of target tracking are AWS's own. The lab creates none.
  policies.set(name, { PolicyType: 'SimpleScaling', Enabled: true, StepAdjustments: [], Alarms: [], ...input, PolicyARN });
  return { PolicyARN };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribePolicies.html */
const describePolicies: Operation<DescribePoliciesCommandInput, DescribePoliciesCommandOutput> = (input, { place }) => {
  const { policies } = attachments(place, input.AutoScalingGroupName);
  const { items, NextToken } = records(place, [...policies.values()], ({ PolicyName = '' }) => PolicyName, input);
  return { ScalingPolicies: [...items], NextToken };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScheduledUpdateGroupAction.html */
const putScheduledUpdateGroupAction: Operation<PutScheduledUpdateGroupActionCommandInput, PutScheduledUpdateGroupActionCommandOutput> = (
  { Time: _, ...input },
  { place },
) => {
  const { AutoScalingGroupName: group, ScheduledActionName: name = '' } = input;
  // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ScheduledUpdateGroupAction.html
  const ScheduledActionARN = arn(place, 'scheduledUpdateGroupAction', `autoScalingGroupName/${group}:scheduledActionName/${name}`);
  attachments(place, group).actions.set(name, { ...input, ScheduledActionARN });
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScheduledActions.html */
const describeScheduledActions: Operation<DescribeScheduledActionsCommandInput, DescribeScheduledActionsCommandOutput> = (
  input,
  { place },
) => {
  const { actions } = attachments(place, input.AutoScalingGroupName);
  const { items, NextToken } = records(place, [...actions.values()], ({ ScheduledActionName = '' }) => ScheduledActionName, input);
  return { ScheduledUpdateGroupActions: [...items], NextToken };
};

/** Replaces the types of an existing topic. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutNotificationConfiguration.html */
const putNotificationConfiguration: Operation<PutNotificationConfigurationCommandInput, PutNotificationConfigurationCommandOutput> = (
  { AutoScalingGroupName, TopicARN = '', NotificationTypes = [] },
  { place },
) => {
  attachments(place, AutoScalingGroupName).topics.set(TopicARN, NotificationTypes);
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeNotificationConfigurations.html */
const describeNotificationConfigurations: Operation<
  DescribeNotificationConfigurationsCommandInput,
  DescribeNotificationConfigurationsCommandOutput
> = ({ AutoScalingGroupNames = [] }, { place }) => {
  const names =
    AutoScalingGroupNames.length === 0 ? [...groups(place).keys()] : AutoScalingGroupNames.filter(name => groups(place).has(name));
  const NotificationConfigurations = names.flatMap(name =>
    [...attachments(place, name).topics].flatMap(([TopicARN, types]) =>
      types.map((NotificationType): NotificationConfiguration => ({ AutoScalingGroupName: name, TopicARN, NotificationType })),
    ),
  );
  return { NotificationConfigurations };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteLifecycleHook.html */
const deleteLifecycleHook: Operation<DeleteLifecycleHookCommandInput, DeleteLifecycleHookCommandOutput> = (input, { place }) => {
  const { AutoScalingGroupName, LifecycleHookName: name = '' } = input;
  if (!attachments(place, AutoScalingGroupName).hooks.delete(name)) throw invalid(`No Lifecycle Hook found with name ${name}`);
  return {};
};

/** By name or ARN. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeletePolicy.html */
const deletePolicy: Operation<DeletePolicyCommandInput, DeletePolicyCommandOutput> = ({ AutoScalingGroupName, PolicyName }, { place }) => {
  const { policies } = attachments(place, AutoScalingGroupName);
  const found = [...policies.values()].find(policy => policy.PolicyName === PolicyName || policy.PolicyARN === PolicyName);
  if (found?.PolicyName === undefined) throw invalid(`Scaling policy name not found - Policy name not found: ${PolicyName}`);
  policies.delete(found.PolicyName);
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteScheduledAction.html */
const deleteScheduledAction: Operation<DeleteScheduledActionCommandInput, DeleteScheduledActionCommandOutput> = (input, { place }) => {
  const { AutoScalingGroupName, ScheduledActionName: name = '' } = input;
  if (!attachments(place, AutoScalingGroupName).actions.delete(name)) throw invalid(`Scheduled action name not found: ${name}`);
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteNotificationConfiguration.html */
const deleteNotificationConfiguration: Operation<
  DeleteNotificationConfigurationCommandInput,
  DeleteNotificationConfigurationCommandOutput
> = ({ AutoScalingGroupName, TopicARN = '' }, { place }) => {
  if (!attachments(place, AutoScalingGroupName).topics.delete(TopicARN))
    throw invalid(`Notification configuration not found for topic ${TopicARN}`);
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_EnableMetricsCollection.html */
const enableMetricsCollection: Operation<EnableMetricsCollectionCommandInput, EnableMetricsCollectionCommandOutput> = (
  input,
  { place },
) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const { Granularity, Metrics = [] } = input;
  group.described = { ...group.described, EnabledMetrics: Metrics.map(Metric => ({ Metric, Granularity })) };
  return {};
};

export const attachmentOperations: Operations = {
  DeleteLifecycleHook: deleteLifecycleHook,
  DeleteNotificationConfiguration: deleteNotificationConfiguration,
  DeletePolicy: deletePolicy,
  DeleteScheduledAction: deleteScheduledAction,
  DescribeLifecycleHooks: describeLifecycleHooks,
  DescribeNotificationConfigurations: describeNotificationConfigurations,
  DescribePolicies: describePolicies,
  DescribeScheduledActions: describeScheduledActions,
  EnableMetricsCollection: enableMetricsCollection,
  PutLifecycleHook: putLifecycleHook,
  PutNotificationConfiguration: putNotificationConfiguration,
  PutScalingPolicy: putScalingPolicy,
  PutScheduledUpdateGroupAction: putScheduledUpdateGroupAction,
};
