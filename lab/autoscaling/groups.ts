import type {
  CreateAutoScalingGroupCommandInput,
  CreateAutoScalingGroupCommandOutput,
  DeleteAutoScalingGroupCommandInput,
  DeleteAutoScalingGroupCommandOutput,
  DescribeAutoScalingGroupsCommandInput,
  DescribeAutoScalingGroupsCommandOutput,
  SetDesiredCapacityCommandInput,
  SetDesiredCapacityCommandOutput,
  UpdateAutoScalingGroupCommandInput,
  UpdateAutoScalingGroupCommandOutput,
} from '@aws-sdk/client-auto-scaling';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { describedGroup } from './described.ts';
import { groupNamed, groups, invalid } from './group.ts';
import { apply, recipeIn, setRecipe, spotsIn } from './group-settings.ts';
import { watch } from './loop.ts';
import { arn, records } from './records.ts';
import type { Group, Recipe, Spot } from './state.ts';
import { matchesTagFilters, tagDescription } from './tags.ts';
import { addSources, identifiers } from './traffic.ts';

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html */
const createAutoScalingGroup: Operation<CreateAutoScalingGroupCommandInput, CreateAutoScalingGroupCommandOutput> = (input, { place }) => {
  const { AutoScalingGroupName: name = '', MinSize = 0, MaxSize = 0, DesiredCapacity = MinSize } = input;
  const namesake = groups(place).get(name);
  if (namesake !== undefined) {
    const deleting =
      ' and is pending delete.  Please wait until Autoscaling completes the deletion process before creating another group with the same name.';
    const message = `AutoScalingGroup by this name already exists - A group with the name ${name} already exists${namesake.deleting ? deleting : ''}`;
    throw new AwsError('AlreadyExists', message);
  }
  const recipe = recipeIn(place, input);
  if (recipe === undefined)
    throw invalid(
      'Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.',
    );
  const spots = spotsIn(place, input);
  if (spots === undefined) throw invalid('At least one Availability Zone or VPC Subnet is required.');
  checkSizes(MinSize, MaxSize, DesiredCapacity);
  const group = newGroup(place, name, recipe, spots, { min: MinSize, max: MaxSize, desired: DesiredCapacity });
  apply(group, input);
  group.tags = (input.Tags ?? []).map(tag => tagDescription(name, tag));
  addSources(group, identifiers(input), 'InService');
  groups(place).set(name, group);
  watch(group);
  return {};
};

function newGroup(
  place: Place,
  name: string,
  recipe: Recipe,
  spots: readonly Spot[],
  sizes: Pick<Group, 'min' | 'max' | 'desired'>,
): Group {
  return {
    ...{ place, name, recipe, spots, ...sizes, arn: arn(place, 'autoScalingGroup', `autoScalingGroupName/${name}`) },
    ...{ createdAt: place.core.clock.date(), described: { DefaultCooldown: 300, TerminationPolicies: ['Default'] } },
    ...{ healthTypes: ['EC2'], graceSeconds: 0, warmupSeconds: undefined, maintenance: undefined, protectNew: false },
    ...{ tags: [], sources: [], members: new Map(), activities: [], suspended: new Map(), refreshes: [] },
    ...{ warmPool: undefined, deleting: false, launchTrouble: undefined, launches: 0 },
  };
}

function checkSizes(min: number, max: number, desired: number): void {
  if (min > max) throw invalid(`Min bound, ${min}, must be less than or equal to max bound, ${max}`);
  if (desired < min || desired > max)
    throw invalid(`Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`);
}

/** Sizes that are not given change only as far as the others require. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html */
const updateAutoScalingGroup: Operation<UpdateAutoScalingGroupCommandInput, UpdateAutoScalingGroupCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const recipe = recipeIn(place, input);
  const { MinSize: min = group.min, MaxSize: max = group.max } = input;
  const desired = input.DesiredCapacity ?? Math.min(Math.max(group.desired, min), max);
  checkSizes(min, max, desired);
  if (recipe !== undefined) setRecipe(group, recipe);
  Object.assign(group, { min, max, desired, spots: spotsIn(place, input) ?? group.spots });
  apply(group, input);
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html */
const deleteAutoScalingGroup: Operation<DeleteAutoScalingGroupCommandInput, DeleteAutoScalingGroupCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const protection = group.described.DeletionProtection;
  if (protection === 'prevent-all-deletion' || (protection === 'prevent-force-deletion' && input.ForceDelete))
    throw invalid(`The Auto Scaling group ${group.name} has deletion protection enabled: ${protection}`);
  if (!input.ForceDelete && (group.members.size > 0 || group.warmPool !== undefined)) {
    const message =
      'You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.';
    throw new AwsError('ResourceInUse', message);
  }
  group.deleting = true;
  return {};
};

/** Unknown names are omitted from the answer, without an error. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html */
const describeAutoScalingGroups: Operation<DescribeAutoScalingGroupsCommandInput, DescribeAutoScalingGroupsCommandOutput> = (
  input,
  { place },
) => {
  const { AutoScalingGroupNames: names = [], Filters = [], IncludeInstances = true } = input;
  const most = input.MaxRecords ?? 50;
  if (names.length > most)
    throw invalid(`The number of group names (${names.length}) exceeds the limit of ${most}. Use MaxRecords to specify more names.`);
  const found = [...groups(place).values()]
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .filter(group => matchesTagFilters(group, Filters));
  const { items, NextToken } = records(place, found, ({ name }) => name, input);
  const described = items.map(describedGroup);
  return { AutoScalingGroups: described.map(group => (IncludeInstances ? group : { ...group, Instances: [] })), NextToken };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetDesiredCapacity.html */
const setDesiredCapacity: Operation<SetDesiredCapacityCommandInput, SetDesiredCapacityCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  const { DesiredCapacity: wanted = group.desired } = input;
  const refuse = (side: string, bound: string, limit: number) =>
    invalid(`New SetDesiredCapacity value ${wanted} is ${side} ${bound} value ${limit} for the AutoScalingGroup.`);
  if (wanted > group.max) throw refuse('above', 'max', group.max);
  if (wanted < group.min) throw refuse('below', 'min', group.min);
  group.desired = wanted;
  return {};
};

export const groupOperations: Operations = {
  CreateAutoScalingGroup: createAutoScalingGroup,
  DeleteAutoScalingGroup: deleteAutoScalingGroup,
  DescribeAutoScalingGroups: describeAutoScalingGroups,
  SetDesiredCapacity: setDesiredCapacity,
  UpdateAutoScalingGroup: updateAutoScalingGroup,
};
