import { expect, test } from '@jest/globals';
import type { Image, Tags } from '../../src/model/image.ts';
import { type Verdict, verdictOf } from '../../src/model/verdict.ts';
import type { Deps } from '../../src/ports/deps.ts';
import { storeOnCopies } from '../../src/validation/store-verdict.ts';

/** The verdict of an image is written on the copies that were made of it. */

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const identity = (more: Tags): Tags => ({
  'ami-action:family': 'web',
  'ami-action:commit': 'c'.repeat(40),
  'ami-action:created-at': '2026-05-01T12:00:00.000Z',
  'ami-action:fingerprint': 'f'.repeat(64),
  ...more,
});
const image = (id: string, tags: Tags): Image => ({
  ...{ id, name: 'web-1', state: 'available', stateReason: '', architecture: 'x86_64', ownerId: '111122223333', createdAt: new Date(0) },
  ...{ public: false, tags, snapshotIds: [`snap-${id}`], sizeGiB: 8, encrypted: false, imdsV2: true, ena: true },
  ...{ deprecatedAt: undefined, lastLaunchedAt: undefined, protected: false },
});

const HOME = image('ami-00000000000000001', identity({}));
const PASSED: Verdict = { result: 'passed', checks: 'a'.repeat(32), at: new Date('2026-05-01T13:00:00Z') };

/** One region with these images. */
function regionOf(images: Image[]) {
  const find = async ({ names, tags = {} }: { names?: readonly string[]; tags?: Tags }) =>
    images.filter(
      one => (names === undefined || names.includes(one.name)) && Object.entries(tags).every(([key, value]) => one.tags[key] === value),
    );
  const writes: string[] = [];
  const port = {
    account: { id: async () => '111122223333', environment: async () => ({}) },
    images: {
      find,
      get: async (id: string) => images.find(one => one.id === id),
      async tag(ids: readonly string[], tags: Tags) {
        writes.push(...ids);
        for (const [at, one] of images.entries()) if (ids.includes(one.id)) images[at] = { ...one, tags: { ...one.tags, ...tags } };
      },
      untag: async () => {},
    },
  };
  return { port, writes, verdict: (id: string) => verdictOf(images.find(one => one.id === id) as Image, scheme) };
}

async function store(images: Image[], verdict = PASSED) {
  const region = regionOf(images);
  const warnings: string[] = [];
  const deps = {
    inRegion: () => region.port,
    clock: { now: () => Date.parse('2026-05-01T14:00:00Z'), sleep: async () => {} },
    report: { info: () => {}, warn: (message: string) => void warnings.push(message) },
  } as unknown as Deps<'account' | 'images' | 'macs'>;
  const options = { scheme, family: 'web', region: 'eu-central-1', regions: ['eu-west-1'] };
  return { failure: await storeOnCopies(HOME, verdict, options, deps), warnings, ...region };
}

const COPY = 'ami-00000000000000002';

test.each<[string, Tags]>([
  ['that the action made', { 'ami-action:copied-from': HOME.id }],
  ['that Packer made in the same build', {}],
])('a copy %s gets it, with its source and sealed to its own ID', async (_, tags) => {
  const { failure, verdict, writes } = await store([image(COPY, identity(tags))]);
  expect([failure, verdict(COPY).result, verdict(COPY).verdict?.source]).toEqual([undefined, 'passed', HOME.id]);
  expect(writes).toEqual([COPY, `snap-${COPY}`]);
});

test('an unfinished copy, an image of another build and a copy that has it already are left alone', async () => {
  const { 'ami-action:family': _, ...unfinished } = identity({ 'ami-action:copied-from': HOME.id });
  const { writes, warnings } = await store([image(COPY, unfinished)]);
  expect([writes, warnings]).toEqual([[], []]);
  expect((await store([image(COPY, identity({ 'ami-action:created-at': '2026-05-02T12:00:00.000Z' }))])).writes).toEqual([]);
  const images = [image(COPY, identity({ 'ami-action:copied-from': HOME.id }))];
  await store(images);
  expect((await store(images)).writes).toEqual([]);
});

test('a failed verdict replaces an older passed one', async () => {
  const images = [image(COPY, identity({ 'ami-action:copied-from': HOME.id }))];
  await store(images);
  const { verdict } = await store(images, { ...PASSED, result: 'failed', at: new Date('2026-05-01T13:30:00Z') });
  expect(verdict(COPY).result).toBe('failed');
});
