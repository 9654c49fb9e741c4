import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { BUILD, FURTHER, HOME, ROLE, type ShareLab, STAGE, shareLab } from './share-lab.ts';

/** Copies while the image is validated: in no family before a passed verdict, and removed after a failed one. */

let l: ShareLab;
let image: string;
beforeAll(async () => {
  l = await shareLab({ timings: { copy: 60 } });
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

let count = 0;
const WHERE = { regions: FURTHER.join(), copy: `${BUILD},${STAGE}`, 'target-role': ROLE };
const prepare = () => l.act('share', { ...WHERE, image, prepare: 'true' });

beforeEach(() => {
  count += 1;
  image = l.image(`web-${count}`, { tags: { 'ami-action:verdict': '' } });
});

const failed = () =>
  setTags(l.home, image, {
    'ami-action:verdict': verdictValue(image, { result: 'failed', checks: 'a'.repeat(32), at: new Date(l.lab.clock.now()) }),
  });
const passed = () =>
  setTags(l.home, image, {
    'ami-action:verdict': verdictValue(image, { result: 'passed', checks: 'a'.repeat(32), at: new Date(l.lab.clock.now()) }),
  });

/** Every copy of the image in both accounts: `<account> <region>` -> its family, or none. */
const copies = () =>
  Object.fromEntries(
    [BUILD, STAGE].flatMap(account =>
      [HOME, ...FURTHER].flatMap(region =>
        l
          .owned(account, region)
          .filter(({ id }) => l.tags(id, account, region)['ami-action:copied-from'] === image)
          .map(({ id }) => [`${account} ${region}`, l.tags(id, account, region)['ami-action:family'] ?? 'none']),
      ),
    ),
  );

const ALL = [...FURTHER.map(region => `${BUILD} ${region}`), ...[HOME, ...FURTHER].map(region => `${STAGE} ${region}`)];
const everywhere = (family: string) => Object.fromEntries(ALL.map(where => [where, family]));

test('an image without a verdict is copied everywhere, and the copies are in no family', async () => {
  // Longer than a busy machine needs until the copies are looked at.
  const { copy } = l.lab.core.timings;
  Object.assign(l.lab.core.timings, { copy: 36_000 });
  const ran = await prepare().finally(() => Object.assign(l.lab.core.timings, { copy }));
  expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
  expect(copies()).toEqual(everywhere('none'));
  const [pending] = l.owned(STAGE, HOME).filter(({ id }) => l.tags(id, STAGE, HOME)['ami-action:copied-from'] === image);
  expect(pending?.state).toBe('pending');
});

test('a second run starts no second copy', async () => {
  await prepare();
  const mark = l.lab.calls.mark();
  expect((await prepare()).outputs['outcome']).toBe('unchanged');
  expect(l.lab.calls.count('CopyImage', mark)).toBe(0);
});

test('share refuses the image until it has passed, and then finishes the same copies', async () => {
  await prepare();
  const mark = l.lab.calls.mark();
  expect((await l.act('share', { ...WHERE, image })).errors.join()).toContain('has no passed verdict');
  passed();
  const ran = await l.act('share', { ...WHERE, image });
  expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
  expect(copies()).toEqual(everywhere('web'));
  expect(l.lab.calls.count('CopyImage', mark)).toBe(0);
  for (const where of ALL) {
    const [account = '', region = ''] = where.split(' ');
    const found = l.owned(account, region).find(({ id }) => l.tags(id, account, region)['ami-action:copied-from'] === image);
    const tags = l.tags(found?.id ?? '', account, region);
    expect(tags['ami-action:verdict']).toContain(`source:${image}`);
    expect([tags['ami-action:expires-at'], tags['ami-action:for-family'], tags['ami-action:purpose']]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  }
});

test('of an image that failed, the copies are removed, pending or not, and the accounts lose what they got for them', async () => {
  await prepare();
  expect(l.labImage(image).launchers.has(STAGE)).toBe(true);
  failed();
  const ran = await prepare();
  expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
  expect(copies()).toEqual({});
  expect(l.labImage(image).launchers.has(STAGE)).toBe(false);
  expect(l.snapshot(`snap-${image.slice(4)}`).readers.has(STAGE)).toBe(false);
  expect(ran.summary).toContain('failed validation: its copies were removed');
});

test('a finished copy of the family is never removed as unfinished', async () => {
  passed();
  await l.act('share', { ...WHERE, image });
  failed();
  expect((await prepare()).outputs['outcome']).toBe('unchanged');
  expect(copies()).toEqual(everywhere('web'));
});

test('a dry run after a failed verdict removes nothing', async () => {
  await prepare();
  failed();
  const ran = await l.act('share', { ...WHERE, image, prepare: 'true', 'dry-run': 'true' });
  expect(ran.outputs['outcome']).toBe('planned');
  expect(copies()).toEqual(everywhere('none'));
});
