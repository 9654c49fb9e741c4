import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { keys } from '../../lab/kms/keys.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { verdictOf, verdictValue } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { BUILD, HOME, PROD, ROLE, type ShareLab, shareLab } from './share-lab.ts';
import { validateLab } from './validate-lab.ts';

const SCHEME = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const KEY = `arn:aws:kms:${HOME}:${BUILD}:key/mrk-1234abcd`;
const TAG = 'ami-action:verdict';

let l: ShareLab;
beforeEach(async () => {
  l = await shareLab();
  keys(l.lab.core).set(KEY, { policy: {} });
});
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const passed = { result: 'passed', checks: 'a'.repeat(32), at: new Date('2026-05-01T12:00:00Z') } as const;
const promote = (image: string, wanted: Record<string, string> = {}, account = BUILD) =>
  l.act('promote', { image, environment: 'stage', strategy: 'none', 'verdict-key': KEY, ...wanted }, { as: { account } });
const current = (account = BUILD) => parameters(l.lab.place(account)).get('/ami/web/stage')?.versions.at(-1)?.value;

test('validate signs the verdict, and promote accepts it; a revalidation signs one that is not signed', async () => {
  const v = await validateLab();
  keys(v.lab.core).set(KEY, { policy: {} });
  const image = await v.bake('signed');
  expect((await v.validate(image, { revalidate: 'changed' })).outputs['outcome']).toBe('done');
  expect(v.tagsOf(image)[TAG]).not.toContain(' mac:');
  const signing = { revalidate: 'changed', 'verdict-key': KEY };
  expect((await v.validate(image, signing)).outputs['outcome']).toBe('done');
  expect(v.tagsOf(image)[TAG]).toMatch(/^passed .* seal:[0-9a-f]{32} mac:[A-Za-z0-9+/]{43}=$/);
  expect((await v.validate(image, signing)).outputs['outcome']).toBe('unchanged');
  expect(verdictOf({ id: image, tags: v.tagsOf(image) }, SCHEME).result).toBe('passed');
  await v.lab.close();
});

test('promote refuses a verdict that was written without the key, or is of another image or other checks', async () => {
  const id = l.image('web-1');
  const unsigned = await promote(id);
  expect([unsigned.exitCode, unsigned.outputs['outcome'], current()]).toEqual([1, 'rejected', undefined]);
  expect(unsigned.errors.join()).toContain(
    `the verdict of ${id} carries no signature ("verdict-key" ${KEY}). Run "validate" or "share" with this "verdict-key"`,
  );
  const mac = Buffer.alloc(32, 7).toString('base64');
  setTags(l.home, id, { [TAG]: verdictValue(id, { ...passed, mac }) });
  const forged = await promote(id);
  expect([forged.exitCode, forged.outputs['outcome'], current()]).toEqual([1, 'rejected', undefined]);
  expect(forged.errors.join()).toContain(`the verdict of ${id} does not fit its signature`);
  // What a tag is worth without a key.
  expect((await promote(id, { 'verdict-key': '' })).outputs['outcome']).toBe('done');
});

test('promote refuses an image whose identity was changed after it was signed', async () => {
  const id = l.image('web-1', { tags: { 'ami-action:ref': 'refs/heads/feature' } });
  await l.sign(id, KEY);
  expect((await promote(id, { 'dry-run': 'true' })).outputs['outcome']).toBe('planned');
  for (const [key, value] of [
    ['ami-action:ref', 'refs/heads/main'],
    ['ami-action:commit', 'e'.repeat(40)],
  ] as const) {
    const before = l.tags(id, BUILD)[key] ?? '';
    setTags(l.home, id, { [key]: value });
    const ran = await promote(id, { 'allowed-refs': 'main, feature' });
    expect([ran.outputs['outcome'], current()]).toEqual(['rejected', undefined]);
    expect(ran.errors.join()).toContain(
      `the verdict of ${id} does not fit its signature: another key, another image, or changed identity tags`,
    );
    setTags(l.home, id, { [key]: before });
  }
  expect((await promote(id)).outputs['outcome']).toBe('done');
});

test('share signs the verdict of a copy for its own ID, once; a signature of the source does not count for it', async () => {
  const id = l.image('web-1');
  const sharing = { image: id, copy: PROD, 'target-role': ROLE, 'verdict-key': KEY };
  const refused = await l.act('share', sharing);
  expect([refused.exitCode, refused.outputs['outcome'], l.owned(PROD)]).toEqual([1, 'rejected', []]);
  await l.sign(id, KEY);
  expect((await l.act('share', sharing)).outputs['outcome']).toBe('done');
  const copy = l.owned(PROD)[0]?.id ?? '';
  const mark = l.lab.calls.mark();
  expect([(await l.act('share', sharing)).outputs['outcome'], l.writes(mark).filter(call => call.startsWith('Create'))]).toEqual([
    'unchanged',
    [],
  ]);
  expect([(await promote(copy, {}, PROD)).outputs['outcome'], current(PROD)]).toEqual(['done', copy]);

  const { verdict } = verdictOf({ id, tags: l.tags(id, BUILD) }, SCHEME);
  const other = l.image('web-2', {}, l.lab.place(PROD));
  if (verdict === undefined) throw new Error('no verdict');
  setTags(l.lab.place(PROD), other, { [TAG]: verdictValue(other, { ...verdict, source: id }) });
  const stolen = await promote(other, {}, PROD);
  expect([stolen.outputs['outcome'], current(PROD)]).toEqual(['rejected', copy]);
  expect(stolen.errors.join()).toContain(`the verdict of ${other} does not fit its signature`);
});

test('a key that cannot be used stops everything that needs it', async () => {
  const id = l.image('web-1');
  await l.sign(id, KEY);
  l.lab.faults.add({ service: 'kms', operation: 'VerifyMac', action: { error: 'AccessDeniedException', message: 'no' } });
  const denied = await promote(id);
  expect([denied.exitCode, denied.outputs['outcome'], current()]).toEqual([1, 'access', undefined]);
  expect(denied.errors.join()).toContain(`verify the verdict with ${KEY} (kms:VerifyMac)`);
  const odd = await l.act('promote', { image: id, environment: 'stage', strategy: 'none', 'verdict-key': 'alias/x' });
  expect([odd.outputs['outcome'], odd.errors.join()]).toEqual(['usage', expect.stringContaining('must be the ARN of a KMS key or alias')]);
});
