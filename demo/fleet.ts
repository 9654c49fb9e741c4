import { AutoScalingClient, CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, DescribeImagesCommand, DescribeSubnetsCommand, EC2Client, type Subnet } from '@aws-sdk/client-ec2';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetCommandInvocationCommand, GetParameterCommand, SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import type { Lab } from '../lab/lab.ts';

/** The account before the action is used: two groups, made with the AWS SDK. */

export interface Cloud {
  readonly ec2: EC2Client;
  readonly ssm: SSMClient;
  readonly autoScaling: AutoScalingClient;
  readonly balancing: ElasticLoadBalancingV2Client;
}

export function connect(lab: Lab, who: { account?: string; region?: string } = {}): Cloud {
  const environment = lab.environment(who);
  const settings = {
    endpoint: lab.url,
    region: environment['AWS_REGION'] ?? '',
    credentials: { accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: environment['AWS_SECRET_ACCESS_KEY'] ?? '' },
  };
  return {
    ec2: new EC2Client(settings),
    ssm: new SSMClient(settings),
    autoScaling: new AutoScalingClient(settings),
    balancing: new ElasticLoadBalancingV2Client(settings),
  };
}

export async function baseImage({ ec2 }: Cloud): Promise<string> {
  const { Images = [] } = await ec2.send(
    new DescribeImagesCommand({ Owners: ['amazon'], Filters: [{ Name: 'architecture', Values: ['x86_64'] }] }),
  );
  const [image] = Images;
  if (image?.ImageId === undefined) throw new Error('The lab has no base image.');
  return image.ImageId;
}

/** Before the first image: a plain system whose user data starts the service. */
const USER_DATA = `#!/bin/sh
[ -d /opt/web ] && exit 0
mkdir -p /srv/old && echo ok > /srv/old/health && cd /srv/old
setsid python3 -m http.server 8080 >/dev/null 2>&1 &
`;

/** A group with health checks of its target group: an instance whose service does not answer is replaced. */
export async function makeGroup(cloud: Cloud, { name, imageId, size }: { name: string; imageId: string; size: number }): Promise<void> {
  const { Subnets = [] } = await cloud.ec2.send(new DescribeSubnetsCommand({}));
  const target = await makeTargetGroup(cloud, name, Subnets);
  const { LaunchTemplate } = await cloud.ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: name,
      LaunchTemplateData: { ImageId: imageId, InstanceType: 't3.micro', UserData: Buffer.from(USER_DATA).toString('base64') },
    }),
  );
  await cloud.autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: name,
      MinSize: 1,
      MaxSize: size * 2,
      DesiredCapacity: size,
      LaunchTemplate: { LaunchTemplateId: LaunchTemplate?.LaunchTemplateId ?? '', Version: '1' },
      VPCZoneIdentifier: Subnets.map(({ SubnetId }) => SubnetId).join(','),
      TargetGroupARNs: [target],
      HealthCheckType: 'ELB',
      HealthCheckGracePeriod: 10,
    }),
  );
}

/** With a load balancer and a listener: a target group without a listener runs no health checks. */
async function makeTargetGroup({ balancing }: Cloud, name: string, subnets: readonly Subnet[]): Promise<string> {
  const { TargetGroups: [target] = [] } = await balancing.send(
    new CreateTargetGroupCommand({
      Name: name,
      Protocol: 'HTTP',
      Port: 8080,
      VpcId: subnets[0]?.VpcId ?? '',
      HealthCheckPath: '/health',
      HealthCheckIntervalSeconds: 5,
    }),
  );
  const arn = target?.TargetGroupArn ?? '';
  const quick = { Key: 'deregistration_delay.timeout_seconds', Value: '10' };
  await balancing.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes: [quick] }));
  const ids = subnets.map(({ SubnetId = '' }) => SubnetId);
  const { LoadBalancers: [balancer] = [] } = await balancing.send(new CreateLoadBalancerCommand({ Name: name, Subnets: ids }));
  await balancing.send(
    new CreateListenerCommand({
      LoadBalancerArn: balancer?.LoadBalancerArn ?? '',
      Protocol: 'HTTP',
      Port: 80,
      DefaultActions: [{ Type: 'forward', TargetGroupArn: arn }],
    }),
  );
  return arn;
}

export async function inService({ autoScaling }: Cloud, group: string): Promise<readonly { id: string; template: string }[]> {
  const { AutoScalingGroups: [found] = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
  );
  return (found?.Instances ?? [])
    .filter(({ LifecycleState }) => LifecycleState === 'InService')
    .map(({ InstanceId = '', LaunchTemplate }) => ({ id: InstanceId, template: LaunchTemplate?.Version ?? '' }));
}

/** What every in-service instance runs, by its own answer over Run Command. */
export async function askGroup(cloud: Cloud, lab: Lab, group: string): Promise<string> {
  const instances = await inService(cloud, group);
  const answers = await Promise.all(
    instances.map(
      async ({ id }) =>
        `${id}: ${await ask(cloud, lab, id, 'echo "web is $(systemctl is-active web), version $(cat /opt/web/version 2>/dev/null || echo none)"')}`,
    ),
  );
  return [`${group}:`, ...answers.map(line => `  ${line}`)].join('\n');
}

async function ask({ ssm }: Cloud, lab: Lab, instanceId: string, command: string): Promise<string> {
  const { Command } = await ssm.send(
    new SendCommandCommand({ InstanceIds: [instanceId], DocumentName: 'AWS-RunShellScript', Parameters: { commands: [command] } }),
  );
  for (let polls = 0; polls < 200; polls += 1) {
    await lab.clock.sleep(2);
    const invocation = await ssm
      .send(new GetCommandInvocationCommand({ CommandId: Command?.CommandId ?? '', InstanceId: instanceId }))
      .catch(() => undefined);
    if (invocation !== undefined && !['Pending', 'InProgress', 'Delayed'].includes(invocation.Status ?? 'Pending'))
      return (invocation.StandardOutputContent ?? '').trim();
  }
  return 'no answer';
}

export const pointerValue = async ({ ssm }: Cloud, name: string): Promise<string> =>
  (await ssm.send(new GetParameterCommand({ Name: name })).catch(() => undefined))?.Parameter?.Value ?? 'none';
