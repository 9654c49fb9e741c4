import type {
  AutoScalingGroup,
  CreateAutoScalingGroupCommandInput,
  LaunchTemplateSpecification,
  MixedInstancesPolicy,
  UpdateAutoScalingGroupCommandInput,
} from '@aws-sdk/client-auto-scaling';
import { launchableImage } from '../ec2/image-choice.ts';
import { instanceType } from '../ec2/instance-types.ts';
import { templateOf } from '../ec2/launch-template-state.ts';
import { subnetFor } from '../ec2/network.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { invalid } from './group.ts';
import { ingredients } from './launch.ts';
import { activeRefresh } from './refresh.ts';
import type { Group, Recipe, Spot } from './state.ts';

type Settings = Omit<
  CreateAutoScalingGroupCommandInput & UpdateAutoScalingGroupCommandInput,
  'AutoScalingGroupName' | 'MinSize' | 'MaxSize'
>;

/** Template reference with ID, name and version, as Describe returns it. A request may have only one of ID and name, and no version. */
function complete(place: Place, spec: LaunchTemplateSpecification): LaunchTemplateSpecification {
  if ((spec.LaunchTemplateId === undefined) === (spec.LaunchTemplateName === undefined))
    throw invalid('Valid requests must contain either launchTemplateId or LaunchTemplateName');
  const { id, name } = existing(place, spec);
  return { LaunchTemplateId: id, LaunchTemplateName: name, Version: spec.Version ?? '$Default' };
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-launch-template.html */
function existing(place: Place, spec: LaunchTemplateSpecification) {
  try {
    return templateOf(place, spec);
  } catch (trouble) {
    throw trouble instanceof AwsError ? invalid(`You must use a valid fully-formed launch template. ${trouble.message}`) : trouble;
  }
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html */
const DISTRIBUTION: MixedInstancesPolicy['InstancesDistribution'] = {
  ...{ OnDemandAllocationStrategy: 'prioritized', OnDemandBaseCapacity: 0, OnDemandPercentageAboveBaseCapacity: 100 },
  ...{ SpotAllocationStrategy: 'lowest-price', SpotInstancePools: 2 },
};

/** A recipe as the group returns it. Members missing from a mixed instances policy get the default, not the earlier value. */
export function completeRecipe(place: Place, { LaunchConfigurationName, LaunchTemplate, MixedInstancesPolicy }: Recipe): Recipe {
  if (LaunchTemplate !== undefined) return { LaunchTemplate: complete(place, LaunchTemplate) };
  if (MixedInstancesPolicy === undefined) return { LaunchConfigurationName };
  const { LaunchTemplate: policy, InstancesDistribution } = MixedInstancesPolicy;
  if (policy?.LaunchTemplateSpecification === undefined) throw invalid('You must specify a launch template in the mixed instances policy.');
  const Overrides = policy.Overrides?.map(({ LaunchTemplateSpecification: own, ...override }) =>
    own === undefined ? override : { ...override, LaunchTemplateSpecification: complete(place, own) },
  );
  return {
    MixedInstancesPolicy: {
      LaunchTemplate: { LaunchTemplateSpecification: complete(place, policy.LaunchTemplateSpecification), Overrides: Overrides ?? [] },
      InstancesDistribution: { ...DISTRIBUTION, ...InstancesDistribution },
    },
  };
}

/** Checks a recipe as Auto Scaling does: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-launch-template.html */
export function checkRecipe(place: Place, recipe: Recipe): void {
  const turns = recipe.MixedInstancesPolicy?.LaunchTemplate?.Overrides?.length ?? 0;
  for (let turn = 0; turn < Math.max(turns, 1); turn++) {
    try {
      const { request } = ingredients(place, recipe, turn);
      const image = launchableImage(place, request.ImageId);
      const { architecture, name } = instanceType(request.InstanceType ?? 'm1.small');
      if (architecture !== image.architecture)
        throw invalid(
          `The architecture '${architecture}' of the instance type '${name}' does not match that of the AMI, '${image.architecture}'`,
        );
    } catch (trouble) {
      if (!(trouble instanceof AwsError) || recipe.LaunchConfigurationName !== undefined) throw trouble;
      throw invalid(`You must use a valid fully-formed launch template. ${trouble.message}`);
    }
  }
}

/** The given one of the three, or undefined. */
export function recipeIn(place: Place, input: Settings): Recipe | undefined {
  const { LaunchConfigurationName, LaunchTemplate, MixedInstancesPolicy } = input;
  const given = [LaunchConfigurationName, LaunchTemplate, MixedInstancesPolicy].filter(one => one !== undefined);
  if (given.length === 0) return undefined;
  if (given.length > 1)
    throw invalid(
      'Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.',
    );
  const recipe = completeRecipe(place, { LaunchConfigurationName, LaunchTemplate, MixedInstancesPolicy });
  checkRecipe(place, recipe);
  return recipe;
}

export function spotsIn(place: Place, { VPCZoneIdentifier, AvailabilityZones }: Settings): readonly Spot[] | undefined {
  if (VPCZoneIdentifier) {
    const subnets = VPCZoneIdentifier.split(',').map(subnetId => subnetFor(place, { subnetId: subnetId.trim() }));
    return subnets.map(({ id, zone }) => ({ subnetId: id, zone }));
  }
  if (AvailabilityZones === undefined || AvailabilityZones.length === 0) return undefined;
  return AvailabilityZones.map(zone => ({ zone, subnetId: subnetFor(place, { zone }).id }));
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html (Update restriction) */
export function setRecipe(group: Group, recipe: Recipe): void {
  const refresh = activeRefresh(group);
  if (refresh?.desired !== undefined && JSON.stringify(recipe) !== JSON.stringify(group.recipe))
    throw invalid(
      'An active instance refresh with a desired configuration exists. All configuration options derived from the desired configuration are not available for update while the instance refresh is active.',
    );
  group.recipe = recipe;
}

/** Stores the settings that the lab uses. All others are only described. */
export function apply(group: Group, input: Settings): void {
  const { HealthCheckType, HealthCheckGracePeriod, DefaultInstanceWarmup, InstanceMaintenancePolicy, NewInstancesProtectedFromScaleIn } =
    input;
  group.healthTypes = HealthCheckType?.split(',').map(type => type.trim()) ?? group.healthTypes;
  group.graceSeconds = HealthCheckGracePeriod ?? group.graceSeconds;
  if (DefaultInstanceWarmup !== undefined) group.warmupSeconds = DefaultInstanceWarmup < 0 ? undefined : DefaultInstanceWarmup;
  group.maintenance = InstanceMaintenancePolicy ?? group.maintenance;
  group.protectNew = NewInstancesProtectedFromScaleIn ?? group.protectNew;
  group.described = { ...group.described, ...describedOnly(input) };
}

function describedOnly(input: Settings): Partial<AutoScalingGroup> {
  const {
    DefaultCooldown,
    PlacementGroup,
    TerminationPolicies,
    CapacityRebalance,
    MaxInstanceLifetime,
    ServiceLinkedRoleARN,
    DeletionProtection,
  } = input;
  const settings = {
    DefaultCooldown,
    PlacementGroup,
    TerminationPolicies,
    CapacityRebalance,
    MaxInstanceLifetime,
    ServiceLinkedRoleARN,
    DeletionProtection,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
