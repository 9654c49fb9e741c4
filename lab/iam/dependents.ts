import type { LaunchTemplateSpecification } from '@aws-sdk/client-ec2';
import { profileArn } from '../ec2/launch.ts';
import { isAlias } from '../ec2/launch-template-data.ts';
import { templates } from '../ec2/launch-template-state.ts';
import type { Place } from '../place.ts';
import { launchData } from './ec2-targets.ts';
import { roleOfProfile } from './roles.ts';
import type { Target } from './targets.ts';

/** A further permission that a call needs. */
export interface Dependent {
  readonly service: string;
  readonly operation: string;
  /** Input from which the resources are found, as if it were a call. */
  readonly input?: object;
  /** Resources that no input names. */
  readonly targets?: readonly Target[];
  readonly keys?: Target['keys'];
}

type Json = Readonly<Record<string, unknown>>;
type Rule = (input: Json, place: Place, operation: string) => readonly Dependent[];

/** The calls of EC2 that DescribeImageReferences makes with the caller's rights. */
const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  'ec2:Instance': ['ec2:DescribeInstances'],
  'ec2:LaunchTemplate': ['ec2:DescribeLaunchTemplates', 'ec2:DescribeLaunchTemplateVersions'],
  'ssm:Parameter': ['ssm:DescribeParameters', 'ssm:GetParameters'],
  'imagebuilder:ImageRecipe': ['imagebuilder:ListImageRecipes'],
  'imagebuilder:ContainerRecipe': ['imagebuilder:ListContainerRecipes', 'imagebuilder:GetContainerRecipe'],
};

const references: Rule = ({ IncludeAllResourceTypes, ResourceTypes }) => {
  const named = ((ResourceTypes as { ResourceType?: string }[]) ?? []).map(({ ResourceType = '' }) => ResourceType);
  const types = IncludeAllResourceTypes === true ? Object.keys(REFERENCES) : named;
  const via = 'ec2-images.amazonaws.com';
  const keys = { 'aws:CalledVia': [via], 'aws:CalledViaFirst': via, 'aws:CalledViaLast': via, 'aws:ViaAWSService': 'true' };
  return types
    .flatMap(type => REFERENCES[type] ?? [])
    .map(action => {
      const [service = '', operation = ''] = action.split(':');
      return { service, operation, targets: [{ arn: '*', keys: {} }], keys };
    });
};

/** Tags in the call that creates. Each tagged resource is a target of ec2:CreateTags. */
const tagging: Rule = (input, place, operation) => {
  const data = operation === 'RunInstances' ? launchData(place, input) : input;
  const tagged = ((data['TagSpecifications'] as { ResourceType?: string; Tags?: { Key?: string; Value?: string }[] }[]) ?? []).filter(
    ({ Tags = [] }) => Tags.length > 0,
  );
  return tagged.map(({ ResourceType = '', Tags = [] }) => {
    const tags = Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value]));
    const owner = ['image', 'snapshot'].includes(ResourceType) ? '' : place.account;
    return {
      ...{ service: 'ec2', operation: 'CreateTags' },
      targets: [
        {
          arn: `arn:aws:ec2:${place.region}:${owner}:${ResourceType}/*`,
          keys: {
            ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:RequestTag/${key}`, value])),
            'aws:TagKeys': Object.keys(tags),
            'ec2:CreateAction': operation,
            'ec2:Region': place.region,
          },
        },
      ],
    };
  });
};

const passRole = (arn: string, service: string): Dependent => ({
  ...{ service: 'iam', operation: 'PassRole', targets: [{ arn, keys: { 'iam:PassedToService': service } }] },
});

const profileRole: Rule = (input, place) => {
  const arn = profileArn(place, launchData(place, input)['IamInstanceProfile'] as Parameters<typeof profileArn>[1]);
  return arn === undefined ? [] : [passRole(roleOfProfile(place.core, arn), 'ec2.amazonaws.com')];
};

const parametersOf = (alias: string): Dependent => ({
  ...{ service: 'ssm', operation: 'GetParameters', input: { Names: [alias.replace(/^resolve:ssm:/, '')] } },
});

const aliasedImage: Rule = (input, place) => {
  const image = launchData(place, input)['ImageId'];
  if (typeof image !== 'string' || !isAlias(image)) return [];
  return [parametersOf(image)];
};

/** Templates in a fleet, in a group's settings or in the desired configuration of a refresh. */
function templatesIn(input: Json): readonly LaunchTemplateSpecification[] {
  const { LaunchTemplate, MixedInstancesPolicy, DesiredConfiguration } = input as Readonly<Record<string, Json | undefined>>;
  const policy = (MixedInstancesPolicy ?? DesiredConfiguration?.['MixedInstancesPolicy'])?.['LaunchTemplate' as never] as Json | undefined;
  const overrides = ((policy?.['Overrides'] as Json[]) ?? []).map(one => one['LaunchTemplateSpecification']);
  const fleet = ((input['LaunchTemplateConfigs'] as Json[]) ?? []).map(config => config['LaunchTemplateSpecification']);
  const specs = [LaunchTemplate, DesiredConfiguration?.['LaunchTemplate'], policy?.['LaunchTemplateSpecification'], ...overrides, ...fleet];
  return specs.filter(spec => spec !== undefined) as LaunchTemplateSpecification[];
}

const launches: Rule = (input, place) =>
  templatesIn(input).flatMap(({ LaunchTemplateId, LaunchTemplateName, Version }) => {
    const LaunchTemplate = LaunchTemplateId === undefined ? { LaunchTemplateName, Version } : { LaunchTemplateId, Version };
    const run = { LaunchTemplate };
    const of = (rule: Rule) => rule(run, place, 'RunInstances');
    return [{ service: 'ec2', operation: 'RunInstances', input: run }, ...of(tagging), ...of(profileRole), ...of(aliasedImage)];
  });

const hookRoles: Rule = input => {
  const hooks = [input, ...((input['LifecycleHookSpecificationList'] as Json[]) ?? [])];
  const arns = hooks.flatMap(({ RoleARN }) => (typeof RoleARN === 'string' ? [RoleARN] : []));
  const linked = input['ServiceLinkedRoleARN'];
  const custom = typeof linked === 'string' && !linked.endsWith('/AWSServiceRoleForAutoScaling') ? [linked] : [];
  return [...arns, ...custom].map(arn => passRole(arn, 'autoscaling.amazonaws.com'));
};

const imageParameter: Rule = ({ DataType }) => (DataType === 'aws:ec2:image' ? [{ service: 'ec2', operation: 'DescribeImages' }] : []);

const parameterTags: Rule = ({ Name, Tags }) =>
  Array.isArray(Tags) && Tags.length > 0 ? [{ service: 'ssm', operation: 'AddTagsToResource', input: { ResourceId: Name, Tags } }] : [];

const copiedTags: Rule = ({ CopyImageTags }, { region }) =>
  CopyImageTags === true
    ? [
        {
          service: 'ec2',
          operation: 'CreateTags',
          targets: [{ arn: `arn:aws:ec2:${region}::image/*`, keys: { 'ec2:CreateAction': 'CopyImage' } }],
        },
      ]
    : [];

const stackRole: Rule = ({ RoleARN }) => (typeof RoleARN === 'string' ? [passRole(RoleARN, 'cloudformation.amazonaws.com')] : []);

const nodeLaunches: Rule = ({ launchTemplate = {} }, place, operation) => {
  const { id, name, version } = launchTemplate as Readonly<Record<string, string | undefined>>;
  const LaunchTemplate = { ...(id === undefined ? { LaunchTemplateName: name } : { LaunchTemplateId: id }), Version: version };
  return id === undefined && name === undefined ? [] : launches({ LaunchTemplate }, place, operation);
};

const resolvedAliases: Rule = ({ ResolveAlias, LaunchTemplateId: id, LaunchTemplateName: name }, place) => {
  if (ResolveAlias !== true) return [];
  const named = [...templates(place).values()].filter(
    template => (id === undefined && name === undefined) || template.id === id || template.name === name,
  );
  const aliases = named.flatMap(({ versions }) => [...versions.values()].flatMap(({ data }) => data.ImageId ?? [])).filter(isAlias);
  return [...new Set(aliases)].map(alias => parametersOf(alias));
};

/** Which calls need which further permissions, each with the AWS document that says so. */
export const DEPENDENTS: Readonly<Record<string, readonly (readonly [rule: Rule, document: string])[]>> = {
  'ec2:*': [[tagging, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html']],
  'ec2:RunInstances': [
    [profileRole, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html#permission-to-pass-iam-roles'],
    [aliasedImage, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameters.html'],
  ],
  'ec2:CopyImage': [[copiedTags, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/copy-ami-permissions.html']],
  'ec2:CreateFleet': [[launches, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-prerequisites.html']],
  'ec2:DescribeImageReferences': [[references, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html']],
  'ec2:DescribeLaunchTemplateVersions': [
    [resolvedAliases, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameters.html'],
  ],
  'autoscaling:CreateAutoScalingGroup': [
    [launches, 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html'],
    [hookRoles, 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-api-permissions.html'],
  ],
  'autoscaling:UpdateAutoScalingGroup': [
    [launches, 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html'],
    [hookRoles, 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-api-permissions.html'],
  ],
  'autoscaling:StartInstanceRefresh': [
    [launches, 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html'],
  ],
  'autoscaling:PutLifecycleHook': [
    [hookRoles, 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-api-permissions.html'],
  ],
  'cloudformation:CreateChangeSet': [
    [stackRole, 'https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html'],
  ],
  'cloudformation:CreateStack': [[stackRole, 'https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html']],
  'eks:CreateNodegroup': [[nodeLaunches, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-launch-templates.html']],
  'eks:UpdateNodegroupVersion': [
    [nodeLaunches, 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-launch-templates.html'],
  ],
  'ssm:PutParameter': [
    [imageParameter, 'https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html'],
    [parameterTags, 'https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html'],
  ],
};

export const dependentsOf = (action: string, input: object, place: Place): readonly Dependent[] => {
  const [service = '', operation = ''] = action.split(':');
  const general = service === 'ec2' && operation !== 'CreateTags' && operation !== 'DeleteTags' ? (DEPENDENTS['ec2:*'] ?? []) : [];
  return [...general, ...(DEPENDENTS[action] ?? [])].flatMap(([rule]) => rule(input as Json, place, operation));
};
