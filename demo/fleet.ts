import { AutoScalingClient, CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, DescribeImagesCommand, DescribeSubnetsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { CreateTargetGroupCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetCommandInvocationCommand, GetParameterCommand, SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import type { Lab } from '../lab/lab.ts';

/** What an account has before the action comes: made as Terraform would make it, by the stock SDK. */

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

/** A group behind a target group that asks for a page: an instance whose service is dead is replaced. */
export async function makeGroup(
  cloud: Cloud,
  { name, imageId, size, grace }: { name: string; imageId: string; size: number; grace: number },
): Promise<void> {
  const { Subnets = [] } = await cloud.ec2.send(new DescribeSubnetsCommand({}));
  const { TargetGroups: [target] = [] } = await cloud.balancing.send(
    new CreateTargetGroupCommand({
      Name: name,
      Protocol: 'HTTP',
      Port: 8080,
      VpcId: Subnets[0]?.VpcId ?? '',
      HealthCheckPath: '/health',
      HealthCheckIntervalSeconds: 5,
    }),
  );
  const { LaunchTemplate } = await cloud.ec2.send(
    new CreateLaunchTemplateCommand({ LaunchTemplateName: name, LaunchTemplateData: { ImageId: imageId, InstanceType: 't3.micro' } }),
  );
  await cloud.autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: name,
      MinSize: 1,
      MaxSize: size * 2,
      DesiredCapacity: size,
      LaunchTemplate: { LaunchTemplateId: LaunchTemplate?.LaunchTemplateId ?? '', Version: '1' },
      VPCZoneIdentifier: Subnets.map(({ SubnetId }) => SubnetId).join(','),
      TargetGroupARNs: [target?.TargetGroupArn ?? ''],
      HealthCheckType: 'ELB',
      HealthCheckGracePeriod: grace,
    }),
  );
}

export async function inService({ autoScaling }: Cloud, group: string): Promise<readonly { id: string; template: string }[]> {
  const { AutoScalingGroups: [found] = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
  );
  return (found?.Instances ?? [])
    .filter(({ LifecycleState }) => LifecycleState === 'InService')
    .map(({ InstanceId = '', LaunchTemplate }) => ({ id: InstanceId, template: LaunchTemplate?.Version ?? '' }));
}

/** Asks every instance in service, over Run Command, what it runs. */
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

export async function ask({ ssm }: Cloud, lab: Lab, instanceId: string, command: string): Promise<string> {
  const { Command } = await ssm.send(
    new SendCommandCommand({ InstanceIds: [instanceId], DocumentName: 'AWS-RunShellScript', Parameters: { commands: [command] } }),
  );
  for (let looks = 0; looks < 200; looks += 1) {
    await lab.clock.sleep(2);
    const seen = await ssm
      .send(new GetCommandInvocationCommand({ CommandId: Command?.CommandId ?? '', InstanceId: instanceId }))
      .catch(() => undefined);
    if (seen !== undefined && !['Pending', 'InProgress', 'Delayed'].includes(seen.Status ?? 'Pending'))
      return (seen.StandardOutputContent ?? '').trim();
  }
  return 'no answer';
}

export const pointerValue = async ({ ssm }: Cloud, name: string): Promise<string> =>
  (await ssm.send(new GetParameterCommand({ Name: name })).catch(() => undefined))?.Parameter?.Value ?? 'none';
