import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  type LaunchTemplateSpecification,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient, PutMetricAlarmCommand, SetAlarmStateCommand, type StateValue } from '@aws-sdk/client-cloudwatch';
import { CreateLaunchTemplateCommand, DescribeSubnetsCommand, EC2Client, type RequestLaunchTemplateData } from '@aws-sdk/client-ec2';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { groups } from '../../lab/autoscaling/group.ts';
import { addImage } from '../../lab/ec2/image-making.ts';
import { images, neighbours } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { instances, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { sickImages } from '../../lab/elb/target-state.ts';
import { newId } from '../../lab/ids.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { paperHypervisor } from '../../lab/machines/paper.ts';
import { latest, parameters } from '../../lab/ssm/parameter-state.ts';
import type { Timings } from '../../lab/timings.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { type Ran, runAction } from '../harness.ts';

/** A lab with groups on paper machines: quick, but with every status, refusal and delay of the real thing. */

export const POINTER = '/ami/web/stage';

export interface RollLabOptions {
  readonly speed?: number;
  readonly timings?: Partial<Timings>;
  /** Real processes: for what instances really do. */
  readonly sandbox?: boolean;
  /** `good`: also where other tests have bad weather, as where calls are counted. */
  readonly weather?: 'good';
}

export async function rollLab({ speed = 240, timings = {}, sandbox = false, ...weather }: RollLabOptions = {}) {
  const paper = paperHypervisor();
  const lab = await startLab({
    machines: sandbox ? 'sandbox' : paper,
    hostManagement: true,
    ...weather,
    speed,
    timings: { statusChecks: 5, refreshPatience: 120, ...timings },
  });
  return {
    ...stageIn(lab, paper),
    paper,
    /** The same stage in another region: other groups, other images. */
    inRegion: (region: string) => stageIn(lab, paper, region),
    act: (
      mode: 'promote' | 'rollback',
      wanted: Record<string, string>,
      more: Partial<Parameters<typeof runAction>[0]> = {},
    ): Promise<Ran> =>
      runAction({ mode, with: { family: 'web', environment: 'stage', bake: '2m', 'roll-timeout': '1h', ...wanted }, lab, ...more }),
  };
}

function stageIn(lab: Lab, paper: ReturnType<typeof paperHypervisor>, region?: string) {
  const place = region === undefined ? lab.place() : lab.place(undefined, region);
  const settings = {
    endpoint: lab.url,
    region: place.region,
    credentials: { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' },
  };
  const cloud = {
    ec2: new EC2Client(settings),
    autoScaling: new AutoScalingClient(settings),
    balancing: new ElasticLoadBalancingV2Client(settings),
    ssm: new SSMClient(settings),
    alarms: new CloudWatchClient(settings),
  };
  let made = 0;
  /** Groups in which every image but the first one dies. */
  const fails = new Set<string>();
  const made1st = () => [...images(place).values()].find(({ name }) => name === 'web-a')?.id;
  const groupOf = (instanceId: string) => [...groups(place).values()].find(({ members }) => members.has(instanceId))?.name ?? '';
  const elsewhere = paper.answers.http;
  const http: typeof elsewhere = (port, path, who) => {
    const { instanceId } = who;
    if (!instances(place).has(instanceId)) return elsewhere(port, path, who);
    return fails.has(groupOf(instanceId)) && instances(place).get(instanceId)?.imageId !== made1st() ? 500 : 200;
  };
  Object.assign(paper.answers, { http });
  return {
    lab,
    place,
    cloud,
    /** Images whose service dies after boot. */
    sick: sickImages(place),
    fails,
    /** One that passed, unless the tags say otherwise. */
    image(name: string, tags: Record<string, string> = {}): string {
      const base = neighbours(place)
        .flatMap(owner => [...images(owner).values()])
        .find(({ architecture }) => architecture === 'x86_64');
      if (base === undefined) throw new Error('no base image');
      const id = newId('ami');
      const verdict = verdictValue(id, { result: 'passed', checks: '0'.repeat(32), at: new Date() });
      // A second apart, so that "latest" means the last one.
      made += 1;
      const createdAt = new Date(lab.clock.now() + made * 1000);
      Object.assign(addImage(place, { ...base, id, name, description: name, tags: {} }), { state: 'available', createdAt });
      setTags(place, id, { 'ami-action:family': 'web', 'ami-action:commit': 'c'.repeat(40), 'ami-action:verdict': verdict, ...tags });
      return id;
    },
    async template(name: string, data: RequestLaunchTemplateData): Promise<string> {
      const made = await cloud.ec2.send(
        new CreateLaunchTemplateCommand({ LaunchTemplateName: name, LaunchTemplateData: { InstanceType: 't3.micro', ...data } }),
      );
      return made.LaunchTemplate?.LaunchTemplateId ?? '';
    },
    /** Behind a target group that asks for a page, so that a dead service is seen. Resolves when all instances are in service. */
    async group(
      name: string,
      launch: LaunchTemplateSpecification,
      change: Partial<CreateAutoScalingGroupCommandInput> = {},
    ): Promise<void> {
      const { Subnets = [] } = await cloud.ec2.send(new DescribeSubnetsCommand({}));
      const target = await balanced(cloud.balancing, name, Subnets);
      const size = change.DesiredCapacity ?? 2;
      await cloud.autoScaling.send(
        new CreateAutoScalingGroupCommand({
          AutoScalingGroupName: name,
          MinSize: 0,
          MaxSize: 8,
          DesiredCapacity: size,
          ...(change.MixedInstancesPolicy === undefined ? { LaunchTemplate: launch } : {}),
          VPCZoneIdentifier: Subnets.map(({ SubnetId }) => SubnetId).join(','),
          TargetGroupARNs: [target],
          HealthCheckType: 'ELB',
          HealthCheckGracePeriod: 30,
          ...change,
        }),
      );
      for (let waited = 0; this.runs(name).length < size && waited < 600; waited += 2) await lab.clock.sleep(2);
    },
    /** A CloudWatch alarm in a state. */
    async alarm(AlarmName: string, state: StateValue): Promise<void> {
      const metric = { Namespace: 'web', MetricName: 'errors', Period: 60, EvaluationPeriods: 1, Statistic: 'Sum' } as const;
      await cloud.alarms.send(
        new PutMetricAlarmCommand({ AlarmName, ...metric, Threshold: 1, ComparisonOperator: 'GreaterThanThreshold' }),
      );
      await cloud.alarms.send(new SetAlarmStateCommand({ AlarmName, StateValue: state, StateReason: 'test' }));
    },
    /** Another process makes the group launch another version. */
    relaunch: (name: string, Version: string) =>
      cloud.autoScaling.send(
        new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: name, LaunchTemplate: { LaunchTemplateName: name, Version } }),
      ),
    pointerTo: (value: string, name = POINTER) =>
      cloud.ssm
        .send(new PutParameterCommand({ Name: name, Value: value, Type: 'String', DataType: 'aws:ec2:image', Overwrite: true }))
        .then(() => lab.clock.sleep(5)),
    /** What the instances in service were launched from. */
    runs: (name: string): string[] =>
      [...(groups(place).get(name)?.members.values() ?? [])]
        .filter(({ state }) => state === 'InService')
        .map(({ id }) => instances(place).get(id)?.imageId ?? ''),
    pointer: (name = POINTER): string | undefined => {
      const found = parameters(place).get(name);
      return found === undefined ? undefined : latest(found).value;
    },
    pointerVersions: (name = POINTER): number => parameters(place).get(name)?.versions.length ?? 0,
    candidate: (name = POINTER): boolean => parameters(place).has(`${name}/candidate`),
    launches: (name: string) => groups(place).get(name)?.recipe,
    versions: (name: string): number[] => [
      ...([...templates(place).values()].find(template => template.name === name)?.versions.keys() ?? []),
    ],
    refreshes: (name: string): string[] => (groups(place).get(name)?.refreshes ?? []).map(({ status }) => status),
    tags: (id: string) => tagsOf(place, id),
    retag: (id: string, tags: Record<string, string>) => setTags(place, id, tags),
  };
}

/** A target group that a load balancer sends to; without one its targets have no health. */
async function balanced(
  balancing: ElasticLoadBalancingV2Client,
  name: string,
  subnets: readonly { VpcId?: string | undefined; SubnetId?: string | undefined }[],
): Promise<string> {
  const made = await balancing.send(
    new CreateTargetGroupCommand({
      Name: name,
      Protocol: 'HTTP',
      Port: 8080,
      VpcId: subnets[0]?.VpcId,
      HealthCheckIntervalSeconds: 5,
      UnhealthyThresholdCount: 2,
      HealthyThresholdCount: 2,
    }),
  );
  const TargetGroupArn = made.TargetGroups?.[0]?.TargetGroupArn ?? '';
  await balancing.send(
    new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '0' }] }),
  );
  const balancer = await balancing.send(
    new CreateLoadBalancerCommand({ Name: name, Subnets: subnets.flatMap(({ SubnetId }) => (SubnetId === undefined ? [] : [SubnetId])) }),
  );
  const LoadBalancerArn = balancer.LoadBalancers?.[0]?.LoadBalancerArn ?? '';
  await balancing.send(
    new CreateListenerCommand({ LoadBalancerArn, Protocol: 'HTTP', Port: 80, DefaultActions: [{ Type: 'forward', TargetGroupArn }] }),
  );
  return TargetGroupArn;
}

export type RollLab = Awaited<ReturnType<typeof rollLab>>;
