import type { ChildProcess } from 'node:child_process';
import { CancelInstanceRefreshCommand, StartInstanceRefreshCommand, SuspendProcessesCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { images } from '../../lab/ec2/images.ts';
import { nextDoubts, templateLimits, templates } from '../../lab/ec2/launch-template-state.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

/** A group of two that runs image a, and the pointer that says so; b waits. */
async function stage(options: Parameters<typeof rollLab>[0] = {}) {
  l = await rollLab(options);
  const [a, b] = [l.image('web-a'), l.image('web-b')];
  const template = await l.template('web', { ImageId: a });
  await l.group('web', { LaunchTemplateId: template, Version: '1' });
  await l.pointerTo(a);
  return { a, b, template };
}

/** For refreshes that do not fail: the lab's default of two minutes is half a second here, and a machine may stall for that long. */
const PATIENT = { timings: { refreshPatience: 3600 } };

const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { image, groups: 'web', ...wanted }, more);

const WRITES = /^(?!Describe|Get|List)/;
const writes = (since: number) =>
  l.lab.calls
    .since(since)
    .map(({ operation }) => operation)
    .filter(operation => WRITES.test(operation));

/** Everything as before the promotion. */
function expectUntouched(a: string, { versions = [1] } = {}) {
  expect(l.runs('web')).toEqual([a, a]);
  expect([l.pointer(), l.candidate(), l.versions('web')]).toEqual([a, false, versions]);
  expect(l.launches('web')?.LaunchTemplate?.Version).toBe('1');
}

describe('a good image', () => {
  test('reaches every kind of group, then the pointer', async () => {
    l = await rollLab();
    const [a, b] = [l.image('web-a'), l.image('web-b')];
    const [one, two] = [await l.template('web', { ImageId: a }), await l.template('web-small', { ImageId: a, InstanceType: 't3.small' })];
    const policy = {
      LaunchTemplate: {
        LaunchTemplateSpecification: { LaunchTemplateId: one, Version: '1' },
        Overrides: [
          { InstanceType: 't3.micro', WeightedCapacity: '1' },
          { InstanceType: 't3.small', LaunchTemplateSpecification: { LaunchTemplateId: two, Version: '1' } },
        ],
      },
      InstancesDistribution: {
        OnDemandBaseCapacity: 1,
        OnDemandPercentageAboveBaseCapacity: 50,
        SpotAllocationStrategy: 'price-capacity-optimized',
      },
    };
    await l.group('web', { LaunchTemplateId: one, Version: '1' });
    await l.group('latest', { LaunchTemplateId: one, Version: '$Latest' });
    await l.group('mixed', {}, { MixedInstancesPolicy: policy });
    await l.group('empty', { LaunchTemplateId: one, Version: '1' }, { DesiredCapacity: 0 });
    await l.pointerTo(a);
    const ran = await l.act('promote', { image: b, groups: 'web, latest, mixed, empty' });
    expect(ran).toMatchObject({
      exitCode: 0,
      outputs: { outcome: 'done', 'ami-id': b, 'previous-ami-id': a, 'pointer-version': '2', changed: 'true' },
    });
    for (const group of ['web', 'latest', 'mixed']) expect(l.runs(group)).toEqual([b, b]);
    expect([l.pointer(), l.candidate(), l.versions('web'), l.versions('web-small')]).toEqual([b, false, [1, 2], [1, 2]]);
    expect(['web', 'latest', 'empty'].map(group => l.launches(group)?.LaunchTemplate?.Version)).toEqual(['2', '2', '2']);
    // scenario 54: nothing of the policy is lost.
    expect(l.launches('mixed')?.MixedInstancesPolicy).toMatchObject({
      InstancesDistribution: policy.InstancesDistribution,
      LaunchTemplate: {
        LaunchTemplateSpecification: { Version: '2' },
        Overrides: [
          { InstanceType: 't3.micro', WeightedCapacity: '1' },
          { InstanceType: 't3.small', LaunchTemplateSpecification: { Version: '2' } },
        ],
      },
    });
    expect(ran.summary).toMatch(/\| \[`web`\]\(https:\S+\) \| `web:1` \| `web:2` \| Successful \|/);
  });

  test('scenario 42: an image that already runs is promoted without a single write', async () => {
    const { a } = await stage();
    const mark = l.lab.calls.mark();
    expect(await promote(a)).toMatchObject({ exitCode: 0, outputs: { outcome: 'unchanged', changed: 'false', 'pointer-version': '1' } });
    expect(writes(mark)).toEqual([]);
    expect(l.pointerVersions()).toBe(1);
  });

  test('a dry run shows the plan of the real one and writes nothing', async () => {
    const { b } = await stage();
    const mark = l.lab.calls.mark();
    const planned = await promote(b, { 'dry-run': 'true' });
    expect([planned.exitCode, planned.outputs['outcome'], writes(mark)]).toEqual([0, 'planned', []]);
    const done = await promote(b);
    const [title = '', unchanged, ...plan] = (planned.summary.split('<details>')[0]?.trim() ?? '?').split('\n\n');
    expect([title, unchanged]).toEqual(['### 🔍 Dry run: stage would go from web ccccccc to web ccccccc', 'No changes were made.']);
    expect(done.summary).toMatch(/^### ✅ stage now runs web ccccccc \(was web ccccccc\)\n\n/);
    expect(done.summary).toContain(plan.join('\n\n'));
  });

  test('is promoted again after a rollback of the group by hand: the template version is used again', async () => {
    const { b } = await stage();
    await promote(b, { strategy: 'none' });
    await promote(b);
    expect([l.versions('web'), l.runs('web')]).toEqual([
      [1, 2],
      [b, b],
    ]);
  });
});

describe('refused before the first write', () => {
  test('scenario 43: an image that did not pass, of another family, with a copied verdict, or that does not exist', async () => {
    const { a, b } = await stage();
    const cases = [
      [l.image('untested', { 'ami-action:verdict': '' }), /no passed verdict here \(never validated\)/],
      [l.image('other', { 'ami-action:family': 'api' }), /belongs to family "api"/],
      [l.image('copied', { 'ami-action:verdict': l.tags(b)['ami-action:verdict'] ?? '' }), /its verdict tag belongs to another image/],
      ['ami-00000000000000000', /does not exist in this account and region/],
    ] as const;
    const mark = l.lab.calls.mark();
    for (const [image, says] of cases) {
      const ran = await promote(image);
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
      expect(ran.errors.join('\n')).toMatch(says);
    }
    expect(writes(mark)).toEqual([]);
    expectUntouched(a);
  });

  test('scenario 53: a template that reads a parameter, and $Latest of a shared template', async () => {
    const { a, b, template } = await stage();
    const reads = await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` });
    await l.group('reads', { LaunchTemplateId: reads, Version: '1' });
    await l.group('stranger', { LaunchTemplateId: template, Version: '$Latest' });
    const mark = l.lab.calls.mark();
    const ran = await promote(b, { groups: 'web, reads' });
    expect(ran.errors.join('\n')).toMatch(
      /2 reasons:[\s\S]*web: stranger launches from \$Latest of the same launch template[\s\S]*reads: reads:1 reads its image from a parameter/,
    );
    expect(writes(mark)).toEqual([]);
    expectUntouched(a);
  });

  test('scenario 62: impossible preferences', async () => {
    const { a, b } = await stage();
    const mark = l.lab.calls.mark();
    const ran = await promote(b, {
      'max-healthy': '110',
      checkpoints: '50, 20',
      'checkpoint-delay': '1m',
      alarms: Array.from({ length: 11 }, (_, i) => `alarm-${i}`).join(','),
    });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join('\n')).toMatch(
      /"max-healthy" needs "min-healthy"[\s\S]*must be ascending without repeats, got 50, 20[\s\S]*must end with 100[\s\S]*at most 10 alarms, got 11/,
    );
    expect(l.lab.calls.count(undefined, mark)).toBe(0);
    expectUntouched(a);
  });

  test('scenario 63: suspended processes and protected instances are refused before the start', async () => {
    const { a, b } = await stage();
    await l.cloud.autoScaling.send(new SuspendProcessesCommand({ AutoScalingGroupName: 'web', ScalingProcesses: ['Terminate'] }));
    for (const member of groups(l.place).get('web')?.members.values() ?? []) Object.assign(member, { protected: true });
    const mark = l.lab.calls.mark();
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(/Terminate is suspended[\s\S]*protected from scale-in; AWS would wait an hour/);
    expect(writes(mark)).toEqual([]);
    expectUntouched(a);
  });

  test('scenario 39: a pointer whose oldest of 100 versions is labelled', async () => {
    const { a, b } = await stage();
    const held = parameters(l.place).get(POINTER)?.versions ?? [];
    const [first] = held;
    if (first !== undefined)
      held.splice(
        0,
        1,
        ...Array.from({ length: 100 }, (_, i) => ({ ...first, version: i + 1, labels: new Set(i === 0 ? ['golden'] : []) })),
      );
    const mark = l.lab.calls.mark();
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(
      /it has 100 versions, and the oldest \(1\) carries the label golden.*unlabel-parameter-version --name \/ami\/web\/stage --parameter-version 1 --labels golden/,
    );
    expect(writes(mark)).toEqual([]);
    expectUntouched(a);
  });
});

describe('traps: a group that is not ours to roll out', () => {
  test('T1: it launches images of another family, unless it is adopted', async () => {
    const { a } = await stage();
    const edge = l.image('edge', { 'ami-action:family': 'edge' });
    const mark = l.lab.calls.mark();
    const refused = await promote(edge, { family: 'edge' });
    expect([refused.exitCode, refused.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(refused.errors.join('\n')).toContain(`web launches ${a} of family "web", not of "edge"`);
    expect(writes(mark)).toEqual([]);
    expectUntouched(a);
    expect((await promote(edge, { family: 'edge', 'adopt-groups': 'true' })).exitCode).toBe(0);
    expect([l.runs('web'), l.pointer('/ami/edge/stage')]).toEqual([[edge, edge], edge]);
  });

  test('T1, T2: the file is for another family, or names the group in another environment too', async () => {
    const { b } = await stage();
    const file = (content: string) => ({ files: { '.github/ami.yml': content } });
    const mark = l.lab.calls.mark();
    const foreign = await promote(b, { groups: '' }, file('family: orders\ngroups: [web]\n'));
    expect([foreign.outputs['outcome'], foreign.errors.join('\n')]).toEqual([
      'usage',
      expect.stringContaining('"family" is "web" under "with:", but "groups" of .github/ami.yml is for family "orders"'),
    ]);
    const twice = await promote(b, { groups: '' }, file('environments:\n  stage: { groups: [web] }\n  prod: { groups: [web] }\n'));
    expect([twice.outputs['outcome'], twice.errors.join('\n')]).toEqual([
      'usage',
      expect.stringContaining('"web" is in "groups" of stage and in prod (.github/ami.yml): give each environment its own groups.'),
    ]);
    expect(l.lab.calls.count(undefined, mark)).toBe(0);
  });
});

describe('the template version', () => {
  test('scenario 51: created, and the answer lost: one version exists', async () => {
    const { b } = await stage();
    l.lab.faults.add({ operation: 'CreateLaunchTemplateVersion', nth: 1, action: { reset: 'after' } });
    expect((await promote(b)).exitCode).toBe(0);
    expect([l.versions('web'), l.runs('web')]).toEqual([
      [1, 2],
      [b, b],
    ]);
  });

  test('scenario 51: created, and the run killed: the next run uses it', async () => {
    const { b } = await stage();
    const ran = await promote(
      b,
      {},
      {
        onStart: child =>
          void l.lab.faults.add({
            operation: 'CreateLaunchTemplateVersion',
            nth: 1,
            action: { run: () => void child.kill('SIGKILL'), at: 'after' },
          }),
      },
    );
    expect([ran.signal, l.versions('web')]).toEqual(['SIGKILL', [1, 2]]);
    expect((await promote(b)).exitCode).toBe(0);
    expect([l.versions('web'), l.runs('web')]).toEqual([
      [1, 2],
      [b, b],
    ]);
  });

  test('scenario 51: a full template is reported, and nothing is left', async () => {
    const { a, b } = await stage();
    templateLimits(l.place).versions = 1;
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(/Launch template web is full[\s\S]*delete-launch-template-versions --launch-template-name web/);
    expectUntouched(a);
  });

  test('scenario 52: AWS warns about it: it is removed, and no refresh starts', async () => {
    const { a, b } = await stage();
    nextDoubts(l.place).push({ Code: 'InvalidSubnet', Message: 'is gone' });
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(/AWS created web:2 from version 1 with warnings: InvalidSubnet: is gone/);
    expect(l.refreshes('web')).toEqual([]);
    expectUntouched(a);
  });
});

describe('the refresh', () => {
  test('scenario 55: started, and the answer lost: it is recognised and adopted', async () => {
    const { b } = await stage();
    l.lab.faults.add({ operation: 'StartInstanceRefresh', nth: 1, action: { reset: 'after' } });
    const ran = await promote(b);
    expect([ran.exitCode, l.refreshes('web'), l.runs('web')]).toEqual([0, ['Successful'], [b, b]]);
  });

  test('scenario 55: a refresh of another process is not touched, and named', async () => {
    const { a, b } = await stage();
    await l.cloud.autoScaling.send(new StartInstanceRefreshCommand({ AutoScalingGroupName: 'web', Preferences: { InstanceWarmup: 600 } }));
    const mark = l.lab.calls.mark();
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(/refresh \S+ \(not started by ami-action\) is (Pending|InProgress)/);
    expect([writes(mark), l.pointer(), l.versions('web')]).toEqual([[], a, [1]]);
    expect(l.refreshes('web').some(status => status === 'Cancelled')).toBe(false);
  });

  test('scenario 56: an image whose service dies is rolled back by AWS: failed, and everything as before', async () => {
    const { a, b } = await stage();
    l.sick.add(b);
    const ran = await promote(b);
    expect([ran.exitCode, ran.outputs['outcome'], l.refreshes('web')]).toEqual([1, 'rejected', ['RollbackSuccessful']]);
    expect(ran.errors.join('\n')).toMatch(
      /AWS rolled the refresh back; the old image runs again[\s\S]*Reverted: every group launches and runs what it did before/,
    );
    expectUntouched(a);
  });

  test('scenario 56: cancelled by a person half way: reports what runs where', async () => {
    const { a, b } = await stage(PATIENT);
    const ran = await promote(
      b,
      {},
      {
        onLine: line => {
          if (line.includes('50 %'))
            void l.cloud.autoScaling.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: 'web' })).catch(() => {});
        },
      },
    );
    expect(ran.errors.join('\n')).toMatch(
      new RegExp(`another process cancelled the refresh[\\s\\S]*web: \\d of 2 instances run ${b}, and the group launches web:1`),
    );
    expect([ran.exitCode, l.pointer(), l.candidate(), l.launches('web')?.LaunchTemplate?.Version]).toEqual([1, a, true, '1']);
    expect(ran.errors.join('\n')).toContain('Next: Run mode "rollback" with the same groups: it reverts the rest.');
    expect((await l.act('rollback', { groups: 'web' })).outputs['ami-id']).toBe(a);
    expect([l.runs('web'), l.candidate()]).toEqual([[a, a], false]);
  });

  test('scenario 56: AWS no longer shows it', async () => {
    const { a, b } = await stage(PATIENT);
    l.lab.faults.add({
      operation: 'DescribeInstanceRefreshes',
      nth: 4,
      times: 1,
      action: { run: () => void groups(l.place).get('web')?.refreshes.splice(0), at: 'before' },
    });
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(/AWS no longer shows the refresh, so its result is unknown/);
    // How far it had come is a matter of moments: what is left keeps the announcement.
    expect([ran.exitCode, l.pointer(), l.candidate()]).toEqual([1, a, /of 2 instances run ami-/.test(ran.errors.join())]);
  });

  test('scenario 58: one without progress at the deadline is reported as in progress', async () => {
    const { a, b } = await stage({ timings: { refreshPatience: 36_000 } });
    l.sick.add(b);
    const ran = await promote(b, { 'roll-timeout': '5m' });
    expect([ran.exitCode, ran.outputs['outcome'], l.pointer(), l.candidate()]).toEqual([1, 'timeout', a, true]);
    expect(ran.errors.join('\n')).toMatch(
      /gave up after \d+[ms][\s\S]*is in progress[\s\S]*candidate keeps the image from being pruned[\s\S]*Re-run the job with the same settings/,
    );
  });

  test('scenario 59: the workflow is cancelled: the refresh goes on, and the next run finishes it', async () => {
    const { a, b } = await stage();
    let child: ChildProcess | undefined;
    const ran = await promote(
      b,
      {},
      {
        onStart: started => {
          child = started;
        },
        onLine: line => void (/refresh \S+ started/.test(line) && child?.kill('SIGINT')),
      },
    );
    expect([ran.exitCode, ran.outputs['outcome'], l.pointer(), l.candidate()]).toEqual([1, 'cancelled', a, true]);
    expect(ran.errors.join('\n')).toMatch(/refresh \S+ of web is in progress/);
    const again = await promote(b);
    expect([again.exitCode, l.refreshes('web'), l.pointer(), l.candidate()]).toEqual([0, ['Successful'], b, false]);
  });

  test.each(['Throttling', 'ResourceContention', 'LimitExceeded'])('scenario 60: %s for five minutes is no failure', async code => {
    const { b } = await stage(PATIENT);
    const started = () => l.refreshes('web').length > 0;
    let until = 0;
    const during = () => {
      if (!started()) return false;
      if (until === 0) until = l.lab.clock.now() + 300_000;
      return l.lab.clock.now() < until;
    };
    l.lab.faults.add({
      operation: 'DescribeInstanceRefreshes',
      when: during,
      action: { error: code, status: code === 'ResourceContention' ? 500 : 400 },
    });
    const ran = await promote(b);
    expect([ran.exitCode, l.refreshes('web'), l.pointer()]).toEqual([0, ['Successful'], b]);
  });
});

describe('the pointer', () => {
  test('scenario 38: accepted by AWS and never stored: fails before the rollout', async () => {
    const { a, b } = await stage();
    l.lab.faults.add({
      operation: 'PutParameter',
      nth: 1,
      action: { run: () => void Object.assign(images(l.place).get(b) ?? {}, { state: 'deregistered' }), at: 'after' },
    });
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toMatch(/AWS accepted the write of \/ami\/web\/stage\/candidate and never stored it/);
    expect(ran.errors.join('\n')).toContain(
      'Next: If the image still exists, share it with this account (mode "share"), or copy it to this region.',
    );
    expect(l.refreshes('web')).toEqual([]);
    expectUntouched(a);
  });

  test('scenario 41: moved by another process during the rollout: this run stops and reports it', async () => {
    const { b } = await stage();
    const c = l.image('web-c');
    const ran = await promote(b, {}, { onLine: line => void (line.includes('Baking') && l.pointerTo(c)) });
    expect([ran.exitCode, ran.outputs['outcome'], l.pointer()]).toEqual([1, 'rejected', c]);
    expect(ran.errors.join('\n')).toMatch(new RegExp(`changed during the promotion: it names ${c} \\(version 2\\)`));
  });

  test('scenario 41: moved by another process in the same moment: the version shows it', async () => {
    const { b } = await stage();
    const c = l.image('web-c');
    const forPointer = {
      operation: 'PutParameter',
      when: ({ input }: { input: Readonly<Record<string, unknown>> }) => input['Name'] === POINTER,
      nth: 1,
    };
    l.lab.faults.add({ ...forPointer, action: { run: () => l.pointerTo(c).then(() => {}), at: 'before' } });
    const plan = await promote(b, { strategy: 'none', groups: '', 'dry-run': 'true' });
    expect(plan.log).toContain(`moves from ${l.pointer()} at once, and no instance is replaced; mode "rollback" moves it back`);
    const ran = await promote(b, { strategy: 'none', groups: '' });
    expect([ran.exitCode, l.pointer()]).toEqual([1, b]);
    expect(ran.errors.join('\n')).toMatch(/another process wrote version 2 at the same time; version 3 of this run/);
  });
});

/** Killed when a call is done and before its answer is there, call after call, and run again: the moment before the next call is the same. */
describe('killed at any call and run again', () => {
  test('promote converges: one image everywhere, one new version, no two refreshes, nothing left', async () => {
    const { a, b } = await stage({ weather: 'good', speed: 600, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
    const wanted = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s' };
    let calls = Number.POSITIVE_INFINITY;
    for (let call = 1; call <= calls; call += 1) {
      const to = l.pointer() === a ? b : a;
      const alive = { kill: () => {} };
      const disarm = l.lab.faults.killAtCall(call, () => alive.kill(), 'after');
      const mark = l.lab.calls.mark();
      const ran = await promote(to, wanted, { onStart: child => Object.assign(alive, { kill: () => child.kill('SIGKILL') }) });
      disarm();
      if (ran.signal === null) calls = Math.min(calls, l.lab.calls.count(undefined, mark));
      const again = await promote(to, wanted);
      const stray = l.refreshes('web').filter(status => status !== 'Successful');
      const left = {
        ...{
          call,
          exitCode: again.exitCode,
          runs: l.runs('web'),
          pointer: l.pointer(),
          candidate: l.candidate(),
          versions: l.versions('web'),
        },
        stray,
      };
      expect(left).toEqual({ call, exitCode: 0, runs: [to, to], pointer: to, candidate: false, versions: [1, 2], stray: [] });
    }
    expect(calls).toBeGreaterThan(20);
    expect([...templates(l.place).values()]).toHaveLength(1);
  }, 300_000);
});
