import { ModifyImageAttributeCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { familyOfFive, type PruneLab, planOf, pruneLab, REAL } from './prune-lab.ts';

/** What prune refuses to do, and images that it never touches. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

test('scenario 73: deregistration protection and its cooldown are reasons to keep, no failures', async () => {
  await stage();
  l.labImage('d50').protection = { enabled: true, cooldown: true, until: undefined };
  l.labImage('d30').protection = { enabled: false, cooldown: true, until: new Date(l.lab.clock.now() + 86_400_000) };
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([0, 'unchanged', 5]);
  expect(planOf(l, ran)).toMatchObject({ d50: 'keep: protected from deregistration', d30: 'keep: protected from deregistration' });
});

test('scenario 73: protection that came after the plan was made keeps the image, and the job stays green', async () => {
  await stage();
  const protect = () => {
    l.labImage('d50').protection = { enabled: true, cooldown: false, until: undefined };
  };
  l.lab.faults.add({ operation: 'DeregisterImage', nth: 1, action: { run: protect, at: 'before' } });
  const ran = await l.act('prune', { ...REAL, 'max-removals': '1' });
  expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there().length]).toEqual([0, 'done', '0', 5]);
  expect(l.named(ran.log)).toContain('d50 is kept: ');
});

describe('scenario 74: a policy that would take too much is refused', () => {
  test('no image left for a rollback, invalid families, and invalid numbers', async () => {
    await stage();
    const cases = [
      [{ 'keep-newest': '0' }, '"keep-newest" must be at least 1, got "0": no image would be left for a rollback'],
      [{ 'keep-newest': '-1' }, '"keep-newest" must be a whole number from 0 to 10000, got "-1"'],
      [{ family: '*' }, '"family" must be 1 to 100 letters'],
      [{ family: '' }, '"family" is missing'],
      [{ 'max-share': '101' }, '"max-share" must be a whole number from 1 to 100, got "101"'],
      [{ 'max-removals': '0' }, '"max-removals" must be a whole number from 1 to 100000, got "0"'],
      [{ 'minimum-age': '7' }, '"minimum-age" must be a duration such as 90s, 45m, 1h30m or 2d, got "7"'],
      [
        { classes: '- {name: all, tags: {ami-action:family: "*"}, keep-newest: 0}' },
        'must name at least one tag with a value other than "*"',
      ],
      [{ family: 'wbe' }, '"family": no image in eu-central-1 has the tag ami-action:family=wbe. Families there: web.'],
    ] as const;
    for (const [wrong, says] of cases) {
      const ran = await l.act('prune', { ...REAL, ...wrong });
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'usage']);
      expect(ran.errors[0]).toContain(says);
    }
    expect([l.there().length, l.lab.calls.count('DeregisterImage')]).toEqual([5, 0]);
  });

  test('too few in use, which usually means a wrong account, region or pointer', async () => {
    await stage();
    const ran = await l.act('prune', { ...REAL, 'min-in-use': '2' });
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'rejected', 5]);
    expect(ran.errors[0]).toContain('Only 1 of 5 images of web is in use; "min-in-use" requires 2.\nNo changes were made.');
  });

  test('retire-family removes a whole family', async () => {
    l = await pruneLab();
    for (const daysOld of [10, 20, 30]) l.image(`d${daysOld}`, { daysOld });
    const wanted = { 'keep-newest': '0', 'keep-passed': '0', 'retire-family': 'true', 'max-share': '100', 'dry-run': 'false' };
    const ran = await l.act('prune', wanted);
    expect([ran.exitCode, l.there(), l.orphans()]).toEqual([0, [], []]);
  });

  test('max-removals and max-share limit one run, and the next run continues', async () => {
    await stage();
    await l.act('prune', { ...REAL, 'keep-newest': '1', 'max-removals': '1' });
    expect(l.there()).toEqual(['d40', 'd30', 'd20', 'd10']);
    await l.act('prune', { ...REAL, 'keep-newest': '1', 'max-share': '20' });
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });

  test('too few in use, although one is shared with an account that cannot be read', async () => {
    l = await pruneLab();
    for (const daysOld of [10, 20, 30, 40, 50]) l.image(`d${daysOld}`, { daysOld });
    const LaunchPermission = { Add: [{ UserId: '444455556666' }] };
    await l.cloud.ec2.send(new ModifyImageAttributeCommand({ ImageId: l.id('d30'), LaunchPermission }));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there()]).toEqual([1, 'rejected', ['d50', 'd40', 'd30', 'd20', 'd10']]);
    expect(ran.errors.join()).toContain('Only 0 of 5 images of web are in use');
  });
});

test('scenario 76: public, shared, foreign and backup images are never touched, whatever their tags say', async () => {
  await stage();
  const other = '999999999999';
  l.image('public', { daysOld: 60, change: { launchers: new Set(['all']) } });
  l.image('shared', { daysOld: 61, change: { launchers: new Set([other]) } });
  l.image('organization', { daysOld: 62, change: { launchers: new Set(['arn:aws:organizations::111122223333:organization/o-1']) } });
  l.image('theirs', { daysOld: 63, account: other, change: { launchers: new Set([l.home.account]) } });
  setTags(l.home, l.id('theirs'), { 'ami-action:family': 'web' });
  l.image('backup', { daysOld: 64, tags: { 'aws:backup:source-resource': 'i-1' } });
  l.image('api', { daysOld: 65, tags: { 'ami-action:family': 'api' } });
  l.image('kept', { daysOld: 66, tags: { 'ami-action:keep': 'for the audit' } });
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, ran.outputs['removed']]).toEqual([0, '2']);
  expect(l.there()).toEqual(['kept', 'api', 'backup', 'organization', 'shared', 'public', 'd40', 'd20', 'd10']);
  expect(l.there(l.lab.place(other))).toEqual(['theirs']);
  expect(Object.keys(planOf(l, ran)).filter(name => ['api', 'theirs'].includes(name))).toEqual([]);
  expect(planOf(l, ran)).toMatchObject({
    public: 'keep: public: any account can launch it',
    shared: 'keep: may be used by account …9999 (shared; not readable)',
    organization: expect.stringContaining('organization/o-1 (shared; not readable)'),
    backup: 'keep: managed by AWS Backup',
    kept: 'keep: tagged ami-action:keep',
  });
});
