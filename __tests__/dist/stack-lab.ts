import {
  CloudFormationClient,
  CreateChangeSetCommand,
  CreateStackCommand,
  DescribeStacksCommand,
  ExecuteChangeSetCommand,
} from '@aws-sdk/client-cloudformation';
import { DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { groups, isLeaving } from '../../lab/autoscaling/group.ts';
import { stacks } from '../../lab/cloudformation/state.ts';
import { instances } from '../../lab/ec2/state.ts';
import { POINTER, type RollLab, type RollLabOptions, rollLab } from './roll-lab.ts';

/** A stage whose group belongs to a CloudFormation stack. */

const LAUNCHES = {
  template: `
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: { LaunchTemplateData: { ImageId: !Ref ImageId, InstanceType: t3.micro } }`,
  /** CloudFormation reads the pointer itself. */
  dynamic: `
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: { LaunchTemplateData: { ImageId: '{{resolve:ssm:${POINTER}}}', InstanceType: t3.micro } }`,
  /** EC2 reads it, at each launch. */
  alias: `
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: { LaunchTemplateData: { ImageId: 'resolve:ssm:${POINTER}', InstanceType: t3.micro } }`,
  configuration: `
  Config:
    Type: AWS::AutoScaling::LaunchConfiguration
    Properties: { ImageId: !Ref ImageId, InstanceType: t3.micro }`,
} as const;

const OF_TEMPLATE = 'LaunchTemplate: { LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber }';
const USES = {
  ...{ template: OF_TEMPLATE, dynamic: OF_TEMPLATE, alias: OF_TEMPLATE },
  configuration: 'LaunchConfigurationName: !Ref Config',
} as const;

/** The three update policies, and none. */
export const POLICIES = {
  rolling:
    'UpdatePolicy: { AutoScalingRollingUpdate: { MaxBatchSize: 1, MinInstancesInService: 1, WaitOnResourceSignals: true, PauseTime: PT5M } }',
  replacing: `CreationPolicy: { ResourceSignal: { Count: 2, Timeout: PT15M } }
    UpdatePolicy: { AutoScalingReplacingUpdate: { WillReplace: true } }`,
  refresh: 'UpdatePolicy: { AutoScalingInstanceRefresh: { Strategy: Rolling, Preferences: { InstanceWarmup: 0 } } }',
  none: '',
} as const;

export interface StackOptions {
  readonly policy?: string;
  readonly launch?: keyof typeof LAUNCHES;
  readonly type?: string;
  /** What a parameter of a Systems Manager type names. */
  readonly key?: string;
  readonly extra?: string;
  /** Instead of the template that the other options make. */
  readonly template?: (subnets: readonly string[]) => string;
  /** ARN of its service role; `none`: it has none. Default: that of an administrator. */
  readonly role?: string;
}

/** CloudFormation changes the resources of the stack with it. */
export const SERVICE_ROLE = 'arn:aws:iam::111122223333:role/cloudformation';

/** The stack reads the pointer. */
export const READS: StackOptions = { type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>' };

const BOOTSTRAP = '/cdk-bootstrap/hnb659fds/version';

/** What the CDK makes of an AutoScalingGroup whose machineImage is a CfnParameter. https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html */
export const CDK: StackOptions = {
  role: 'arn:aws:iam::111122223333:role/cdk-hnb659fds-cfn-exec-role-111122223333-eu-central-1',
  template: subnets =>
    JSON.stringify({
      Parameters: {
        ImageId: { Type: 'AWS::EC2::Image::Id' },
        Size: { Type: 'Number' },
        BootstrapVersion: { Type: 'AWS::SSM::Parameter::Value<String>', Default: BOOTSTRAP },
      },
      Rules: {
        CheckBootstrapVersion: {
          Assertions: [{ Assert: { 'Fn::Not': [{ 'Fn::Contains': [['1', '2', '3', '4', '5'], { Ref: 'BootstrapVersion' }] }] } }],
        },
      },
      Resources: {
        WebLaunchTemplateE6F4C3A1: {
          Type: 'AWS::EC2::LaunchTemplate',
          Metadata: { 'aws:cdk:path': 'web/Web/LaunchTemplate/Resource' },
          Properties: {
            LaunchTemplateData: {
              ImageId: { Ref: 'ImageId' },
              InstanceType: 't3.micro',
              UserData: {
                'Fn::Base64': { 'Fn::Join': ['', ['#!/bin/bash\n/opt/aws/bin/cfn-signal --stack ', { Ref: 'AWS::StackName' }]] },
              },
            },
          },
        },
        WebASG46ED3070: {
          Type: 'AWS::AutoScaling::AutoScalingGroup',
          Metadata: { 'aws:cdk:path': 'web/Web/ASG' },
          Properties: {
            ...{ MinSize: '0', MaxSize: '4', DesiredCapacity: { Ref: 'Size' }, VPCZoneIdentifier: subnets },
            LaunchTemplate: {
              LaunchTemplateId: { Ref: 'WebLaunchTemplateE6F4C3A1' },
              Version: { 'Fn::GetAtt': ['WebLaunchTemplateE6F4C3A1', 'LatestVersionNumber'] },
            },
          },
          UpdatePolicy: {
            AutoScalingRollingUpdate: {
              ...{ MaxBatchSize: 1, MinInstancesInService: 1, WaitOnResourceSignals: true, PauseTime: 'PT5M' },
              SuspendProcesses: ['HealthCheck', 'ReplaceUnhealthy', 'AZRebalance', 'AlarmNotification', 'ScheduledActions'],
            },
            AutoScalingScheduledAction: { IgnoreUnmodifiedGroupSizeProperties: true },
          },
        },
      },
    }),
};

const templateFor = (subnets: readonly string[], { policy = POLICIES.rolling, launch = 'template', type, extra = '' }: StackOptions) => `
Parameters:
  ImageId: { Type: '${type ?? 'AWS::EC2::Image::Id'}' }
  Size: { Type: String, Default: '1' }
  Spare: { Type: String, Default: ami-00000000 }
Resources:${LAUNCHES[launch]}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: '0'
      MaxSize: '4'
      DesiredCapacity: !Ref Size
      VPCZoneIdentifier: [${subnets.join(', ')}]
      ${USES[launch]}
    ${policy}
${extra}`;

type Stage = Pick<RollLab, 'lab' | 'place' | 'cloud'>;

/** The stack `web` of a region, with two instances of the image. */
async function stackIn({ lab, place, cloud }: Stage, options: StackOptions, image: string) {
  const credentials = { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' };
  const client = new CloudFormationClient({ endpoint: lab.url, region: place.region, credentials });
  const { Subnets = [] } = await cloud.ec2.send(new DescribeSubnetsCommand({}));
  const subnets = Subnets.map(({ SubnetId = '' }) => SubnetId);
  const TemplateBody = options.template?.(subnets) ?? templateFor(subnets, options);
  const Parameters = [
    { ParameterKey: 'ImageId', ParameterValue: options.type === undefined ? image : (options.key ?? '/ami/web/stage') },
    { ParameterKey: 'Size', ParameterValue: '2' },
  ];
  const RoleARN = options.role === 'none' ? undefined : (options.role ?? SERVICE_ROLE);
  await client.send(new CreateStackCommand({ StackName: 'web', TemplateBody, Parameters, RoleARN, Tags: [{ Key: 'team', Value: 'web' }] }));
  const status = async () => (await client.send(new DescribeStacksCommand({ StackName: 'web' }))).Stacks?.[0]?.StackStatus ?? '';
  const until = async (pattern: RegExp, seconds = 600) => {
    for (let waited = 0; !pattern.test(await status()) && waited < seconds; waited += 2) await lab.clock.sleep(2);
    return status();
  };
  await until(/^CREATE_COMPLETE$/);
  const stack = () => {
    const found = stacks(place).get('web');
    if (found === undefined) throw new Error('no stack');
    return found;
  };
  const own = () => [...groups(place).values()].filter(({ tags }) => tags.some(({ Key }) => Key === 'aws:cloudformation:stack-id'));
  return {
    ...{ client, status, until, stack },
    /** What the instances of the stack run, and the group. Those that are being terminated do not count. */
    fleet: () =>
      own().flatMap(({ members }) =>
        [...members.values()].filter(member => !isLeaving(member)).map(({ id }) => instances(place).get(id)?.imageId ?? ''),
      ),
    groupNames: () => own().map(({ name }) => name),
    /** What it means, where it reads Parameter Store. */
    parameter: (name = 'ImageId') => stack().inputs.resolved[name] ?? stack().inputs.parameters[name],
    /** Its value, where it reads Parameter Store. */
    key: () => stack().inputs.parameters['ImageId'],
    changeSets: () => [...stack().changeSets.keys()],
    events: () => [...stack().events].reverse().map(({ LogicalResourceId, ResourceStatus }) => `${LogicalResourceId} ${ResourceStatus}`),
  };
}

export async function stackLab(options: StackOptions = {}, lab: RollLabOptions = {}) {
  const l = await rollLab({ ...lab, timings: { boot: 1, statusChecks: 1, shutdown: 1, stack: 2, agent: 1, ...lab.timings } });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  if (options.key !== undefined) await l.pointerTo(a, options.key);
  if (options === CDK) await l.cloud.ssm.send(new PutParameterCommand({ Name: BOOTSTRAP, Value: '31', Type: 'String' }));
  const made = await stackIn(l, options, a);
  return {
    ...l,
    ...made,
    ...{ a, b, c, plain: l.act },
    /** Changes of the stack and of the pointer since a mark. */
    steps: (mark = 0) =>
      l.lab.calls.since(mark).flatMap(({ operation, input }) => {
        if (/ChangeSet$|^CancelUpdate/.test(operation) && !operation.startsWith('Describe')) return operation;
        return operation === 'PutParameter' && input['Name'] === POINTER ? `pointer ${input['Value']}` : [];
      }),
    state: async () => ({
      runs: [...new Set(made.fleet())],
      parameter: made.parameter(),
      pointer: l.pointer(),
      candidate: l.candidate(),
      status: await made.status(),
    }),
    /** The state when it runs an image. */
    ran: (image: string, pointer = image, status = 'UPDATE_COMPLETE') => ({
      ...{ runs: [image], parameter: image, pointer, candidate: false, status },
    }),
    /** The same stack in another region. */
    stackIn: (stage: Stage, image: string) => stackIn(stage, options, image),
    act: (mode: 'promote' | 'rollback', wanted: Record<string, string>, more: Parameters<typeof l.act>[2] = {}) =>
      l.act(mode, { stack: 'web', 'stack-parameter': 'ImageId', 'warm-up': '0s', bake: '1m', ...wanted }, more),
    /** Another process updates the stack. */
    async updateTo(image: string) {
      const ParameterList = [
        { ParameterKey: 'ImageId', ParameterValue: image },
        { ParameterKey: 'Size', UsePreviousValue: true },
      ];
      await made.client.send(
        new CreateChangeSetCommand({ StackName: 'web', ChangeSetName: 'theirs', UsePreviousTemplate: true, Parameters: ParameterList }),
      );
      await l.lab.clock.sleep(5);
      await made.client.send(new ExecuteChangeSetCommand({ StackName: 'web', ChangeSetName: 'theirs' }));
    },
  };
}

export type StackLab = Awaited<ReturnType<typeof stackLab>>;
