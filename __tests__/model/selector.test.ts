import { describe, expect, test } from '@jest/globals';
import { identityTags } from '../../src/model/identity.ts';
import type { Image } from '../../src/model/image.ts';
import { findByIdentity, formatSelector, lastKnownGood, parseSelector, pickImage } from '../../src/model/selector.ts';
import { selectorHint } from '../../src/model/selector-hint.ts';
import { verdictValue } from '../../src/model/verdict.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const choice = { scheme, family: 'web' };
const origin = { family: 'web', version: '1', commit: 'c0ffee0', ref: '', repository: 'acme/web', run: '1', createdAt: new Date(0) };

const image = (id: string, tags: Record<string, string> = {}, change: Partial<Image> = {}): Image => ({
  ...{ id, name: id, state: 'available', stateReason: '', architecture: 'x86_64', ownerId: '111122223333', createdAt: new Date(0) },
  ...{ public: false, snapshotIds: [], sizeGiB: 8, encrypted: false, imdsV2: true, ena: true, deprecatedAt: undefined },
  ...{ lastLaunchedAt: undefined, protected: false },
  tags: Object.fromEntries(Object.entries({ family: 'web', ...tags }).map(([key, value]) => [`ami-action:${key}`, value])),
  ...change,
});

const passed = (id: string, commit: string): Image =>
  image(id, { commit, verdict: verdictValue(id, { result: 'passed', checks: 'a'.repeat(32), at: new Date(0) }) });

describe('the grammar', () => {
  test.each([
    'ami-12345678',
    'ami-0123456789abcdef0',
    'latest',
    'previous',
    'commit:c0ffee0',
    'ref:main',
    'version:1.2 x'.replace(' x', ''),
    'environment:stage',
  ])('%s is read and said again alike', text => {
    const selector = parseSelector(text);
    expect(selector && formatSelector(selector)).toBe(text);
  });

  test.each(['', 'newest', 'ami-123', 'commit:xyz', 'commit:c0ffe', 'ref:', 'ref:a b', 'AMI-12345678', 'constructor'])(
    '%j is none',
    text => {
      expect(parseSelector(text)).toBeUndefined();
    },
  );
});

test.each([
  ['newest', 'is not a selector, did you mean "latest"?'],
  ['main', 'is not a selector, did you mean "ref:main"?'],
  ['feature/x', 'is not a selector, did you mean "ref:feature/x"?'],
  ['stage', 'is not a selector, did you mean "environment:stage"?'],
  ['c0ffee0', 'is not a selector, did you mean "commit:c0ffee0"?'],
  ['v1.2.3', 'is not a selector, did you mean "version:v1.2.3"?'],
  ['ami-123', 'must be an image ID: ami- and 8 or 17 hexadecimal digits'],
  ['commit:abc', 'must be commit: and 7 to 64 hexadecimal digits'],
  ['several-images', 'must be one image, and the build made several: set the input "architectures" of ami-pipeline.yml'],
  ['ref: main', undefined],
])('%j was probably meant otherwise: %s', (text, hint) => {
  expect(selectorHint(text)).toBe(hint);
});

test('trap T5: latest never means an image of a pull request', () => {
  const [merged, asked] = [image('ami-1', { ref: 'refs/heads/main' }), image('ami-2', { ref: 'refs/pull/7/merge' })];
  expect(pickImage([merged, asked], { kind: 'latest' }, choice).image?.id).toBe('ami-1');
  expect(pickImage([asked], { kind: 'latest' }, choice)).toMatchObject({
    image: undefined,
    reason:
      'latest matches no image of family "web". It has 1, newest first: ami-2 (commit unknown), all of pull requests, which "latest" never means',
  });
});

describe('one image of a family', () => {
  test('latest and ref mean the newest; what cannot be launched does not count', () => {
    const images = [
      image('ami-1', { ref: 'refs/heads/main' }, { createdAt: new Date(1) }),
      image('ami-2', { ref: 'refs/heads/main' }, { createdAt: new Date(2) }),
      image('ami-3', { ref: 'refs/heads/other' }, { createdAt: new Date(3) }),
      image('ami-4', { ref: 'refs/heads/main' }, { createdAt: new Date(4), state: 'failed' }),
    ];
    expect(pickImage(images, { kind: 'latest' }, choice).image?.id).toBe('ami-3');
    expect(pickImage(images, { kind: 'ref', value: 'main' }, choice).image?.id).toBe('ami-2');
  });

  test('a branch name that is longer than a tag is found by its whole name', () => {
    const branch = 'f'.repeat(269);
    const { tags } = image('ami-1');
    const [key, value] = [`ami-action:ref`, identityTags({ ...origin, ref: `refs/heads/${branch}` }, 'n', {}, scheme)['ami-action:ref']];
    const images = [image('ami-1', {}, { tags: { ...tags, [key]: value ?? '' } })];
    expect(value).toHaveLength(256);
    for (const ref of [branch, `refs/heads/${branch}`])
      expect(pickImage(images, { kind: 'ref', value: ref }, choice).image?.id).toBe('ami-1');
    expect(pickImage(images, { kind: 'ref', value: 'f'.repeat(200) }, choice).image).toBeUndefined();
  });

  test('a commit that fits two images is refused, not guessed, and nothing may be taken instead', () => {
    const picked = pickImage(
      [image('ami-1', { commit: 'c0ffee00' }), image('ami-2', { commit: 'c0ffee01' })],
      { kind: 'commit', value: 'c0ffee0' },
      choice,
    );
    expect(picked).toMatchObject({ image: undefined, noFallback: true });
    expect(picked.reason).toMatch(/matches 2 images of family "web": ami-\d, ami-\d\. Set "image" to one of these IDs/);
  });

  test('two architectures need "architecture"; no match lists what the family has', () => {
    const images = [image('ami-1', { version: '1' }), image('ami-2', { version: '1' }, { architecture: 'arm64' })];
    expect(pickImage(images, { kind: 'version', value: '1' }, choice)).toMatchObject({
      noFallback: true,
      reason: expect.stringContaining('arm64 and x86_64'),
    });
    expect(pickImage(images, { kind: 'version', value: '1' }, { ...choice, architecture: 'arm64' }).image?.id).toBe('ami-2');
    const none = pickImage(images, { kind: 'version', value: '2' }, choice);
    expect([none.image, none.noFallback]).toEqual([undefined, undefined]);
    expect(none.reason).toContain('It has 2, newest first');
  });
});

describe('last known good', () => {
  const commits = ['d'.repeat(40), 'c'.repeat(40), 'b'.repeat(40), 'a'.repeat(40)];
  const [newest = '', failed = '', good = '', older = ''] = commits;

  test('is the newest commit with a passed image, and says how far back', () => {
    const images = [passed('ami-old', older), passed('ami-good', good), image('ami-failed', { commit: failed })];
    expect(lastKnownGood(images, commits, choice)).toMatchObject({
      image: { id: 'ami-good' },
      reason: `commit ${good.slice(0, 7)}: 2 first parents back, the newest commit with a passed image`,
    });
    expect(lastKnownGood([...images, passed('ami-new', newest)], commits, choice).reason).toContain('its own image has passed');
  });

  test('a verdict that was copied from another image does not count', () => {
    const borrowed = image('ami-x', { commit: newest, verdict: passed('ami-good', good).tags['ami-action:verdict'] ?? '' });
    expect(lastKnownGood([borrowed], commits, choice)).toMatchObject({
      image: undefined,
      reason: expect.stringContaining('none of the newest 4 commits'),
    });
  });
});

describe('the same image elsewhere', () => {
  const identity = { commit: 'c'.repeat(40), fingerprint: 'f'.repeat(64), 'created-at': '2026-05-01T00:00:00.000Z' };
  const wanted = image('ami-stage', identity);

  test('has another ID and the same identity; the same ID needs no tags', () => {
    expect(findByIdentity([image('ami-other', { commit: 'x' }), image('ami-prod', identity)], wanted, choice).image?.id).toBe('ami-prod');
    expect(findByIdentity([image('ami-stage')], wanted, choice).image?.id).toBe('ami-stage');
  });

  test.each([
    ['another commit', { ...identity, commit: 'd'.repeat(40) }, {}],
    ['another fingerprint', { ...identity, fingerprint: '0'.repeat(64) }, {}],
    ['another family', { ...identity, family: 'api' }, {}],
    ['another architecture', identity, { architecture: 'arm64' }],
    ['one that failed', identity, { state: 'failed' }],
  ] as const)('%s is not it', (_, tags, change) => {
    expect(findByIdentity([image('ami-prod', tags, change)], wanted, choice)).toMatchObject({
      image: undefined,
      noFallback: true,
      reason: expect.stringContaining('no image here has the identity of ami-stage'),
    });
  });

  test('two builds of one commit differ in their time, and two copies of one build are refused', () => {
    const again = image('ami-again', { ...identity, 'created-at': '2026-05-02T00:00:00.000Z' });
    expect(findByIdentity([again, image('ami-prod', identity)], wanted, choice).image?.id).toBe('ami-prod');
    expect(findByIdentity([image('ami-1', identity), image('ami-2', identity), again], wanted, choice)).toMatchObject({
      image: undefined,
      noFallback: true,
      oneOf: ['ami-1', 'ami-2'],
      reason: 'ami-1 and ami-2 have the identity of ami-stage (commit ccccccc) here: remove all but one with mode "delete"',
    });
    expect(findByIdentity([again, { ...again, id: 'ami-third' }], wanted, choice)).toMatchObject({ oneOf: ['ami-again', 'ami-third'] });
  });

  test('an image without identity is never matched with others that have none', () => {
    expect(findByIdentity([image('ami-prod')], image('ami-bare'), choice)).toMatchObject({
      image: undefined,
      reason: expect.stringContaining('has no identity tags'),
    });
  });
});
