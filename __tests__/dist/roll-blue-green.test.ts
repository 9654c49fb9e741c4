import {
  DescribeLifecycleHooksCommand,
  DescribeNotificationConfigurationsCommand,
  DescribePoliciesCommand,
  DescribeScheduledActionsCommand,
  EnableMetricsCollectionCommand,
  PutLifecycleHookCommand,
  PutNotificationConfigurationCommand,
  PutScalingPolicyCommand,
  PutScheduledUpdateGroupActionCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** A second group behind the same load balancer: `web` and `web-green` take turns. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const quick = { bake: '1m', 'warm-up': '0s', groups: 'web', strategy: 'blue-green' };
const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { ...quick, image, ...wanted }, more);

async function stage(speed = 240) {
  l = await rollLab({ speed, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  await l.group(
    'web',
    { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' },
    { Tags: [{ Key: 'team', Value: 'shop', PropagateAtLaunch: true }] },
  );
  return { a, b, c };
}

const alive = () => Object.fromEntries([...groups(l.place).keys()].map(name => [name, [...new Set(l.runs(name))]]));
const stateNow = () => ({ alive: alive(), pointer: l.pointer(), candidate: l.candidate() });
const tagsOf = (name: string) => (groups(l.place).get(name)?.tags ?? []).map(({ Key }) => Key);

test('the new group proves itself, the pointer moves, the old group goes; the next time the names change places', async () => {
  const { b, c } = await stage();
  const ran = await promote(b);
  expect(ran.exitCode).toBe(0);
  const plan = ran.log.slice(0, ran.log.indexOf(`Write ${b} to`));
  expect(plan).toContain('create web-green with 2 instances (4 at once, about 2m 30s), which takes over once it is healthy');
  expect(plan).toContain('on failure, the green group is deleted');
  expect(stateNow()).toEqual({ alive: { 'web-green': [b] }, pointer: b, candidate: false });
  expect(tagsOf('web-green')).toEqual(['team', 'ami-action:made-by']);
  // Nothing of the old one goes before the pointer has moved.
  const order = l.lab.calls.all().map(({ operation }) => operation);
  expect(order.lastIndexOf('PutParameter')).toBeLessThan(order.indexOf('DeleteAutoScalingGroup'));
  expect(l.lab.calls.count('StartInstanceRefresh')).toBe(0);
  expect((await promote(b)).outputs['outcome']).toBe('unchanged');
  expect((await promote(c)).exitCode).toBe(0);
  expect(stateNow()).toEqual({ alive: { web: [c] }, pointer: c, candidate: false });
});

test('an image whose service dies: the green group is deleted, and the old one serves unchanged', async () => {
  const { a, b } = await stage();
  l.sick.add(b);
  const ran = await promote(b, { 'roll-timeout': '20m' });
  expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
  expect(ran.errors.join('\n')).toMatch(
    /web-green: (i-[0-9a-f]+ of the new group became unhealthy|\d of 2 new instances get no traffic for 5m: unhealthy, Target\.FailedHealthChecks)[\s\S]*Reverted: every group launches and runs what it did before/,
  );
  expect([stateNow(), l.versions('web')]).toEqual([{ alive: { web: [a] }, pointer: a, candidate: false }, [1]]);
  expect(ran.summary).toMatch(/of `web-green`[\s\S]*Target\.FailedHealthChecks/);
});

describe('held', () => {
  test('both stay; the same settings again finish it', async () => {
    const { a, b } = await stage();
    const held = await promote(b, { hold: 'true' });
    expect(held).toMatchObject({ exitCode: 0, outputs: { outcome: 'unknown' } });
    expect(stateNow()).toEqual({ alive: { web: [a], 'web-green': [b] }, pointer: a, candidate: true });
    const done = await promote(b, { hold: 'true' });
    expect([done.exitCode, done.outputs['outcome'], stateNow()]).toEqual([
      0,
      'done',
      { alive: { 'web-green': [b] }, pointer: b, candidate: false },
    ]);
  });

  test('a rollback drops the new one', async () => {
    const { a, b } = await stage();
    await promote(b, { hold: 'true' });
    const ran = await l.act('rollback', quick);
    expect([ran.exitCode, ran.outputs['ami-id'], ran.outputs['replaced-ami-id']]).toEqual([0, a, b]);
    expect([stateNow(), l.tags(b)['ami-action:vetoed-in']]).toEqual([{ alive: { web: [a] }, pointer: a, candidate: false }, 'stage']);
  });

  test('another image is refused in between, and so is another strategy', async () => {
    const { b, c } = await stage();
    await promote(b, { hold: 'true' });
    const mark = l.lab.calls.mark();
    expect((await promote(c)).errors.join('\n')).toContain(`web-green exists with ${b}`);
    expect((await promote(b, { strategy: 'rolling' })).errors.join('\n')).toContain(
      'promote that image with "strategy: blue-green" to finish',
    );
    expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get)/.test(operation))).toEqual([]);
    expect((await promote(c, { 'foreign-refresh': 'supersede' })).exitCode).toBe(0);
    expect(alive()).toEqual({ 'web-green': [c] });
  });
});

test('back and forth: a rollback after success creates the old group again', async () => {
  const { a, b } = await stage();
  await promote(b);
  expect((await l.act('rollback', quick)).exitCode).toBe(0);
  expect(stateNow()).toEqual({ alive: { web: [a] }, pointer: a, candidate: false });
});

test('what hangs on the group hangs on its successor', async () => {
  const { b } = await stage();
  const of = { AutoScalingGroupName: 'web' };
  const { autoScaling } = l.cloud;
  const tracking = { TargetValue: 50, PredefinedMetricSpecification: { PredefinedMetricType: 'ASGAverageCPUUtilization' as const } };
  await autoScaling.send(
    new PutScalingPolicyCommand({ ...of, PolicyName: 'cpu', PolicyType: 'TargetTrackingScaling', TargetTrackingConfiguration: tracking }),
  );
  await autoScaling.send(
    new PutLifecycleHookCommand({
      ...of,
      LifecycleHookName: 'bye',
      LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
      HeartbeatTimeout: 60,
    }),
  );
  await autoScaling.send(
    new PutScheduledUpdateGroupActionCommand({ ...of, ScheduledActionName: 'night', Recurrence: '0 22 * * *', DesiredCapacity: 1 }),
  );
  await autoScaling.send(
    new PutNotificationConfigurationCommand({
      ...of,
      TopicARN: 'arn:aws:sns:eu-central-1:111122223333:ops',
      NotificationTypes: ['autoscaling:EC2_INSTANCE_LAUNCH'],
    }),
  );
  await autoScaling.send(new EnableMetricsCollectionCommand({ ...of, Granularity: '1Minute', Metrics: ['GroupDesiredCapacity'] }));
  expect((await promote(b)).exitCode).toBe(0);
  const green = { AutoScalingGroupName: 'web-green' };
  const [policies, hooks, actions, topics] = await Promise.all([
    autoScaling.send(new DescribePoliciesCommand(green)),
    autoScaling.send(new DescribeLifecycleHooksCommand(green)),
    autoScaling.send(new DescribeScheduledActionsCommand(green)),
    autoScaling.send(new DescribeNotificationConfigurationsCommand({ AutoScalingGroupNames: ['web-green'] })),
  ]);
  expect(policies.ScalingPolicies).toMatchObject([{ PolicyName: 'cpu', TargetTrackingConfiguration: { TargetValue: 50 } }]);
  expect(hooks.LifecycleHooks).toMatchObject([{ LifecycleHookName: 'bye', HeartbeatTimeout: 60 }]);
  expect(actions.ScheduledUpdateGroupActions).toMatchObject([
    { ScheduledActionName: 'night', Recurrence: '0 22 * * *', DesiredCapacity: 1 },
  ]);
  expect(topics.NotificationConfigurations).toMatchObject([{ NotificationType: 'autoscaling:EC2_INSTANCE_LAUNCH' }]);
  expect(groups(l.place).get('web-green')?.described.EnabledMetrics).toMatchObject([{ Metric: 'GroupDesiredCapacity' }]);
  expect((await l.act('rollback', quick)).exitCode).toBe(0);
  expect((await autoScaling.send(new DescribePoliciesCommand(of))).ScalingPolicies).toHaveLength(1);
});

test('what cannot be copied is refused before the first write', async () => {
  const { a, b } = await stage();
  await l.cloud.autoScaling.send(
    new PutScalingPolicyCommand({
      AutoScalingGroupName: 'web',
      PolicyName: 'step',
      PolicyType: 'StepScaling',
      AdjustmentType: 'ChangeInCapacity',
    }),
  );
  const mark = l.lab.calls.mark();
  expect((await promote(b)).errors.join('\n')).toContain(
    'its scaling policy step (StepScaling) is called by CloudWatch alarms, so the green group would differ from web',
  );
  expect([l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get)/.test(operation)), alive()]).toEqual([[], { web: [a] }]);
});

test('lost while the old group went, and lost again at the next promotion: there is always one in charge, of its own size', async () => {
  const { b, c } = await stage();
  const killedAt = (operation: string) => ({
    onStart: (child: { kill(signal: 'SIGKILL'): unknown }) =>
      void l.lab.faults.add({ operation, nth: 1, action: { run: () => void child.kill('SIGKILL'), at: 'after' } }),
  });
  expect((await promote(b, {}, killedAt('DeleteAutoScalingGroup'))).signal).toBe('SIGKILL');
  expect((await promote(b)).exitCode).toBe(0);
  const [least, tags] = [(name: string) => groups(l.place).get(name)?.min, ['team', 'ami-action:made-by']];
  expect([least('web-green'), tagsOf('web-green')]).toEqual([0, tags]);
  expect((await promote(c, {}, killedAt('CreateAutoScalingGroup'))).signal).toBe('SIGKILL');
  expect((await promote(c)).exitCode).toBe(0);
  expect([least('web'), tagsOf('web')]).toEqual([0, tags]);
  expect(stateNow()).toEqual({ alive: { web: [c] }, pointer: c, candidate: false });
});

test('every write loses its first answer, and the run is cancelled: both stay, the old one serves, and the same again finishes it', async () => {
  const { a, b } = await stage();
  const lost = new Set<string>();
  const isFirst = (call: { readonly operation: string }) => isWrite(call) && lost.size < lost.add(call.operation).size;
  l.lab.faults.add({ when: isFirst, action: { reset: 'after' } });
  const alive = { kill: () => {} };
  const onStart = (child: { kill(signal: 'SIGINT'): unknown }) => void Object.assign(alive, { kill: () => child.kill('SIGINT') });
  const onLine = (line: string) => {
    if (/web-green: .*created/.test(line)) alive.kill();
  };
  const ran = await promote(b, {}, { onStart, onLine });
  expect([ran.exitCode, ran.outputs['outcome'], l.runs('web'), l.pointer(), l.candidate()]).toEqual([1, 'cancelled', [a, a], a, true]);
  expect(ran.errors.join('\n')).toContain('web-green exists next to web, which still serves');
  expect((await promote(b)).errors).toEqual([]);
  expect([stateNow(), l.versions('web')]).toEqual([{ alive: { 'web-green': [b] }, pointer: b, candidate: false }, [1, 2]]);
  expect([...lost]).toEqual(expect.arrayContaining(['CreateAutoScalingGroup', 'PutParameter', 'DeleteAutoScalingGroup']));
});

/** A call that only reads leaves the account as the write before it did; promote's own loop kills at those too. */
const isWrite = ({ operation }: { operation: string }) => !/^(Describe|Get|List)/.test(operation);

test('killed at any write and run again: one group, on the image that the pointer names', async () => {
  const { a, b } = await stage(600);
  let writes = Number.POSITIVE_INFINITY;
  for (let write = 1; write <= writes; write += 1) {
    const to = l.pointer() === a ? b : a;
    const victim = { kill: () => {} };
    const disarm = l.lab.faults.add({ when: isWrite, nth: write, action: { run: () => victim.kill(), at: 'after' } });
    const mark = l.lab.calls.mark();
    const ran = await promote(to, {}, { onStart: child => Object.assign(victim, { kill: () => child.kill('SIGKILL') }) });
    disarm();
    if (ran.signal === null) writes = Math.min(writes, l.lab.calls.since(mark).filter(isWrite).length);
    const again = await promote(to);
    const [name = '', ...others] = Object.keys(alive());
    const ended = { write, exitCode: again.exitCode, others, runs: l.runs(name), pointer: l.pointer(), candidate: l.candidate() };
    expect({ ...ended, versions: l.versions('web') }).toEqual({
      ...{ write, exitCode: 0, others: [], runs: [to, to], pointer: to, candidate: false, versions: [1, 2] },
    });
  }
  expect(writes).toBeGreaterThanOrEqual(8);
}, 300_000);
