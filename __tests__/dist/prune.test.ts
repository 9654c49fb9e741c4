import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { familyOfFive, POLICY, type PruneLab, planOf, pruneLab, REAL } from './prune-lab.ts';

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

describe('a family of five', () => {
  test('loses its unused images and their snapshots, and a second run finds nothing to do', async () => {
    await stage();
    const ran = await l.act('prune', REAL);
    expect(ran).toMatchObject({
      exitCode: 0,
      outputs: { outcome: 'done', removed: '2', kept: '3', 'freed-gib': '16', 'freed-per-month': '0.8' },
    });
    expect(planOf(l, ran)).toEqual({
      d10: 'keep: one of the newest 2',
      d20: 'keep: one of the newest 2',
      d30: 'remove: nothing uses it',
      d40: 'keep: used by parameter /ami/web/prod',
      d50: 'remove: nothing uses it',
    });
    expect([l.there(), l.orphans()]).toEqual([['d40', 'd20', 'd10'], []]);
    const again = await l.act('prune', REAL);
    expect([again.exitCode, again.outputs['outcome'], again.outputs['removed'], l.there()]).toEqual([
      0,
      'unchanged',
      '0',
      ['d40', 'd20', 'd10'],
    ]);
    expect(again.summary.split('\n\n').slice(0, 3)).toEqual([
      '### ✅ web: nothing to remove',
      '<details><summary>Plan: Nothing to remove: all 3 images are kept.</summary>',
      expect.stringMatching(/^Read: /),
    ]);
  });

  test('scenario 78: a dry run is the default, and it prints the plan of the real run', async () => {
    await stage();
    const mark = l.lab.calls.mark();
    const planned = await l.act('prune', POLICY);
    expect(planned).toMatchObject({ exitCode: 0, outputs: { outcome: 'planned', removed: '2', kept: '3', 'freed-gib': '16' } });
    expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List)/.test(operation))).toEqual([]);
    expect(l.there()).toHaveLength(5);
    const done = await l.act('prune', { ...REAL, 'plan-hash': planned.outputs['plan-hash'] ?? '' });
    expect([done.exitCode, done.outputs['plan'], done.outputs['plan-hash']]).toEqual([
      0,
      planned.outputs['plan'],
      planned.outputs['plan-hash'],
    ]);
    const tableOf = (summary: string) => summary.split('\n').filter(line => line.startsWith('|'));
    expect(tableOf(done.summary).slice(0, 7).map(ageless)).toEqual(tableOf(planned.summary).slice(0, 7).map(ageless));
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });

  test('scenario 78: a plan that has changed since its approval is not applied', async () => {
    await stage();
    const approved = (await l.act('prune', POLICY)).outputs['plan-hash'] ?? '';
    l.image('d60', { daysOld: 60 });
    const ran = await l.act('prune', { ...REAL, 'plan-hash': approved });
    expect([ran.exitCode, ran.outputs['outcome'], l.there()]).toEqual([1, 'rejected', ['d60', 'd50', 'd40', 'd30', 'd20', 'd10']]);
    expect(ran.errors[0]).toContain('The plan has changed since it was approved.\nNo changes were made.');
  });
});

const ageless = (line: string) => line.replace(/\| \d+[dhms][^|]*\|/, '| age |');

test('classes in the repository’s file decide before the policy, and keep-ancestors keeps ancestors of kept images', async () => {
  l = await pruneLab();
  const pull = { 'ami-action:ref': 'refs/pull/7/merge' };
  l.image('main1', { daysOld: 10 });
  l.image('base', { daysOld: 90 });
  l.image('main2', { daysOld: 20, tags: { 'ami-action:base-ami': l.id('base') } });
  l.image('main3', { daysOld: 30 });
  l.image('pull1', { daysOld: 1, tags: pull });
  l.image('pull2', { daysOld: 3, tags: pull });
  await l.parameter('/ami/web/prod', l.id('main1'));
  const classes = [
    'classes:',
    '  - name: pull request',
    '    tags: { ami-action:ref: refs/pull/* }',
    '    keep-newest: 0',
    '    minimum-age: 2d',
  ];
  const files = { '.github/ami.yml': classes.join('\n') };
  const ran = await l.act('prune', { ...REAL, 'keep-ancestors': 'true' }, { files });
  expect([ran.exitCode, l.there()]).toEqual([0, ['base', 'main2', 'main1', 'pull1']]);
  expect(planOf(l, ran)).toMatchObject({
    pull1: 'keep: younger than minimum-age',
    pull2: 'remove: nothing uses it',
    main2: 'keep: one of the newest 2',
    main3: 'remove: nothing uses it',
    base: 'keep: main2 was built from it',
  });
});

test('keep-ancestors keeps what images of other families were built from', async () => {
  await stage();
  const api = { 'ami-action:family': 'api', 'ami-action:base-ami': l.id('d50') };
  l.image('api', { daysOld: 1, tags: api });
  const ran = await l.act('prune', { ...REAL, 'keep-ancestors': 'true' });
  expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10', 'api']]);
  expect(planOf(l, ran)['d50']).toBe('keep: used by api, which was built from it');
});

test('the summary shows the outcome, then the changes, then at most 500 images in total', async () => {
  l = await pruneLab({ pageSize: undefined });
  for (let n = 0; n < 502; n++) l.image(`d${n}`, { daysOld: 10 + n });
  await l.parameter('/ami/web/prod', l.id('d500'));
  const ran = await l.act('prune', { ...REAL, 'max-removals': '1', 'keep-newest': '1' });
  expect([ran.exitCode, ran.outputs['removed'], ran.outputs['kept']]).toEqual([0, '1', '501']);
  const rows = ran.summary.split('\n').filter(line => line.includes('`ami-'));
  expect([rows.length, l.named(rows[0] ?? '').includes('🗑️\u00a0**remove** | `')]).toEqual([500, true]);
  expect(rows[0]).toMatch(/ \| 8 \| \$0\.40 \| nothing uses it \|$/);
  const below = ran.summary.slice(ran.summary.indexOf(rows[499] ?? '?'));
  expect(below).toContain('And 2 more images: the log has each with its reason.');
  expect(
    ran.summary.startsWith(
      '### ✅ web: removed 1 of 1 planned image\n\nThis saves at most 8 GiB, $0.40 a month.\n\n<details><summary>Plan: ',
    ),
  ).toBe(true);
  expect(ran.summary).toContain('<details><summary>501 images kept, and why</summary>');
});

describe('in several regions', () => {
  const BOTH = { ...REAL, regions: 'us-east-1' };
  const build = (name: string) => ({ 'ami-action:commit': `${name}-commit`, 'ami-action:fingerprint': `${name}-print` });

  test('each keeps its newest, and the copies of one image go together or not at all', async () => {
    l = await pruneLab();
    const there = l.lab.place(undefined, 'us-east-1');
    for (const daysOld of [10, 20, 30, 40]) {
      l.image(`eu${daysOld}`, { daysOld, tags: build(`${daysOld}`) });
      l.image(`us${daysOld}`, { daysOld: daysOld - 1, region: 'us-east-1', tags: build(`${daysOld}`) });
    }
    await l.parameter('/ami/web/prod', l.id('eu40'));
    const ran = await l.act('prune', BOTH);
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done', removed: '2', kept: '6' } });
    expect([l.there(), l.there(there)]).toEqual([
      ['eu40', 'eu20', 'eu10'],
      ['us40', 'us20', 'us10'],
    ]);
    expect([l.orphans(), l.orphans(there)]).toEqual([[], []]);
    expect(planOf(l, ran)['us40']).toBe('keep: its copy eu40 in eu-central-1 is kept: used by parameter /ami/web/prod');
  });

  test('one region that cannot be read keeps the images of all', async () => {
    l = await pruneLab();
    for (const daysOld of [10, 20, 30]) {
      l.image(`eu${daysOld}`, { daysOld });
      l.image(`us${daysOld}`, { daysOld, region: 'us-east-1' });
    }
    await l.parameter('/ami/web/prod', l.id('eu30'));
    l.lab.faults.add({ operation: 'DescribeLaunchConfigurations', region: 'us-east-1', action: { error: 'AccessDenied', status: 403 } });
    const ran = await l.act('prune', { ...BOTH, 'keep-newest': '1' });
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'access', 3]);
  });
});
