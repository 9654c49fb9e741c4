import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  DescribeScalingActivitiesCommand,
  StartInstanceRefreshCommand,
  type StartInstanceRefreshCommandInput,
} from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import {
  CopyImageCommand,
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  EC2Client,
  type RequestLaunchTemplateData,
} from '@aws-sdk/client-ec2';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { SSMClient } from '@aws-sdk/client-ssm';
import { type Lab, type LabOptions, startLab } from '../../lab/lab.ts';

/** A lab with paper machines, and an official client for each service. */
export async function stage(options: LabOptions = {}) {
  const lab = await startLab({ speed: 600, machines: 'paper', ...options });
  const at = client(lab);
  const clients = {
    asg: new AutoScalingClient(at),
    ec2: new EC2Client(at),
    elb: new ElasticLoadBalancingV2Client(at),
    ssm: new SSMClient(at),
    alarms: new CloudWatchClient(at),
  };
  const close = async () => {
    for (const one of Object.values(clients)) one.destroy();
    await lab.close();
  };
  return { lab, ...clients, close };
}

export type Stage = Awaited<ReturnType<typeof stage>>;

const client = (lab: Lab) => {
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_REGION = '' } = lab.environment();
  return {
    endpoint: lab.url,
    region: AWS_REGION,
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
    maxAttempts: 1,
  };
};

/** Polls until the answer is right. The time limit of the test ends an endless wait. */
export async function until<T>(ask: () => Promise<T>, right: (answer: T) => boolean, atMostMs = 60_000): Promise<T> {
  const deadline = Date.now() + atMostMs;
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still not right: ${JSON.stringify(answer, undefined, 1)}`);
    await new Promise(done => setTimeout(done, 5));
  }
}

export async function anImage({ ec2 }: Stage, Name: string, architecture = 'x86_64'): Promise<string> {
  const base = await ec2.send(
    new DescribeImagesCommand({ Owners: ['137112412989'], Filters: [{ Name: 'architecture', Values: [architecture] }] }),
  );
  const SourceImageId = base.Images?.[0]?.ImageId;
  const { ImageId = '' } = await ec2.send(new CopyImageCommand({ Name, SourceImageId, SourceRegion: 'eu-central-1' }));
  await until(
    () => ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] })),
    ({ Images }) => Images?.[0]?.State === 'available',
  );
  return ImageId;
}

export async function aTemplate({ ec2 }: Stage, LaunchTemplateName: string, data: RequestLaunchTemplateData): Promise<string> {
  const LaunchTemplateData = { InstanceType: 't3.micro' as const, ...data };
  const made = await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName, LaunchTemplateData }));
  return made.LaunchTemplate?.LaunchTemplateId ?? '';
}

export async function aVersion(
  { ec2 }: Stage,
  LaunchTemplateId: string,
  SourceVersion: string,
  data: RequestLaunchTemplateData,
): Promise<number> {
  const made = await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, SourceVersion, LaunchTemplateData: data }));
  return made.LaunchTemplateVersion?.VersionNumber ?? 0;
}

type GroupOptions = Partial<CreateAutoScalingGroupCommandInput>;

/** A group, and its instances in service. */
export async function aGroup(on: Stage, AutoScalingGroupName: string, options: GroupOptions): Promise<void> {
  const { DesiredCapacity = 2 } = options;
  const zones = ['eu-central-1a', 'eu-central-1b', 'eu-central-1c'];
  await on.asg.send(
    new CreateAutoScalingGroupCommand({
      MinSize: 0,
      MaxSize: 10,
      AvailabilityZones: zones,
      ...options,
      AutoScalingGroupName,
      DesiredCapacity,
    }),
  );
  await settled(on, AutoScalingGroupName, DesiredCapacity);
}

export const theGroup = async ({ asg }: Stage, name: string) => {
  const { AutoScalingGroups = [] } = await asg.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
  return AutoScalingGroups[0];
};

/** Waits for this number of instances, all in service and none leaving. */
export const settled = (on: Stage, name: string, size: number) =>
  until(
    async () => (await theGroup(on, name))?.Instances ?? [],
    instances => instances.length === size && instances.every(({ LifecycleState }) => LifecycleState === 'InService'),
  );

/** Image IDs of the running instances, sorted, read from EC2. */
export async function running(on: Stage, name: string): Promise<readonly string[]> {
  const Filters = [
    { Name: 'tag:aws:autoscaling:groupName', Values: [name] },
    { Name: 'instance-state-name', Values: ['pending', 'running'] },
  ];
  const { Reservations = [] } = await on.ec2.send(new DescribeInstancesCommand({ Filters }));
  return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ ImageId = '' }) => ImageId)).sort();
}

export async function start(
  { asg }: Stage,
  AutoScalingGroupName: string,
  options: Omit<StartInstanceRefreshCommandInput, 'AutoScalingGroupName'> = {},
) {
  const { InstanceRefreshId = '' } = await asg.send(new StartInstanceRefreshCommand({ AutoScalingGroupName, ...options }));
  return InstanceRefreshId;
}

export async function theRefresh({ asg }: Stage, AutoScalingGroupName: string) {
  const { InstanceRefreshes = [] } = await asg.send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName }));
  const [newest] = InstanceRefreshes;
  if (newest === undefined) throw new Error(`${AutoScalingGroupName} was never refreshed`);
  return newest;
}

const ENDED = ['Successful', 'Failed', 'Cancelled', 'RollbackFailed', 'RollbackSuccessful'];

export const ended = (on: Stage, name: string) =>
  until(
    () => theRefresh(on, name),
    ({ Status = '' }) => ENDED.includes(Status),
  );

export const reaches = (on: Stage, name: string, status: string) =>
  until(
    () => theRefresh(on, name),
    ({ Status }) => Status === status,
  );

export async function activities({ asg }: Stage, AutoScalingGroupName: string) {
  const { Activities = [] } = await asg.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName }));
  return Activities;
}

/** A target group with a load balancer. Draining takes no time unless a test sets it. */
export async function aTargetGroup({ elb }: Stage, Name: string, drainSeconds = 0): Promise<string> {
  const made = await elb.send(new CreateTargetGroupCommand({ Name, Protocol: 'HTTP', Port: 8080, HealthCheckPath: '/health' }));
  const TargetGroupArn = made.TargetGroups?.[0]?.TargetGroupArn ?? '';
  const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: String(drainSeconds) }];
  await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
  const balancer = await elb.send(new CreateLoadBalancerCommand({ Name }));
  const LoadBalancerArn = balancer.LoadBalancers?.[0]?.LoadBalancerArn;
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn }];
  await elb.send(new CreateListenerCommand({ LoadBalancerArn, Port: 80, Protocol: 'HTTP', DefaultActions }));
  return TargetGroupArn;
}
