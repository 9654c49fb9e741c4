import {
  PutWarmPoolCommand,
  SetDesiredCapacityCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { instances } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** Green means proven: what AWS calls a success and is none. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const FAST = { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 };
const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
const promote = (image: string, wanted: Record<string, string> = {}) => l.act('promote', { ...quick, image, ...wanted });

async function stage(change: Parameters<RollLab['group']>[2] = {}, options: Parameters<typeof rollLab>[0] = {}) {
  l = await rollLab({ timings: FAST, ...options });
  const [a, b] = [l.image('web-a'), l.image('web-b')];
  await l.pointerTo(a);
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' }, change);
  return { a, b };
}

const stateOf = () => ({
  runs: [...new Set(l.runs('web'))],
  version: l.launches('web')?.LaunchTemplate?.Version,
  pointer: l.pointer(),
  candidate: l.candidate(),
});
const ended = async (status: string) => {
  for (let waited = 0; l.refreshes('web')[0] !== status && waited < 1800; waited += 5) await l.lab.clock.sleep(5);
};

describe('a group whose health check is EC2, behind a target group', () => {
  test('with a dead service is rolled back in the bake time: only the action reads the load balancer', async () => {
    const { a, b } = await stage({ HealthCheckType: 'EC2' });
    l.sick.add(b);
    const ran = await promote(b, { bake: '30m' });
    expect([ran.exitCode, ran.outputs['outcome'], l.refreshes('web')]).toEqual([1, 'rejected', ['RollbackSuccessful']]);
    expect(stateOf()).toEqual({ runs: [a], version: '1', pointer: a, candidate: false });
    expect(ran.errors.join('\n')).toMatch(
      /web: during the bake time, the load balancer sends no traffic to i-[0-9a-f]+ and 1 more \(unhealthy, Target\.FailedHealthChecks, Health checks failed\)\. If the service starts slowly, increase "warm-up"/,
    );
    expect(ran.warnings.join('\n')).toContain('web: health check type EC2: AWS continues even if new instances get no traffic');
  });

  test('with a good one is green', async () => {
    const { b } = await stage({ HealthCheckType: 'EC2' });
    expect((await promote(b)).exitCode).toBe(0);
    expect(stateOf()).toEqual({ runs: [b], version: '2', pointer: b, candidate: false });
  });

  test('that was not watched to the end is verified before the pointer moves; a rollback reverts it', async () => {
    const { a, b } = await stage({ HealthCheckType: 'EC2' });
    l.sick.add(b);
    await promote(b, { wait: 'false' });
    await ended('Successful');
    const ran = await promote(b);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(
      new RegExp(
        `Instances that already run ${b}: web: the load balancer sends no traffic to i-[\\s\\S]*the groups run ${b}, and /ami/web/stage names ${a}[\\s\\S]*run mode "rollback"`,
      ),
    );
    expect(stateOf()).toEqual({ runs: [b], version: '2', pointer: a, candidate: true });
    const back = await l.act('rollback', quick);
    expect([back.exitCode, back.outputs['ami-id'], back.outputs['replaced-ami-id']]).toEqual([0, a, b]);
    expect([stateOf(), l.tags(b)['ami-action:vetoed-in']]).toEqual([{ runs: [a], version: '1', pointer: a, candidate: false }, 'stage']);
  });
});

test('a service that dies while it bakes is rolled back, though at each look the group has replaced who died', async () => {
  const { a, b } = await stage({ HealthCheckGracePeriod: 10 }, { timings: { ...FAST, shutdown: 120 } });
  const asked = new Map<string, number>();
  const http = (_port: number, _path: string, { instanceId }: { instanceId: string }) => {
    if (instances(l.place).get(instanceId)?.imageId !== b) return 200;
    asked.set(instanceId, asked.get(instanceId) ?? l.lab.clock.now());
    // The first two live for a minute, those that come for them are well.
    const dies = [...asked.keys()].indexOf(instanceId) < 2;
    return dies && l.lab.clock.now() - (asked.get(instanceId) ?? 0) > 60_000 ? 500 : 200;
  };
  Object.assign(l.paper.answers, { http });
  const ran = await promote(b, { bake: '10m' });
  expect([ran.exitCode, ran.outputs['outcome'], l.refreshes('web')]).toEqual([1, 'rejected', ['RollbackSuccessful']]);
  expect(ran.errors.join('\n')).toContain('web: during the bake time, 2 new instances became unhealthy');
  expect(stateOf()).toEqual({ runs: [a], version: '1', pointer: a, candidate: false });
});

test('minor m14: a target group that is unhealthy before does not keep the image out that repairs it', async () => {
  const { a, b } = await stage();
  l.sick.add(a);
  await l.lab.clock.sleep(30);
  const ran = await promote(b);
  expect([ran.exitCode, stateOf()]).toEqual([0, { runs: [b], version: '2', pointer: b, candidate: false }]);
});

describe('what was never in service', () => {
  test('scenario 63: new instances would not be registered, so nothing is begun', async () => {
    const { a, b } = await stage();
    await l.cloud.autoScaling.send(new SuspendProcessesCommand({ AutoScalingGroupName: 'web', ScalingProcesses: ['AddToLoadBalancer'] }));
    const ran = await promote(b);
    expect([ran.exitCode, stateOf(), l.versions('web')]).toEqual([1, { runs: [a], version: '1', pointer: a, candidate: false }, [1]]);
    expect(ran.errors.join('\n')).toContain('web: AddToLoadBalancer is suspended');
  });

  test('is not "unchanged": the group should have two instances, and has none', async () => {
    const { b } = await stage();
    await promote(b);
    expect((await promote(b)).outputs['outcome']).toBe('unchanged');
    await l.cloud.autoScaling.send(new SuspendProcessesCommand({ AutoScalingGroupName: 'web', ScalingProcesses: ['Launch'] }));
    for (const InstanceId of groups(l.place).get('web')?.members.keys() ?? []) {
      await l.cloud.autoScaling.send(new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: false }));
    }
    for (let waited = 0; l.runs('web').length > 0 && waited < 300; waited += 2) await l.lab.clock.sleep(2);
    const ran = await promote(b);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.log).toContain('none of its 2 instances is in service');
    expect(ran.errors.join('\n')).toContain('web: Launch is suspended');
  });
});

describe('checks', () => {
  const real = { sandbox: true, speed: 60, timings: { boot: 1, statusChecks: 1, shutdown: 1, agent: 1 } };
  const wanted = { bake: '2m', 'checks-timeout': '1m' };
  const commands = () =>
    l.lab.calls
      .all()
      .flatMap(({ operation, input, at, outcome }) =>
        operation === 'SendCommand' && outcome === 'ok' ? [{ at, id: (input['InstanceIds'] as string[])[0] ?? '' }] : [],
      );

  test('of a rollout that succeeded unwatched run before the pointer moves', async () => {
    const { a, b } = await stage({ TargetGroupARNs: [], HealthCheckType: 'EC2' }, real);
    await promote(b, { ...wanted, wait: 'false', checks: '- command: "true"' });
    await ended('Successful');
    expect(commands()).toEqual([]);
    const failed = await promote(b, { ...wanted, checks: '- name: web is there\n  command: test -e /opt/never' });
    expect([failed.exitCode, failed.outputs['outcome'], stateOf()]).toEqual([
      1,
      'rejected',
      { runs: [b], version: '2', pointer: a, candidate: true },
    ]);
    expect(failed.errors.join('\n')).toMatch(/web: checks on i-[0-9a-f]+: 1 of 1 check failed; web is there /);
    const before = commands().length;
    const passed = await promote(b, { ...wanted, wait: 'false', checks: '- command: test -d /etc' });
    expect([passed.exitCode, passed.outputs['outcome'], commands().length - before]).toEqual([0, 'done', 2]);
    expect(stateOf()).toEqual({ runs: [b], version: '2', pointer: b, candidate: false });
  });

  test('wait until an instance is warm, also after the first checkpoint', async () => {
    const { b } = await stage({ TargetGroupARNs: [], HealthCheckType: 'EC2', DesiredCapacity: 3 }, real);
    const ran = await promote(b, {
      ...wanted,
      checks: '- command: test -d /etc',
      'min-healthy': '66',
      'warm-up': '60s',
      checkpoints: '33, 100',
      'checkpoint-delay': '90s',
    });
    expect([ran.exitCode, stateOf().pointer]).toEqual([0, b]);
    const inServiceAt = new Map([...(groups(l.place).get('web')?.members.values() ?? [])].map(({ id, inServiceAt: at }) => [id, at ?? 0]));
    const asked = commands().map(({ id, at }) => ({ id, warm: at - (inServiceAt.get(id) ?? Number.POSITIVE_INFINITY) >= 60_000 }));
    expect(asked.map(({ warm }) => warm)).toEqual([true, true, true]);
    expect(new Set(asked.map(({ id }) => id))).toEqual(new Set(inServiceAt.keys()));
  });
});

describe('a warm pool', () => {
  const pool = () =>
    [...(groups(l.place).get('web')?.warmPool?.members.values() ?? [])].map(({ id }) => instances(l.place).get(id)?.imageId);
  const withPool = async (MinSize: number) => {
    await l.cloud.autoScaling.send(new PutWarmPoolCommand({ AutoScalingGroupName: 'web', MinSize, MaxGroupPreparedCapacity: 0 }));
    for (let waited = 0; pool().length < MinSize && waited < 300; waited += 2) await l.lab.clock.sleep(2);
  };

  test('is in the plan, and is renewed', async () => {
    const { a, b } = await stage();
    await withPool(2);
    const planned = await promote(b, { 'dry-run': 'true' });
    expect(planned.log).toMatch(
      /replace 2 instances, 2 at a time: 1 batch, about [^(]*\(pace fast: [^)]*\), then replace i-[0-9a-f]+, i-[0-9a-f]+ of the warm pool/,
    );
    expect(pool()).toEqual([a, a]);
    expect([(await promote(b)).exitCode, pool(), stateOf().pointer]).toEqual([0, [b, b], b]);
    expect((await promote(b)).outputs['outcome']).toBe('unchanged');
  });

  test('is looked into before the pointer moves: AWS may call a refresh successful that left one behind', async () => {
    const { a, b } = await stage();
    await withPool(1);
    const leave = () => {
      const [waiting = ''] = groups(l.place).get('web')?.warmPool?.members.keys() ?? [];
      Object.assign(instances(l.place).get(waiting) ?? {}, { imageId: a });
    };
    const when = () => l.refreshes('web')[0] === 'Successful';
    l.lab.faults.add({ operation: 'DescribeWarmPool', when, nth: 1, action: { run: leave, at: 'before' } });
    const ran = await promote(b);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(/web: AWS calls the refresh successful, but i-[0-9a-f]+ of the warm pool runs another image/);
    expect([stateOf(), pool()]).toEqual([{ runs: [a], version: '1', pointer: a, candidate: false }, [a]]);
  });

  test('of a group without instances is renewed, too: the next scale-out takes from it', async () => {
    const { a, b } = await stage();
    await withPool(1);
    await l.cloud.autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'web', DesiredCapacity: 0 }));
    for (let waited = 0; (groups(l.place).get('web')?.members.size ?? 0) > 0 && waited < 300; waited += 2) await l.lab.clock.sleep(2);
    expect(pool()).toEqual([a]);
    expect([(await promote(b)).exitCode, pool(), stateOf().version, l.pointer()]).toEqual([0, [b], '2', b]);
  });
});
