import { SetDesiredCapacityCommand, StartInstanceRefreshCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

/** What promote does by setting: refreshes of other processes, templates that read the pointer, several groups, rollouts without waiting. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const FAST = { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 };
const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { ...quick, image, ...wanted }, more);

async function stage(names: readonly string[] = ['web'], imageId?: string) {
  l = await rollLab({ timings: FAST });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  for (const name of names) await l.group(name, { LaunchTemplateId: await l.template(name, { ImageId: imageId ?? a }), Version: '1' });
  return { a, b, c };
}

const versionOf = (group: string) => l.launches(group)?.LaunchTemplate?.Version;
const stateOf = (group: string) => ({ runs: [...new Set(l.runs(group))], version: versionOf(group) });

const strange = (InstanceWarmup: number) =>
  l.cloud.autoScaling.send(
    new StartInstanceRefreshCommand({ AutoScalingGroupName: 'web', Preferences: { MinHealthyPercentage: 0, InstanceWarmup } }),
  );

describe('scenario 55: a refresh of another process', () => {
  test('is waited for', async () => {
    const { b } = await stage();
    await strange(900);
    const ran = await promote(b, { 'foreign-refresh': 'wait' });
    expect([ran.exitCode, l.refreshes('web'), stateOf('web')]).toEqual([0, ['Successful', 'Successful'], { runs: [b], version: '2' }]);
    expect(ran.log).toMatch(/Waiting for refresh \S+ of web: (Pending|InProgress)/);
  });

  test('is superseded: what cannot be rolled back is cancelled', async () => {
    const { b } = await stage();
    await strange(3600);
    const ran = await promote(b, { 'foreign-refresh': 'supersede' });
    expect([ran.exitCode, [...l.refreshes('web')].sort(), stateOf('web')]).toEqual([
      0,
      ['Cancelled', 'Successful'],
      { runs: [b], version: '2' },
    ]);
  });

  test('a rollback needs no setting to end the promotion that is under way', async () => {
    const { a, b } = await stage();
    const begun = await promote(b, { wait: 'false', bake: '10m' });
    expect([begun.exitCode, begun.outputs['outcome']]).toEqual([0, 'unknown']);
    const ran = await l.act('rollback', quick);
    expect([ran.exitCode, ran.outputs['ami-id'], ran.outputs['replaced-ami-id']]).toEqual([0, a, b]);
    expect([stateOf('web'), l.pointer(), l.candidate(), l.tags(b)['ami-action:vetoed-in']]).toEqual([
      { runs: [a], version: '1' },
      a,
      false,
      'stage',
    ]);
    expect(l.refreshes('web')).toContain('RollbackSuccessful');
  });
});

/** A promotion and a rollback have queues of their own in the shipped workflows, so that no approval blocks a rollback. */
describe('a rollback does not wait for the promotion that is under way', () => {
  test('it takes the environment back to where the promotion started, and the promotion ends and reverts nothing', async () => {
    const { a, b } = await stage();
    const promotion = promote(b, { bake: '10m' });
    while (!l.refreshes('web').includes('InProgress')) await l.lab.clock.sleep(1);
    const ran = await l.act('rollback', quick);
    expect([ran.exitCode, ran.outputs['ami-id'], ran.outputs['replaced-ami-id']]).toEqual([0, a, b]);
    const red = await promotion;
    expect([red.exitCode, red.outputs['outcome']]).toEqual([1, 'rejected']);
    // It sees either the refresh that the rollback ended, or the rollback itself.
    expect(red.errors.join()).toMatch(/^web: AWS rolled the refresh back|took over the environment/);
    expect([stateOf('web'), l.pointer(), l.candidate(), l.tags(b)['ami-action:vetoed-in']]).toEqual([
      { runs: [a], version: '1' },
      a,
      false,
      'stage',
    ]);
  });

  test('an approval that comes afterwards is refused for the image that was rolled back', async () => {
    const { a, b, c } = await stage();
    expect((await promote(b)).exitCode).toBe(0);
    expect((await l.act('rollback', quick)).exitCode).toBe(0);
    const approved = await promote(b);
    expect([approved.exitCode, approved.outputs['outcome'], l.pointer()]).toEqual([1, 'rejected', a]);
    expect(approved.errors[0]).toContain('is vetoed there');
    expect((await promote(c)).exitCode).toBe(0);
  });

  test('a promotion that starts during it is refused, and the rollback goes on', async () => {
    const { a, b, c } = await stage();
    expect((await promote(b)).exitCode).toBe(0);
    const before = l.refreshes('web').length;
    const rollback = l.act('rollback', { ...quick, bake: '10m' });
    while (l.refreshes('web').length === before) await l.lab.clock.sleep(1);
    const late = await promote(c);
    expect([late.exitCode, late.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(late.errors[0]).toMatch(/^Refused to promote \S+ in stage: web: refresh \S+ \([\w -]+\) is \w+/);
    expect([(await rollback).exitCode, stateOf('web').runs, l.pointer(), l.candidate()]).toEqual([0, [a], a, false]);
  });
});

describe('a rollout that is not waited for', () => {
  test('is begun, and finished by the same settings later', async () => {
    const { a, b } = await stage();
    const begun = await promote(b, { wait: 'false' });
    expect(begun).toMatchObject({ exitCode: 0, outputs: { outcome: 'unknown' } });
    expect([JSON.parse(begun.outputs['refreshes'] ?? '')[0].status, l.pointer(), l.candidate()]).toEqual(['InProgress', a, true]);
    const done = await promote(b);
    expect([done.exitCode, done.outputs['outcome'], l.refreshes('web')]).toEqual([0, 'done', ['Successful']]);
    expect([stateOf('web'), l.pointer(), l.candidate()]).toEqual([{ runs: [b], version: '2' }, b, false]);
  });

  test('and that succeeded in between is verified before the pointer moves', async () => {
    const { b } = await stage();
    await promote(b, { wait: 'false' });
    for (let waited = 0; l.refreshes('web')[0] !== 'Successful' && waited < 1200; waited += 5) await l.lab.clock.sleep(5);
    expect((await promote(b, { wait: 'false' })).outputs['outcome']).toBe('done');
    expect([l.pointer(), l.refreshes('web')]).toEqual([b, ['Successful']]);
  });
});

describe('several groups', () => {
  test('one after another: the second starts when the first has proven itself', async () => {
    const { b } = await stage(['web', 'api']);
    const ran = await promote(b, { groups: 'web, api', order: 'one-by-one' });
    const starts = l.lab.calls
      .all()
      .filter(({ operation }) => operation === 'StartInstanceRefresh')
      .map(({ input }) => input['AutoScalingGroupName']);
    expect([ran.exitCode, starts]).toEqual([0, ['web', 'api']]);
    expect(ran.log.indexOf('web: Successful')).toBeLessThan(ran.log.indexOf('api: refresh'));
  });

  // Whose image is sick in one group only: its instances come from another template.
  const oneFails = async (undo: string) => {
    const { a, b } = await stage(['web', 'api']);
    l.fails.add('api');
    const ran = await promote(b, { groups: 'web, api', undo });
    return { a, b, ran };
  };

  test('one fails: all go back', async () => {
    const { a, ran } = await oneFails('all');
    expect([ran.exitCode, stateOf('web'), stateOf('api'), l.pointer(), l.candidate()]).toEqual([
      1,
      { runs: [a], version: '1' },
      { runs: [a], version: '1' },
      a,
      false,
    ]);
    expect([l.versions('web'), l.versions('api')]).toEqual([[1], [1]]);
    expect(ran.errors.join('\n')).toMatch(
      /api: AWS rolled the refresh back[\s\S]*Reverted: every group launches and runs what it did before/,
    );
  });

  test('one fails: only that one goes back, by setting; the pointer stays', async () => {
    const { a, b, ran } = await oneFails('failed');
    expect([ran.exitCode, stateOf('web'), stateOf('api'), l.pointer()]).toEqual([
      1,
      { runs: [b], version: '2' },
      { runs: [a], version: '1' },
      a,
    ]);
    expect(ran.errors.join('\n')).toContain(`web runs ${b}`);
    l.fails.clear();
    expect((await promote(b, { groups: 'web, api' })).exitCode).toBe(0);
    expect([stateOf('api').runs, l.pointer()]).toEqual([[b], b]);
  });

  test('by tag, as they come and go', async () => {
    const { b } = await stage([]);
    const template = await l.template('tagged', { ImageId: b });
    await l.group('one', { LaunchTemplateId: template, Version: '1' }, { Tags: [{ Key: 'app', Value: 'web' }] });
    await l.group('two', { LaunchTemplateId: template, Version: '1' }, { Tags: [{ Key: 'app', Value: 'api' }] });
    const ran = await promote(b, { groups: '', 'group-tags': 'app: web', 'dry-run': 'true' });
    expect(ran.log).toContain('one (tagged:1): nothing to do');
    expect(ran.log).not.toContain('two (');
  });
});

describe('a template that reads the pointer', () => {
  const reading = () => stage(['web'], `resolve:ssm:${POINTER}`);

  test('followed: the pointer moves first, then every instance is replaced and proven', async () => {
    const { b } = await reading();
    const ran = await promote(b, { 'parameter-templates': 'follow' });
    expect([ran.exitCode, stateOf('web'), l.pointer(), l.candidate(), l.versions('web')]).toEqual([
      0,
      { runs: [b], version: '1' },
      b,
      false,
      [1],
    ]);
    const order = l.lab.calls
      .all()
      .filter(({ operation, input }) => operation === 'StartInstanceRefresh' || input['Name'] === POINTER)
      .map(({ operation }) => operation);
    expect(order.lastIndexOf('PutParameter')).toBeLessThan(order.indexOf('StartInstanceRefresh'));
    expect((await promote(b, { 'parameter-templates': 'follow' })).outputs['outcome']).toBe('unchanged');
  });

  test('scenario 64: followed, and the image dies: the pointer goes back first, proven, then the instances', async () => {
    const { a, b } = await reading();
    l.sick.add(b);
    const ran = await promote(b, { 'parameter-templates': 'follow' });
    expect([ran.exitCode, ran.outputs['outcome'], stateOf('web'), l.pointer(), l.candidate()]).toEqual([
      1,
      'rejected',
      { runs: [a], version: '1' },
      a,
      false,
    ]);
    // A rollback after it goes to what ran before a, not to b.
    expect((await l.act('rollback', { ...quick, 'parameter-templates': 'follow' })).errors.join('\n')).toContain(
      `stage runs ${a}, and its pointer shows no image before it`,
    );
  });

  test('followed back and forth by rollback', async () => {
    const { a, b } = await reading();
    await promote(b, { 'parameter-templates': 'follow' });
    const ran = await l.act('rollback', { ...quick, 'parameter-templates': 'follow' });
    expect([ran.exitCode, stateOf('web').runs, l.pointer()]).toEqual([0, [a], a]);
  });

  test('followed, and no longer watched: a rollback ends our refresh without a setting', async () => {
    const { a, b } = await reading();
    const follow = { 'parameter-templates': 'follow' };
    const begun = await promote(b, { ...follow, wait: 'false', bake: '10m', 'warm-up': '10m' });
    expect([begun.outputs['outcome'], l.pointer(), l.candidate(), l.refreshes('web')]).toEqual([
      'unknown',
      b,
      true,
      [expect.stringMatching(/^(Pending|InProgress)$/)],
    ]);
    const ran = await l.act('rollback', { ...quick, ...follow });
    expect([ran.errors, ran.outputs['ami-id'], ran.outputs['replaced-ami-id']]).toEqual([[], a, b]);
    expect([stateOf('web').runs, l.pointer(), l.candidate(), [...l.refreshes('web')].sort()]).toEqual([
      [a],
      a,
      false,
      ['Cancelled', 'Successful'],
    ]);
  });

  test('followed to the end: a later refresh is foreign, and a rollback does not end it without a setting', async () => {
    const { b } = await reading();
    const follow = { 'parameter-templates': 'follow' };
    expect((await promote(b, follow)).exitCode).toBe(0);
    await strange(3600);
    const ran = await l.act('rollback', { ...quick, ...follow });
    expect([ran.outputs['outcome'], l.pointer(), l.refreshes('web').filter(status => status === 'Cancelled')]).toEqual(['rejected', b, []]);
    expect(ran.errors.join('\n')).toMatch(/web: refresh \S+ \(not started by ami-action\) is (Pending|InProgress)/);
  });

  test('pinned: to what it means now, and then rolled like any other', async () => {
    const { a, b } = await reading();
    l.sick.add(b);
    const failed = await promote(b, { 'parameter-templates': 'pin' });
    expect([failed.exitCode, l.refreshes('web'), stateOf('web'), l.pointer()]).toEqual([
      1,
      ['RollbackSuccessful'],
      { runs: [a], version: '2' },
      a,
    ]);
    expect(failed.errors.join('\n')).toContain('- web stays pinned to web:2, which has the image that web:1 read from its parameter');
    l.sick.clear();
    expect((await promote(b)).exitCode).toBe(0);
    expect([stateOf('web').runs, l.pointer()]).toEqual([[b], b]);
  });

  test('next to one that names a version: that one proves the image first', async () => {
    const { a, b } = await stage();
    await l.group('reads', { LaunchTemplateId: await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` }), Version: '1' });
    l.fails.add('reads');
    const ran = await promote(b, { groups: 'reads, web', 'parameter-templates': 'follow' });
    expect([ran.exitCode, stateOf('web'), l.pointer()]).toEqual([1, { runs: [a], version: '1' }, a]);
    l.fails.clear();
    const again = await promote(b, { groups: 'reads, web', 'parameter-templates': 'follow' });
    expect([again.exitCode, stateOf('web').runs, stateOf('reads').runs, l.pointer()]).toEqual([0, [b], [b], b]);
  });
});

test('a batch size is a share of the group', async () => {
  const { b } = await stage([]);
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: l.pointer() ?? '' }), Version: '1' }, { DesiredCapacity: 7 });
  await promote(b, { 'min-healthy': '', 'batch-size': '3' });
  const [started] = l.lab.calls.all().filter(({ operation }) => operation === 'StartInstanceRefresh');
  expect(started?.input['Preferences']).toMatchObject({ MinHealthyPercentage: 57, AutoRollback: true, SkipMatching: true, BakeTime: 60 });
  await promote(l.image('web-fresh'), { 'skip-matching': 'false' });
  const [, again] = l.lab.calls.all().filter(({ operation }) => operation === 'StartInstanceRefresh');
  expect(again?.input['Preferences']).toMatchObject({ SkipMatching: false, AutoRollback: true });
});

test('scenario 63: a group without instances gets the template and no refresh; it launches the image when it grows', async () => {
  const { b } = await stage([]);
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: l.pointer() ?? '' }), Version: '1' }, { DesiredCapacity: 0 });
  expect((await promote(b)).exitCode).toBe(0);
  expect([l.refreshes('web'), versionOf('web')]).toEqual([[], '2']);
  await l.cloud.autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'web', DesiredCapacity: 1 }));
  for (let waited = 0; l.runs('web').length < 1 && waited < 600; waited += 2) await l.lab.clock.sleep(2);
  expect(l.runs('web')).toEqual([b]);
});
