import { randomBytes } from 'node:crypto';
import { groups } from '../autoscaling/group.ts';
import { autoScalingOperations } from '../autoscaling/operations.ts';
import { latestVersion, templateOf } from '../ec2/launch-template-state.ts';
import { launchTemplateOperations } from '../ec2/launch-templates.ts';
import { denialOf, refuse } from '../iam/authorize.ts';
import { NO_VALUE, parseTemplate, resolve, type Scope, type Template, type Value } from '../iam/template.ts';
import type { Call, Operations } from '../operation.ts';
import { resolveParameter } from '../ssm/parameter-read.ts';
import { type Fields, invalid, type LabResource, type LabStack } from './state.ts';

/** Launch templates, launch configurations and groups of a stack, through the operations of their services. */

export const GROUP = 'AWS::AutoScaling::AutoScalingGroup';
const TEMPLATE = 'AWS::EC2::LaunchTemplate';
const CONFIGURATION = 'AWS::AutoScaling::LaunchConfiguration';
/** In the order in which they depend on each other. */
const TYPES = [TEMPLATE, CONFIGURATION, GROUP];

export interface Wanted {
  readonly id: string;
  readonly type: string;
  readonly fields: Fields;
  readonly policy: Fields;
  /** It has a creation policy, so the stack waits for signals. */
  readonly waits: boolean;
}

interface Inputs {
  /** Parameters with their defaults; the value of a Systems Manager parameter instead of its key. */
  readonly values: Fields;
  /** Logical IDs whose attributes are not known yet: a change set cannot know the next version number. */
  readonly unknown?: ReadonlySet<string>;
}

const isFleet = ({ Type }: Fields): boolean => TYPES.includes(String(Type));

export const hasFleet = (text: string): boolean => Object.values(parseTemplate(text).Resources).some(isFleet);

/** What one resource of the template is to be, with the present IDs of the others. */
export function wanted(stack: LabStack, id: string, inputs: Inputs): Wanted {
  const template = parseTemplate(stack.template);
  const resource = template.Resources[id] as Fields;
  const scope = scopeOf(stack, template, inputs);
  return {
    ...{ id, type: String(resource['Type']), waits: resource['CreationPolicy'] !== undefined },
    fields: (resolve(resource['Properties'] ?? {}, scope) ?? {}) as Fields,
    policy: (resolve(resource['UpdatePolicy'] ?? {}, scope) ?? {}) as Fields,
  };
}

export function fleetIds(text: string): readonly string[] {
  const all = Object.entries(parseTemplate(text).Resources).filter(([, resource]) => isFleet(resource));
  return all.sort(([, a], [, b]) => TYPES.indexOf(String(a['Type'])) - TYPES.indexOf(String(b['Type']))).map(([id]) => id);
}

function scopeOf(stack: LabStack, template: Template, { values, unknown = new Set() }: Inputs): Scope {
  const { account, region } = stack.place;
  const pseudo: Fields = {
    ...{ 'AWS::AccountId': account, 'AWS::Region': region, 'AWS::Partition': 'aws', 'AWS::StackName': stack.name },
    ...{ 'AWS::StackId': stack.id, 'AWS::NoValue': NO_VALUE },
  };
  const scope: Scope = {
    ref: name => {
      if (name in pseudo) return pseudo[name];
      if (name in values) return values[name];
      // A replaced launch configuration has another name.
      const own =
        unknown.has(name) && stack.resources.get(name)?.type === CONFIGURATION ? `{${name}}` : stack.resources.get(name)?.physicalId;
      return own ?? stack.arns[name]?.split('/').at(-1);
    },
    attribute: (id, name) => {
      if (unknown.has(id)) return `{${id}.${name}}`;
      const resource = stack.resources.get(id);
      if (resource?.type !== TEMPLATE) return stack.arns[id];
      const found = templateOf(stack.place, { LaunchTemplateId: resource.physicalId });
      return String(name === 'LatestVersionNumber' ? latestVersion(found) : found.defaultVersion);
    },
    condition: name => resolve(template.Conditions?.[name], scope) === true,
    mapping: path => path.reduce<Value>((value, key) => (value as Fields)[key], template.Mappings as Value),
  };
  return scope;
}

/**
 * Read when a resource is created or changed, and not when a change set compares: a new value in Parameter Store is no change.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
 */
const withReferences = ({ place }: LabStack, fields: Fields): Fields =>
  JSON.parse(
    JSON.stringify(fields).replace(/\{\{resolve:ssm:([^}]+)\}\}/g, (_, reference: string) => {
      const found = resolveParameter(place, reference);
      if (found === undefined) throw invalid(`Parameters: [${reference}] cannot be found.`);
      return found.value;
    }),
  ) as Fields;

const random = () => randomBytes(6).toString('hex');

/**
 * One operation, with the permissions of the service role, or of the caller where the stack has none.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
 */
export async function act({ roleArn }: LabStack, operations: Operations, name: string, input: object, caller: Call) {
  const arn = roleArn?.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/');
  const call = arn === undefined ? caller : { ...caller, roleArn, arn: `${arn}/AWSCloudFormation` };
  const [service, protocol] = operations === launchTemplateOperations ? (['ec2', 'ec2'] as const) : (['autoscaling', 'query'] as const);
  refuse(await denialOf(call, service, name, input), protocol, call.arn);
  return operations[name]?.(input, call);
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-resource-name.html */
const nameFor = (stack: LabStack, id: string): string => `${stack.name}-${id}-${random()}`;

export async function create(stack: LabStack, { id, type, fields: given }: Wanted, call: Call): Promise<string> {
  const fields = withReferences(stack, given);
  if (type === TEMPLATE) {
    const LaunchTemplateName = String(fields['LaunchTemplateName'] ?? nameFor(stack, id));
    const made = await act(stack, launchTemplateOperations, 'CreateLaunchTemplate', { ...fields, LaunchTemplateName }, call);
    return String(made?.LaunchTemplate?.LaunchTemplateId);
  }
  const name = nameFor(stack, id);
  if (type === CONFIGURATION) {
    await act(stack, autoScalingOperations, 'CreateLaunchConfiguration', { ...fields, LaunchConfigurationName: name }, call);
    return name;
  }
  const groupName = String(fields['AutoScalingGroupName'] ?? name);
  await act(
    stack,
    autoScalingOperations,
    'CreateAutoScalingGroup',
    { ...groupInput(fields), AutoScalingGroupName: groupName, Tags: tags(stack, id, fields) },
    call,
  );
  return groupName;
}

/** Changes a resource in place. A launch configuration cannot change: its new name is returned. */
export async function change(stack: LabStack, resource: LabResource, next: Wanted, call: Call): Promise<string> {
  const fields = withReferences(stack, next.fields);
  if (next.type === CONFIGURATION) return create(stack, next, call);
  if (next.type === TEMPLATE) {
    const input = { LaunchTemplateId: resource.physicalId, LaunchTemplateData: fields['LaunchTemplateData'] };
    await act(stack, launchTemplateOperations, 'CreateLaunchTemplateVersion', input, call);
    return resource.physicalId;
  }
  const input = { ...groupInput(fields), AutoScalingGroupName: resource.physicalId };
  await act(stack, autoScalingOperations, 'UpdateAutoScalingGroup', input, call);
  return resource.physicalId;
}

export async function removePhysical(stack: LabStack, type: string, physicalId: string, call: Call): Promise<void> {
  const { clock, timings } = stack.place.core;
  if (type === TEMPLATE) await act(stack, launchTemplateOperations, 'DeleteLaunchTemplate', { LaunchTemplateId: physicalId }, call);
  if (type === CONFIGURATION)
    await act(stack, autoScalingOperations, 'DeleteLaunchConfiguration', { LaunchConfigurationName: physicalId }, call);
  if (type !== GROUP || !groups(stack.place).has(physicalId)) return;
  await act(stack, autoScalingOperations, 'DeleteAutoScalingGroup', { AutoScalingGroupName: physicalId, ForceDelete: true }, call);
  while (groups(stack.place).has(physicalId)) await clock.sleep(timings.groupTick);
}

const NUMBERS = ['MinSize', 'MaxSize', 'DesiredCapacity', 'HealthCheckGracePeriod', 'DefaultInstanceWarmup', 'Cooldown'];

/** The fields of the resource type in the form of the API. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-autoscaling-autoscalinggroup.html */
function groupInput({ Tags: _, VPCZoneIdentifier: subnets, ...fields }: Fields): Fields {
  const numbers = Object.fromEntries(NUMBERS.flatMap(key => (fields[key] === undefined ? [] : [[key, Number(fields[key])]])));
  return { ...fields, ...numbers, ...(Array.isArray(subnets) ? { VPCZoneIdentifier: subnets.join(',') } : {}) };
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html */
const tags = (stack: LabStack, id: string, { Tags = [] }: Fields) => [
  ...(Tags as readonly Fields[]),
  ...Object.entries({ 'stack-name': stack.name, 'stack-id': stack.id, 'logical-id': id }).map(([key, Value]) => ({
    ...{ Key: `aws:cloudformation:${key}`, Value, PropagateAtLaunch: true },
  })),
];
