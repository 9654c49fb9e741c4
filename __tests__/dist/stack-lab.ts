import {
  CloudFormationClient,
  CreateChangeSetCommand,
  CreateStackCommand,
  DescribeStacksCommand,
  ExecuteChangeSetCommand,
} from '@aws-sdk/client-cloudformation';
import { DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { groups } from '../../lab/autoscaling/group.ts';
import { stacks } from '../../lab/cloudformation/state.ts';
import { instances } from '../../lab/ec2/state.ts';
import { type RollLabOptions, rollLab } from './roll-lab.ts';

/** A stage whose group belongs to a CloudFormation stack. */

const LAUNCHES = {
  template: `
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: { LaunchTemplateData: { ImageId: !Ref ImageId, InstanceType: t3.micro } }`,
  configuration: `
  Config:
    Type: AWS::AutoScaling::LaunchConfiguration
    Properties: { ImageId: !Ref ImageId, InstanceType: t3.micro }`,
} as const;

const USES = {
  template: 'LaunchTemplate: { LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber }',
  configuration: 'LaunchConfigurationName: !Ref Config',
} as const;

/** The three update policies, and none. */
export const POLICIES = {
  rolling:
    'UpdatePolicy: { AutoScalingRollingUpdate: { MaxBatchSize: 1, MinInstancesInService: 1, WaitOnResourceSignals: true, PauseTime: PT5M } }',
  replacing: `CreationPolicy: { ResourceSignal: { Count: 2, Timeout: PT5M } }
    UpdatePolicy: { AutoScalingReplacingUpdate: { WillReplace: true } }`,
  refresh: 'UpdatePolicy: { AutoScalingInstanceRefresh: { Strategy: Rolling, Preferences: { InstanceWarmup: 0 } } }',
  none: '',
} as const;

export interface StackOptions {
  readonly policy?: string;
  readonly launch?: keyof typeof LAUNCHES;
  readonly type?: string;
  readonly extra?: string;
}

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

export async function stackLab(options: StackOptions = {}, lab: RollLabOptions = {}) {
  const l = await rollLab({ ...lab, timings: { boot: 1, statusChecks: 1, shutdown: 1, stack: 2, agent: 1, ...lab.timings } });
  const settings = {
    endpoint: l.lab.url,
    region: l.place.region,
    credentials: { accessKeyId: l.lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' },
  };
  const client = new CloudFormationClient(settings);
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  const TemplateBody = templateFor(
    Subnets.map(({ SubnetId = '' }) => SubnetId),
    options,
  );
  await l.pointerTo(a);
  const Parameters = [
    { ParameterKey: 'ImageId', ParameterValue: options.type === undefined ? a : '/ami/web/stage' },
    { ParameterKey: 'Size', ParameterValue: '2' },
  ];
  await client.send(new CreateStackCommand({ StackName: 'web', TemplateBody, Parameters, Tags: [{ Key: 'team', Value: 'web' }] }));
  const status = async () => (await client.send(new DescribeStacksCommand({ StackName: 'web' }))).Stacks?.[0]?.StackStatus ?? '';
  const until = async (pattern: RegExp, seconds = 600) => {
    for (let waited = 0; !pattern.test(await status()) && waited < seconds; waited += 2) await l.lab.clock.sleep(2);
    return status();
  };
  await until(/^CREATE_COMPLETE$/);
  const stack = () => {
    const found = stacks(l.place).get('web');
    if (found === undefined) throw new Error('no stack');
    return found;
  };
  const own = () => [...groups(l.place).values()].filter(({ tags }) => tags.some(({ Key }) => Key === 'aws:cloudformation:stack-id'));
  return {
    ...l,
    ...{ a, b, c, client, status, until, stack, plain: l.act },
    act: (mode: 'promote' | 'rollback', wanted: Record<string, string>, more: Parameters<typeof l.act>[2] = {}) =>
      l.act(mode, { stack: 'web', 'stack-parameter': 'ImageId', 'warm-up': '0s', bake: '1m', ...wanted }, more),
    /** What the instances of the stack run, and the group. */
    fleet: () => own().flatMap(({ members }) => [...members.values()].map(({ id }) => instances(l.place).get(id)?.imageId ?? '')),
    groupNames: () => own().map(({ name }) => name),
    parameter: (name = 'ImageId') => stack().inputs.parameters[name],
    changeSets: () => [...stack().changeSets.keys()],
    events: () => [...stack().events].reverse().map(({ LogicalResourceId, ResourceStatus }) => `${LogicalResourceId} ${ResourceStatus}`),
    /** Another process updates the stack. */
    async updateTo(image: string) {
      const ParameterList = [
        { ParameterKey: 'ImageId', ParameterValue: image },
        { ParameterKey: 'Size', UsePreviousValue: true },
      ];
      await client.send(
        new CreateChangeSetCommand({ StackName: 'web', ChangeSetName: 'theirs', UsePreviousTemplate: true, Parameters: ParameterList }),
      );
      await l.lab.clock.sleep(5);
      await client.send(new ExecuteChangeSetCommand({ StackName: 'web', ChangeSetName: 'theirs' }));
    },
  };
}

export type StackLab = Awaited<ReturnType<typeof stackLab>>;
