import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { familyOfFive, type PruneLab, planOf, REAL } from './prune-lab.ts';

/** Marks: what happens to an image between the day it becomes unused and the day it is removed. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const GRACE = { ...REAL, grace: '7d' };
const DISABLE = { ...GRACE, disable: 'true' };
const DAY_MS = 86_400_000;
const CONSUMER = '222222222222';

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

const states = (...names: readonly string[]) =>
  names.map(name => [
    l.labImage(name).state,
    l.labImage(name).deprecateAt !== undefined,
    l.tags(name)['ami-action:marked-at']?.split('Z')[1],
  ]);
const UNTOUCHED = ['available', false, undefined];
const marked = (name: string, daysAgo: number, how = '') =>
  setTags(l.home, l.id(name), { 'ami-action:marked-at': `${new Date(l.lab.clock.now() - daysAgo * DAY_MS).toISOString()}${how}` });

describe('with a grace', () => {
  test('images are marked and deprecated, unmarked when they are used again, and removed when the grace is over', async () => {
    await stage();
    expect((await l.act('prune', GRACE)).outputs).toMatchObject({ outcome: 'done', removed: '0' });
    expect(l.there()).toHaveLength(5);
    expect(states('d10', 'd30', 'd40', 'd50')).toEqual([UNTOUCHED, ['available', true, ''], UNTOUCHED, ['available', true, '']]);
    await l.parameter('/ami/web/stage', l.id('d30'));
    marked('d50', 8);
    const ran = await l.act('prune', GRACE);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d40', 'd30', 'd20', 'd10']]);
    expect(states('d30')).toEqual([UNTOUCHED]);
  });

  test('an image that another account uses again is unmarked before its grace is over', async () => {
    await stage();
    l.labImage('d50').launchers.add(CONSUMER);
    marked('d50', 1);
    await l.cloudOf(CONSUMER).ssm.send(new PutParameterCommand({ Name: '/ami/web/prod', Value: l.id('d50'), Type: 'String' }));
    const ran = await l.act('prune', { ...GRACE, 'target-role': 'arn:aws:iam::{account}:role/ami-consumer' });
    expect([ran.exitCode, states('d50')]).toEqual([0, [UNTOUCHED]]);
    expect(planOf(l, ran)['d50']).toBe('unmark: used by parameter /ami/web/prod in account …2222');
  });

  test('an image that was deprecated before its mark stays deprecated when it is unmarked', async () => {
    await stage();
    const before = new Date(l.lab.clock.now() - 30 * DAY_MS);
    l.labImage('d50').deprecateAt = before;
    await l.act('prune', GRACE);
    expect(states('d50')).toEqual([['available', true, ' deprecated before']]);
    await l.parameter('/ami/web/stage', l.id('d50'));
    const ran = await l.act('prune', GRACE);
    expect([ran.exitCode, states('d50'), l.labImage('d50').deprecateAt]).toEqual([0, [['available', true, undefined]], before]);
  });

  test('one that cannot be marked does not stop the others, and the job is red', async () => {
    await stage();
    marked('d50', 8);
    l.lab.faults.add({
      operation: 'EnableImageDeprecation',
      action: { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 },
    });
    const ran = await l.act('prune', GRACE);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there()]).toEqual([
      1,
      'access',
      '1',
      ['d40', 'd30', 'd20', 'd10'],
    ]);
    expect(l.named(ran.errors[0] ?? '')).toContain(
      '1 of 1 image was removed; 1 action is incomplete.\nLeft behind:\n- mark on d30: Not allowed to deprecate d30 (ec2:EnableImageDeprecation)',
    );
  });
});

describe('disabled while they wait', () => {
  const WITH_CONSUMER = { ...DISABLE, 'target-role': 'arn:aws:iam::{account}:role/ami-consumer' };

  test('they cannot be launched; one that is used again is enabled by the next run', async () => {
    await stage();
    expect((await l.act('prune', DISABLE)).outputs).toMatchObject({ outcome: 'done', removed: '0' });
    expect(states('d10', 'd30', 'd40', 'd50')).toEqual([
      UNTOUCHED,
      ['disabled', true, ' disabled'],
      UNTOUCHED,
      ['disabled', true, ' disabled'],
    ]);
    await l.parameter('/ami/web/stage', l.id('d30'));
    marked('d50', 8, ' disabled');
    const ran = await l.act('prune', DISABLE);
    expect([ran.exitCode, ran.outputs['removed'], l.there(), l.orphans()]).toEqual([0, '1', ['d40', 'd30', 'd20', 'd10'], []]);
    expect(states('d30')).toEqual([UNTOUCHED]);
    expect(l.named(ran.log)).toContain('d30 is unmarked and enabled');
  });

  test('a dry run reports it, and which accounts lose the image; the plan hash differs from that of a run that only marks', async () => {
    await stage();
    l.labImage('d50').launchers.add(CONSUMER);
    const planned = await l.act('prune', { ...WITH_CONSUMER, 'dry-run': 'true' });
    expect(planOf(l, planned)).toMatchObject({
      d30: 'mark: nothing uses it; removal after 7d; disabled until then',
      d50: 'mark: nothing uses it; removal after 7d; disabled until then; sharing with account …2222 ends permanently',
    });
    expect(planned.summary).toContain('🏷️ mark, disable');
    expect(planned.warnings.map(l.named)).toEqual([
      `Disabling d50 takes it from account ${CONSUMER} permanently: enabling it does not share it again.`,
    ]);
    expect(states('d50')).toEqual([UNTOUCHED]);
    const marks = await l.act('prune', { ...WITH_CONSUMER, disable: 'false', 'dry-run': 'true' });
    expect([marks.warnings, marks.outputs['plan-hash'] === planned.outputs['plan-hash']]).toEqual([[], false]);
    const ran = await l.act('prune', { ...WITH_CONSUMER, 'plan-hash': planned.outputs['plan-hash'] ?? '' });
    expect([ran.exitCode, l.labImage('d50').state, [...l.labImage('d50').launchers]]).toEqual([0, 'disabled', []]);
  });

  test('one that is shared with an account which cannot be seen is left alone', async () => {
    await stage();
    l.labImage('d50').launchers.add(CONSUMER);
    const ran = await l.act('prune', DISABLE);
    expect([states('d50'), [...l.labImage('d50').launchers]]).toEqual([[UNTOUCHED], [CONSUMER]]);
    expect(planOf(l, ran)['d50']).toBe('keep: may be used by account …2222 (shared; not readable)');
  });

  test('an image that comes into use after the plan was made is neither disabled nor marked', async () => {
    await stage();
    l.labImage('d30').launchers.add(CONSUMER);
    const use = async () => {
      const { ec2 } = l.cloud;
      await ec2.send(new RunInstancesCommand({ ImageId: l.id('d50'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
      await l.cloudOf(CONSUMER).ssm.send(new PutParameterCommand({ Name: '/ami/web/prod', Value: l.id('d30'), Type: 'String' }));
    };
    // The last call of the plan; the next are those of the second look.
    l.lab.faults.add({ operation: 'DescribeLaunchTemplateVersions', account: CONSUMER, nth: 1, action: { run: use, at: 'after' } });
    const ran = await l.act('prune', WITH_CONSUMER);
    expect([ran.exitCode, states('d30', 'd50')]).toEqual([0, [UNTOUCHED, UNTOUCHED]]);
    expect(l.named(ran.log)).toMatch(/d50 is not marked. After the plan was made: used by instance i-/);
    expect(l.named(ran.log)).toContain(
      `d30 is not marked. After the plan was made: used by parameter /ami/web/prod in account ${CONSUMER}`,
    );
  });

  test('a denied second look disables nothing, reports each image, and still removes what was marked long ago', async () => {
    await stage();
    marked('d50', 8, ' disabled');
    Object.assign(l.labImage('d50'), { state: 'disabled', deprecateAt: new Date(l.lab.clock.now() - 8 * DAY_MS) });
    l.lab.faults.add({
      operation: 'DescribeInstances',
      nth: 2,
      action: { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 },
    });
    const ran = await l.act('prune', DISABLE);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], states('d30')]).toEqual([1, 'access', '1', [UNTOUCHED]]);
    expect(l.there()).toEqual(['d40', 'd30', 'd20', 'd10']);
    expect(l.named(ran.errors[0] ?? '')).toContain(
      '1 of 1 image was removed; 1 action is incomplete.\nLeft behind:\n- mark on d30: Not allowed to describe instances (ec2:DescribeInstances)',
    );
  });

  test('an image that another process disabled stays disabled, and one that prune disabled counts among the newest again', async () => {
    await stage();
    for (const name of ['d20', 'd30']) {
      l.labImage(name).state = 'disabled';
      l.labImage(name).deprecateAt = new Date(l.lab.clock.now() - DAY_MS);
    }
    marked('d20', 1, ' disabled');
    marked('d30', 1);
    await l.parameter('/ami/web/stage', l.id('d30'));
    const ran = await l.act('prune', GRACE);
    expect([ran.exitCode, states('d20', 'd30')]).toEqual([0, [UNTOUCHED, ['disabled', false, undefined]]]);
    expect(planOf(l, ran)['d20']).toBe('unmark: one of the newest 2');
  });

  test('not without a grace, nor from the file', async () => {
    await stage();
    const ran = await l.act('prune', { ...DISABLE, grace: '0s' });
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'usage', 5]);
    expect(ran.errors[0]).toContain('"disable" requires "grace": how long images are disabled before they are removed');
    const filed = await l.act('prune', GRACE, { files: { '.github/ami.yml': 'disable: true\n' } });
    expect([filed.exitCode, filed.outputs['outcome'], states('d50')]).toEqual([1, 'usage', [UNTOUCHED]]);
  });
});
