import type { LaunchTemplateOverrides, LaunchTemplateSpecification } from '@aws-sdk/client-auto-scaling';
import { imageFor } from '../ec2/images.ts';
import { typeMeeting } from '../ec2/instance-types.ts';
import { type LaunchRequest, launchInstance, newBatch } from '../ec2/launch.ts';
import { type ResolvedTemplate, resolvedImage, resolveTemplate } from '../ec2/launch-template-spec.ts';
import type { LabInstance } from '../ec2/state.ts';
import { scalingRole } from '../kms/use.ts';
import type { Place } from '../place.ts';
import { invalid } from './group.ts';
import { launchConfiguration } from './launch-configurations.ts';
import type { Group, Member, Recipe, Spot } from './state.ts';

/** The inputs of one launch, resolved now. */
export interface Ingredients {
  readonly template: ResolvedTemplate | undefined;
  readonly configurationName: string | undefined;
  readonly override: LaunchTemplateOverrides | undefined;
  readonly request: LaunchRequest;
}

/**
 * Overrides are used in turn (AWS uses price or priority, which the lab does not have). An override may have its own template and image.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateOverrides.html
 */
export function ingredients(place: Place, recipe: Recipe, turn: number): Ingredients {
  if (recipe.LaunchConfigurationName !== undefined) return fromConfiguration(place, recipe.LaunchConfigurationName);
  const policy = recipe.MixedInstancesPolicy?.LaunchTemplate;
  const overrides = policy?.Overrides ?? [];
  const override = overrides[turn % Math.max(overrides.length, 1)];
  const wanted = override?.LaunchTemplateSpecification ?? policy?.LaunchTemplateSpecification ?? recipe.LaunchTemplate;
  if (wanted === undefined) throw invalid('You must use a valid fully-formed launch template.');
  const template = resolveTemplate(place, byId(wanted));
  const ImageId = resolvedImage(place, override?.ImageId ?? template.data.ImageId);
  const request = { ...template.data, ...overriddenType(place, override, ImageId) } as LaunchRequest;
  return { template, configurationName: undefined, override, request: { ...request, ImageId } };
}

function overriddenType(
  place: Place,
  override: LaunchTemplateOverrides | undefined,
  imageId: string | undefined,
): Pick<LaunchRequest, 'InstanceType'> {
  if (override?.InstanceRequirements !== undefined) {
    const { architecture = 'x86_64' } = imageFor(place, imageId ?? '') ?? {};
    return { InstanceType: typeMeeting(override.InstanceRequirements, architecture) };
  }
  return override?.InstanceType === undefined ? {} : { InstanceType: override.InstanceType as LaunchRequest['InstanceType'] };
}

/** A saved reference has ID and name; this keeps the ID. */
export const byId = ({ LaunchTemplateId, Version }: LaunchTemplateSpecification): LaunchTemplateSpecification => ({
  LaunchTemplateId,
  Version,
});

function fromConfiguration(place: Place, name: string): Ingredients {
  const configuration = launchConfiguration(place, name);
  const { ImageId, InstanceType, KeyName, SecurityGroups = [], UserData, IamInstanceProfile, MetadataOptions } = configuration;
  const profile = IamInstanceProfile?.startsWith('arn:') ? { Arn: IamInstanceProfile } : { Name: IamInstanceProfile };
  const isId = (group: string) => group.startsWith('sg-');
  const request = {
    ...{ ImageId, InstanceType, KeyName, UserData, MetadataOptions },
    SecurityGroupIds: SecurityGroups.filter(isId),
    SecurityGroups: SecurityGroups.filter(group => !isId(group)),
    IamInstanceProfile: IamInstanceProfile === undefined ? undefined : profile,
    // Auto Scaling deletes volumes with the instance: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Ebs.html
    BlockDeviceMappings: configuration.BlockDeviceMappings?.map(({ NoDevice, Ebs, ...device }) => ({
      ...device,
      NoDevice: NoDevice === true ? '' : undefined,
      Ebs: Ebs && { DeleteOnTermination: true, ...Ebs },
    })),
  };
  return { template: undefined, configurationName: name, override: undefined, request: request as LaunchRequest };
}

/** Launches one instance of the group into a subnet. Throws what EC2 refuses. */
export async function launchMember(group: Group, recipe: Recipe, { subnetId }: Spot): Promise<Member> {
  const { place } = group;
  const { template, configurationName, override, request } = ingredients(place, recipe, group.launches++);
  const { Placement, ...fields } = request;
  const wanted = {
    ...fields,
    ...(request.NetworkInterfaces === undefined ? { SubnetId: subnetId } : {}),
    NetworkInterfaces: request.NetworkInterfaces?.map(card => ({ ...card, SubnetId: subnetId })),
    TagSpecifications: withTags(group, request, template),
  };
  const by = { account: place.account, serviceRole: scalingRole(place.account) };
  const instance = await launchInstance(place, wanted, newBatch(), by);
  return newMember(group, instance, { template, configurationName, override });
}

const newMember = (group: Group, instance: LabInstance, made: Omit<Ingredients, 'request'>): Member => ({
  id: instance.id,
  zone: instance.zone,
  subnetId: instance.subnetId,
  instanceType: instance.type,
  template: made.template && { id: made.template.id, name: made.template.name, version: made.template.version },
  configurationName: made.configurationName,
  override: made.override,
  imageId: instance.imageId,
  launchedAt: group.place.core.clock.now(),
  state: 'Pending',
  health: 'Healthy',
  unhealthyReason: '',
  protected: group.protectNew,
  inServiceAt: undefined,
  activity: undefined,
});

/** The group's tags win over the template's. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html */
function withTags(
  group: Group,
  { TagSpecifications = [] }: LaunchRequest,
  template: ResolvedTemplate | undefined,
): LaunchRequest['TagSpecifications'] {
  const fromGroup = group.tags.filter(({ PropagateAtLaunch }) => PropagateAtLaunch).map(({ Key, Value }) => ({ Key, Value: Value ?? '' }));
  const fromAws = [
    { Key: 'aws:autoscaling:groupName', Value: group.name },
    ...(template === undefined
      ? []
      : [
          { Key: 'aws:ec2launchtemplate:id', Value: template.id },
          { Key: 'aws:ec2launchtemplate:version', Value: String(template.version) },
        ]),
  ];
  return [...TagSpecifications, { ResourceType: 'instance', Tags: [...fromGroup, ...fromAws] }];
}

/** Whether an instance matches what the recipe launches now. Instance types are compared as a set, versions as numbers. */
export function matches(place: Place, member: Member, recipe: Recipe): boolean {
  const overrides = recipe.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  const turns = [...overrides.keys()].filter(
    turn => overrides[turn]?.InstanceType === undefined || overrides[turn]?.InstanceType === member.instanceType,
  );
  return (overrides.length === 0 ? [0] : turns).some(turn => {
    const { template, configurationName, override, request } = ingredients(place, recipe, turn);
    const sameSource = template?.id === member.template?.id && template?.version === member.template?.version;
    return (
      sameSource &&
      configurationName === member.configurationName &&
      (request.InstanceType ?? 'm1.small') === member.instanceType &&
      override?.ImageId === member.override?.ImageId
    );
  });
}
