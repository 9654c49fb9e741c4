import { AttachLoadBalancersCommand, DescribeAutoScalingGroupsCommand, SuspendProcessesCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { instances } from '../../lab/ec2/state.ts';
import { addClassicBalancer, classicHealth } from '../../lab/elb/classic.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';
import { bake, served } from './roll-machines.ts';

/** Behind a classic load balancer (ELB v1): Auto Scaling tells of it only whether it has ever seen one healthy instance of a group, so it is asked itself. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const ELB = 'web-elb';
const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { ...quick, image, ...wanted }, more);
const blueGreen = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  promote(image, { strategy: 'blue-green', ...wanted }, more);

type Change = Parameters<RollLab['group']>[2];
const BEHIND: Change = { TargetGroupARNs: [], LoadBalancerNames: [ELB] };

async function stage(change: Change = {}, targetHealth = 1) {
  l = await rollLab({ timings: { boot: 1, statusChecks: 1, targetHealth, shutdown: 1 } });
  addClassicBalancer(l.place, ELB, { target: 'HTTP:8080/', healthyThreshold: 2, drainSeconds: 30 });
  const [a, b] = [l.image('web-a'), l.image('web-b')];
  await l.pointerTo(a);
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' }, { ...BEHIND, ...change });
  return { a, b };
}

/** Image and state of everybody that the balancer knows. */
const balanced = () =>
  [...classicHealth(l.place, ELB)].map(([id, state]) => `${instances(l.place).get(id)?.imageId ?? 'gone'} ${state}`).sort();
const alive = () => Object.fromEntries([...groups(l.place).keys()].map(name => [name, [...new Set(l.runs(name))]]));
const stateNow = () => ({ alive: alive(), pointer: l.pointer(), candidate: l.candidate(), balanced: balanced() });
const two = (image: string) => [`${image} InService`, `${image} InService`];
const until = async (isSo: () => boolean) => {
  for (let waited = 0; !isSo() && waited < 1800; waited += 2) await l.lab.clock.sleep(2);
};

describe('blue-green', () => {
  test.each<[string, Change]>([
    ['a load balancer', {}],
    ['a traffic source', { LoadBalancerNames: [], TrafficSources: [{ Identifier: ELB, Type: 'elb' }] }],
  ])('the new group takes over when the balancer, known as %s, has seen it', async (_, change) => {
    const { b } = await stage(change);
    const ran = await blueGreen(b);
    expect([ran.exitCode, ran.warnings]).toEqual([0, []]);
    expect(stateNow()).toEqual({ alive: { 'web-green': [b] }, pointer: b, candidate: false, balanced: two(b) });
    const { AutoScalingGroups: [green] = [] } = await l.cloud.autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
    expect(green?.LoadBalancerNames).toEqual([ELB]);
  });

  test('a dead service: the green group is deleted, the old one is not touched', async () => {
    // With so long a grace period the group itself says nothing all the time.
    const { a, b } = await stage({ HealthCheckGracePeriod: 3600 });
    const before = [...(groups(l.place).get('web')?.members.keys() ?? [])];
    l.sick.add(b);
    const ran = await blueGreen(b, { 'roll-timeout': '20m' });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(
      /web-green: gave up after [\dms ]+\. Last seen: 2 of 2 new instances get no traffic yet: web-elb reports OutOfService, Instance has failed [^\n]*\.[\s\S]*Reverted: every group launches and runs what it did before/,
    );
    expect(stateNow()).toEqual({ alive: { web: [a] }, pointer: a, candidate: false, balanced: two(a) });
    expect([[...(groups(l.place).get('web')?.members.keys() ?? [])], l.versions('web')]).toEqual([before, [1]]);
    expect(ran.summary).toMatch(/of `web-green`[\s\S]*web-elb reports OutOfService, Instance has failed[\s\S]*paper machine i-/);
  });

  test('one that is dead of two is seen, though the group keeps it to itself in the grace period', async () => {
    const { a, b } = await stage({ HealthCheckGracePeriod: 300 });
    const fresh: string[] = [];
    const http = (_port: number, _path: string, { instanceId }: { instanceId: string }) => {
      if (instances(l.place).get(instanceId)?.imageId === b && !fresh.includes(instanceId)) fresh.push(instanceId);
      return fresh.indexOf(instanceId) > 0 ? 500 : 200;
    };
    Object.assign(l.paper.answers, { http });
    const ran = await blueGreen(b, { 'roll-timeout': '30m' });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toContain(`web-green: ${fresh[1]} of the new group became unhealthy`);
    expect(stateNow()).toEqual({ alive: { web: [a] }, pointer: a, candidate: false, balanced: two(a) });
  });

  test('killed when the new group was just made: the next run puts it behind the balancer', async () => {
    const { b } = await stage();
    const onStart = (child: { kill(signal: 'SIGKILL'): unknown }) =>
      void l.lab.faults.add({
        operation: 'CreateAutoScalingGroup',
        nth: 1,
        action: { run: () => void child.kill('SIGKILL'), at: 'after' },
      });
    expect((await blueGreen(b, {}, { onStart })).signal).toBe('SIGKILL');
    expect((await blueGreen(b)).exitCode).toBe(0);
    expect(stateNow()).toEqual({ alive: { 'web-green': [b] }, pointer: b, candidate: false, balanced: two(b) });
  });

  test('held, both are behind it; a rollback leaves the old one there alone', async () => {
    const { a, b } = await stage();
    await blueGreen(b, { hold: 'true' });
    expect(balanced()).toEqual([...two(a), ...two(b)].sort());
    expect((await l.act('rollback', { ...quick, strategy: 'blue-green' })).exitCode).toBe(0);
    expect(stateNow()).toEqual({ alive: { web: [a] }, pointer: a, candidate: false, balanced: two(a) });
  });
});

describe('rolling', () => {
  test('a good image is green; a dead one is rolled back, and the balancer has what it had', async () => {
    const { a, b } = await stage();
    expect((await promote(b)).exitCode).toBe(0);
    expect(stateNow()).toEqual({ alive: { web: [b] }, pointer: b, candidate: false, balanced: two(b) });
    l.sick.add(a);
    const ran = await promote(a);
    expect([ran.exitCode, ran.outputs['outcome'], l.refreshes('web')[0]]).toEqual([1, 'rejected', 'RollbackSuccessful']);
    expect(ran.errors.join('\n')).toMatch(/web: AWS rolled the refresh back; the old image runs again/);
    await until(() => balanced().join() === two(b).join());
    expect(stateNow()).toEqual({ alive: { web: [b] }, pointer: b, candidate: false, balanced: two(b) });
  });

  describe.each(['rolling', 'blue-green'])('%s, and the group does not ask the balancer', strategy => {
    test('a good image is green', async () => {
      const { b } = await stage({ HealthCheckType: 'EC2' });
      const ran = await promote(b, { strategy });
      expect([ran.exitCode, ran.errors, l.pointer(), balanced()]).toEqual([0, [], b, two(b)]);
      expect(ran.warnings.length).toBe(strategy === 'rolling' ? 1 : 0);
    });

    test('a balancer that takes its time with new instances is waited for', async () => {
      const { b } = await stage({ HealthCheckType: 'EC2' }, 240);
      const ran = await promote(b, { strategy });
      expect([ran.errors, l.pointer(), balanced()]).toEqual([[], b, two(b)]);
      expect(ran.log).toContain('web-elb reports OutOfService, Instance registration is still in progress');
    });

    test('a dead service is not: we ask', async () => {
      const { a, b } = await stage({ HealthCheckType: 'EC2' });
      l.sick.add(b);
      const ran = await promote(b, { strategy, 'roll-timeout': '20m', bake: '5m' });
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
      expect(ran.errors.join('\n')).toMatch(
        /web-elb reports OutOfService, Instance has failed at least the UnhealthyThreshold number of health checks consecutively/,
      );
      await until(() => balanced().join() === two(a).join());
      expect(stateNow()).toEqual({ alive: { web: [a] }, pointer: a, candidate: false, balanced: two(a) });
    });
  });

  describe('that was not watched is verified before the pointer moves', () => {
    const rolled = async (change: Change = {}) => {
      const { a, b } = await stage(change);
      await promote(b, { wait: 'false' });
      await until(() => l.refreshes('web')[0] === 'Successful');
      l.sick.add(b);
      return { a, b };
    };

    test('and is not green behind a balancer that sees no healthy instance', async () => {
      const { a, b } = await rolled({ LoadBalancerNames: [], HealthCheckGracePeriod: 3600 });
      await l.cloud.autoScaling.send(new AttachLoadBalancersCommand({ AutoScalingGroupName: 'web', LoadBalancerNames: [ELB] }));
      const ran = await promote(b);
      expect([ran.exitCode, ran.outputs['outcome'], l.pointer(), l.candidate()]).toEqual([1, 'rejected', a, true]);
      expect(ran.errors.join('\n')).toMatch(
        /web: the load balancer sends no traffic to i-[0-9a-f]+ and 1 more \(web-elb reports OutOfService, Instance has failed [^\n]*\)/,
      );
    });

    test('nor when the group itself calls its instances unhealthy', async () => {
      const { a, b } = await rolled();
      await l.cloud.autoScaling.send(new SuspendProcessesCommand({ AutoScalingGroupName: 'web', ScalingProcesses: ['ReplaceUnhealthy'] }));
      await until(() => [...(groups(l.place).get('web')?.members.values() ?? [])].every(({ health }) => health === 'Unhealthy'));
      const ran = await promote(b);
      expect([ran.exitCode, ran.outputs['outcome'], l.pointer()]).toEqual([1, 'rejected', a]);
      expect(ran.errors.join('\n')).toMatch(
        /sends no traffic to i-[0-9a-f]+ and 1 more \(web-elb reports OutOfService, Instance has failed/,
      );
    });
  });
});

describe('with real machines', () => {
  // Longer than the service lives.
  const slow = { 'warm-up': '150s', bake: '5m', 'roll-timeout': '30m' };
  test.each([
    ['blue-green', /web: i-[0-9a-f]+ of the new group became unhealthy/],
    ['rolling', /web: (AWS rolled the refresh back; the old image runs again|during the bake time, \d+ new instances became unhealthy)/],
  ])('%s: a good image serves; a service that dies after the boot leaves all as it was', async (strategy, says) => {
    l = await rollLab({ sandbox: true, speed: 60, timings: { statusChecks: 1, shutdown: 1, refreshPatience: 240 } });
    addClassicBalancer(l.place, ELB, { target: 'HTTP:8080/version', healthyThreshold: 2, drainSeconds: 30 });
    const base = l.image('base');
    const [one, two, dying] = await Promise.all([bake(l, base, '1'), bake(l, base, '2'), bake(l, base, '3', '/usr/bin/timeout 2')]);
    await l.pointerTo(one);
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: one }), Version: '1' }, BEHIND);
    await until(() => balanced().join() === [`${one} InService`, `${one} InService`].join());

    expect((await promote(two, { ...slow, strategy })).exitCode).toBe(0);
    expect([await served(l), l.pointer(), balanced()]).toEqual([['2', '2'], two, [`${two} InService`, `${two} InService`]]);

    const ran = await promote(dying, { ...slow, strategy });
    expect([ran.exitCode, ran.outputs['outcome'], ran.errors.join('\n').split('\n')[0]]).toEqual([
      1,
      'rejected',
      expect.stringMatching(says),
    ]);
    await until(() => balanced().length === 2);
    expect([await served(l), l.pointer(), balanced()]).toEqual([['2', '2'], two, [`${two} InService`, `${two} InService`]]);
  });
});
