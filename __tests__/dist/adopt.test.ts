import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { tagsOf } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type PruneLab, planOf, pruneLab, REAL } from './prune-lab.ts';

/** Images from before the action become members of a family. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

async function stage() {
  l = await pruneLab();
  for (const daysOld of [10, 20, 30]) l.image(`pulsar-base-${daysOld}`, { daysOld, untagged: true });
  l.image('other', { daysOld: 5, untagged: true });
}

const ADOPT = { images: 'pulsar-base-*', 'dry-run': 'false' };
const snapshotOf = (name: string) => `snap-${l.id(name).slice('ami-'.length)}`;
const familyOf = (id: string) => tagsOf(l.home, id)['ami-action:family'];

test('images by name pattern: planned, adopted with their snapshots, and then listed, resolved, rolled back to and pruned like others', async () => {
  await stage();
  const mark = l.lab.calls.mark();
  const planned = await l.act('adopt', { images: 'pulsar-base-*' });
  expect(planned).toMatchObject({ exitCode: 0, outputs: { outcome: 'planned', adopted: '3' } });
  expect(planned.summary).toContain('**3 images of 3 would join family "web".** This is a dry run.');
  expect(l.lab.calls.since(mark).filter(({ operation }) => operation === 'CreateTags')).toEqual([]);

  const ran = await l.act('adopt', ADOPT);
  expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done', adopted: '3', plan: planned.outputs['plan'] } });
  for (const name of ['pulsar-base-10', 'pulsar-base-20', 'pulsar-base-30']) {
    expect([familyOf(l.id(name)), familyOf(snapshotOf(name))]).toEqual(['web', 'web']);
    expect(l.tags(name)['ami-action:created-at']).toBe(l.labImage(name).createdAt.toISOString());
  }
  expect(familyOf(l.id('other'))).toBeUndefined();

  const again = await l.act('adopt', ADOPT);
  expect(again).toMatchObject({ exitCode: 0, outputs: { outcome: 'unchanged', adopted: '0' } });

  expect((await l.act('list')).outputs['count']).toBe('3');
  expect((await l.act('resolve', { image: 'latest' })).outputs['ami-id']).toBe(l.id('pulsar-base-10'));
  await l.parameter('/ami/web/prod', l.id('pulsar-base-20'), l.id('pulsar-base-10'));
  const back = await l.act('rollback', { environment: 'prod', strategy: 'none' });
  expect([back.errors, back.outputs['ami-id']]).toEqual([[], l.id('pulsar-base-20')]);
  const pruned = await l.act('prune', { ...REAL, 'keep-newest': '1' });
  expect(planOf(l, pruned)).toEqual({
    'pulsar-base-10': 'keep: used by parameter /ami/web/prod, to roll back to',
    'pulsar-base-20': 'keep: used by parameter /ami/web/prod',
    'pulsar-base-30': 'remove: nothing uses it',
  });
  expect([pruned.exitCode, l.there(), l.orphans()]).toEqual([0, ['pulsar-base-20', 'pulsar-base-10', 'other'], []]);
});

test('one image by its ID', async () => {
  await stage();
  const ran = await l.act('adopt', { ...ADOPT, images: l.id('other') });
  expect([ran.exitCode, ran.outputs['adopted'], familyOf(l.id('other')), familyOf(l.id('pulsar-base-10'))]).toEqual([
    0,
    '1',
    'web',
    undefined,
  ]);
});

describe('refused without changes', () => {
  test.each([
    ['an image of another family', { 'ami-action:family': 'api' }, 'in family "api"'],
    ['an image of an unfinished build', { 'ami-action:for-family': 'web' }, 'made by an unfinished build of family "web"'],
  ])('%s', async (_, tags, reason) => {
    await stage();
    l.image('pulsar-base-1', { daysOld: 1, untagged: true, tags });
    const ran = await l.act('adopt', ADOPT);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['adopted']]).toEqual([1, 'rejected', '0']);
    expect(l.named(ran.errors[0] ?? '')).toBe(
      `1 image cannot be adopted: pulsar-base-1 (pulsar-base-1) is ${reason}.\nNo changes were made.\nNext: Narrow "images" so that it selects none of them.`,
    );
    expect(familyOf(l.id('pulsar-base-10'))).toBeUndefined();
  });

  test('a pattern or an ID that matches nothing, and a pattern that matches everything', async () => {
    await stage();
    const none = await l.act('adopt', { ...ADOPT, images: 'pulsar-base-*\nnova-*' });
    expect([none.exitCode, none.outputs['outcome'], familyOf(l.id('pulsar-base-10'))]).toEqual([1, 'usage', undefined]);
    expect(none.errors[0]).toContain('"images": "nova-*" matches no image of this account in eu-central-1');
    const all = await l.act('adopt', { ...ADOPT, images: '*' });
    expect(all.errors[0]).toContain('must be an image ID, or a name pattern with at least 3 characters other than "*" and "?"');
  });
});
