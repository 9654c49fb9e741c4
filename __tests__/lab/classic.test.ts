import {
  AttachLoadBalancersCommand,
  AttachTrafficSourcesCommand,
  DescribeLoadBalancersCommand,
  DescribeTrafficSourcesCommand,
  DetachLoadBalancersCommand,
  SetDesiredCapacityCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  DeleteLoadBalancerCommand,
  DescribeInstanceHealthCommand,
  ElasticLoadBalancingClient,
} from '@aws-sdk/client-elastic-load-balancing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addClassicBalancer, classicHealth } from '../../lab/elb/classic.ts';
import { sickImages } from '../../lab/elb/target-state.ts';
import { activities, aGroup, anImage, aTemplate, running, type Stage, settled, stage, theGroup, until } from './group-stage.ts';

/** Classic load balancers (ELB v1), as Auto Scaling describes them: by name, with one state for all instances of a group. */

let on: Stage;
let good: string;
let mute: string;

beforeAll(async () => {
  on = await stage();
  good = await anImage(on, 'good');
  mute = await anImage(on, 'mute');
  sickImages(on.lab.place()).add(mute);
});
afterAll(() => on.close());

async function behind(name: string, image: string, options: Parameters<typeof aGroup>[2] = {}, drainSeconds = 0): Promise<void> {
  addClassicBalancer(on.lab.place(), name, { target: 'HTTP:8080/health', healthyThreshold: 2, drainSeconds });
  const LaunchTemplateId = await aTemplate(on, name, { ImageId: image });
  await aGroup(on, name, { LaunchTemplate: { LaunchTemplateId }, DesiredCapacity: 1, HealthCheckType: 'ELB', ...options });
}
const classicClient = ({ lab }: Stage) =>
  new ElasticLoadBalancingClient({
    ...{ endpoint: lab.url, region: 'eu-central-1', maxAttempts: 1 },
    credentials: { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' },
  });
const attach = (name: string) =>
  on.asg.send(new AttachLoadBalancersCommand({ AutoScalingGroupName: name, LoadBalancerNames: [name] })).then(() => undefined);
const stateOf = async (name: string) => {
  const { TrafficSources = [] } = await on.asg.send(new DescribeTrafficSourcesCommand({ AutoScalingGroupName: name }));
  return TrafficSources.map(({ Identifier, Type, State }) => [Identifier, Type, State]);
};
const health = (name: string) => [...classicHealth(on.lab.place(), name).values()];
const looks = (seconds: number) => on.lab.clock.sleep(seconds);
const endings = async (name: string) =>
  (await activities(on, name)).filter(({ Description = '' }) => Description.startsWith('Terminating')).map(({ Cause }) => Cause);

describe('the state of a classic load balancer', () => {
  test('is InService at once where a group is created with it, whatever its instances do', async () => {
    await behind('made', mute, { LoadBalancerNames: ['made'], HealthCheckGracePeriod: 3600 });
    await until(
      async () => health('made'),
      ([seen]) => seen === 'OutOfService',
    );
    expect(await stateOf('made')).toEqual([['made', 'elb', 'InService']]);
    const group = await theGroup(on, 'made');
    expect([group?.LoadBalancerNames, group?.TargetGroupARNs, group?.TrafficSources]).toEqual([
      ['made'],
      [],
      [{ Identifier: 'made', Type: 'elb' }],
    ]);
  });

  test('is Added where it was attached later, until one instance is healthy', async () => {
    await behind('later', mute);
    await attach('later');
    await looks(60);
    expect([await stateOf('later'), health('later')]).toEqual([[['later', 'elb', 'Added']], ['OutOfService']]);
    // No instance is replaced: the load balancer itself may be wrong.
    expect(await endings('later')).toEqual([]);
    sickImages(on.lab.place()).delete(mute);
    await until(
      () => stateOf('later'),
      ([source]) => source?.[2] === 'InService',
    );
    sickImages(on.lab.place()).add(mute);
    await until(
      () => endings('later'),
      causes => causes.some(cause => cause?.includes('an ELB system health check failure')),
    );
    // AWS does not document that it goes back; here it does not.
    expect(await stateOf('later')).toEqual([['later', 'elb', 'InService']]);
  });

  test('stays Added where the group does not use its health checks', async () => {
    await behind('unasked', good, { HealthCheckType: 'EC2' });
    await on.asg.send(
      new AttachTrafficSourcesCommand({ AutoScalingGroupName: 'unasked', TrafficSources: [{ Identifier: 'unasked', Type: 'elb' }] }),
    );
    await until(
      async () => health('unasked'),
      ([seen]) => seen === 'InService',
    );
    await looks(30);
    const { LoadBalancers } = await on.asg.send(new DescribeLoadBalancersCommand({ AutoScalingGroupName: 'unasked' }));
    expect(LoadBalancers).toEqual([{ LoadBalancerName: 'unasked', State: 'Added' }]);
    await on.asg.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'unasked', HealthCheckType: 'ELB' }));
    await until(
      () => stateOf('unasked'),
      ([source]) => source?.[2] === 'InService',
    );
  });
});

test('an instance that is OutOfService is replaced after the grace period', async () => {
  await behind('dying', mute, { LoadBalancerNames: ['dying'], HealthCheckGracePeriod: 60 });
  await until(
    () => endings('dying'),
    causes => causes.some(cause => cause?.includes('an ELB system health check failure')),
  );
});

test('an instance drains before it terminates; a detached load balancer is no longer used', async () => {
  await behind('drains', good, { LoadBalancerNames: ['drains'] }, 60);
  await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'drains', DesiredCapacity: 0 }));
  await until(
    async () => (await theGroup(on, 'drains'))?.Instances ?? [],
    ([leaving]) => leaving?.LifecycleState === 'Terminating',
  );
  expect([await running(on, 'drains'), health('drains')]).toEqual([[good], ['OutOfService']]);
  await settled(on, 'drains', 0);
  expect(health('drains')).toEqual([]);
  await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'drains', DesiredCapacity: 1 }));
  await settled(on, 'drains', 1);
  await on.asg.send(new DetachLoadBalancersCommand({ AutoScalingGroupName: 'drains', LoadBalancerNames: ['drains'] }));
  expect([await stateOf('drains'), await running(on, 'drains')]).toEqual([[], [good]]);
});

test('an unknown classic load balancer is refused, and its API has only the health of instances', async () => {
  const refused = behind('nowhere', good, { LoadBalancerNames: ['elsewhere'] });
  await expect(refused).rejects.toThrow('Provided Load Balancers may not be valid. Please ensure they exist and try again.');
  const lattice = on.asg.send(
    new AttachTrafficSourcesCommand({ AutoScalingGroupName: 'made', TrafficSources: [{ Identifier: 'arn:x', Type: 'vpc-lattice' }] }),
  );
  await expect(lattice).rejects.toThrow('this lab has no VPC Lattice');
  const own = classicClient(on);
  await expect(own.send(new DescribeInstanceHealthCommand({ LoadBalancerName: 'elsewhere' }))).rejects.toThrow(
    "There is no ACTIVE Load Balancer named 'elsewhere'",
  );
  await expect(own.send(new DeleteLoadBalancerCommand({ LoadBalancerName: 'made' }))).rejects.toThrow();
});

test('the health of each instance', async () => {
  await behind('thinks', good, { LoadBalancerNames: ['thinks'], HealthCheckType: 'EC2' });
  const states = async () => {
    const { InstanceStates = [] } = await classicClient(on).send(new DescribeInstanceHealthCommand({ LoadBalancerName: 'thinks' }));
    return InstanceStates.map(({ State, ReasonCode, Description }) => [State, ReasonCode, Description]);
  };
  await until(states, ([first]) => first?.[0] === 'InService');
  expect(await states()).toEqual([['InService', 'N/A', 'N/A']]);
  sickImages(on.lab.place()).add(good);
  await until(states, ([first]) => first?.[0] === 'OutOfService');
  sickImages(on.lab.place()).delete(good);
  const failed = 'Instance has failed at least the UnhealthyThreshold number of health checks consecutively.';
  expect(await states()).toEqual([['OutOfService', 'Instance', failed]]);
});
