import { describe, expect, test } from '@jest/globals';
import { identityTags } from '../../src/model/identity.ts';
import type { Image } from '../../src/model/image.ts';
import { findByIdentity, formatSelector, lastKnownGood, parseSelector, pickImage, selectsOnly } from '../../src/model/selector.ts';
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

describe('the image that a commit reuses', () => {
  const reused = image('ami-1', { version: '1', commit: 'a'.repeat(40), 'same-commits': 'b'.repeat(12) });
  const other = image('ami-2', { version: '2', commit: 'c'.repeat(40) });

  test('is found by the commit that changed nothing, and by no other selector', () => {
    expect(pickImage([other, reused], { kind: 'commit', value: 'b'.repeat(40) }, choice)).toEqual({
      image: reused,
      reason: `commit:${'b'.repeat(40)}: the only one in family "web"`,
    });
    expect(pickImage([other, reused], { kind: 'commit', value: 'd'.repeat(40) }, choice).image).toBeUndefined();
    expect(pickImage([other, reused], { kind: 'version', value: 'b'.repeat(12) }, choice).image).toBeUndefined();
    expect(pickImage([image('ami-3'), reused], { kind: 'commit', value: 'd'.repeat(40) }, choice).image).toBeUndefined();
  });

  test('an image that the commit made itself comes before', () => {
    const own = image('ami-3', { commit: 'b'.repeat(40) });
    expect(pickImage([reused, own], { kind: 'commit', value: 'b'.repeat(40) }, choice).image).toBe(own);
  });

  test('a deletion takes only what the selector means for good', () => {
    const only = (kind: 'commit' | 'ref' | 'version' | 'environment', value: string, of = reused) =>
      selectsOnly({ kind, value }, of, scheme);
    expect([only('commit', 'a'.repeat(40)), only('commit', 'b'.repeat(40)), only('version', '1')]).toEqual([true, false, true]);
    expect(selectsOnly({ kind: 'id', id: 'ami-1' }, reused, scheme)).toBe(true);
    expect([selectsOnly({ kind: 'latest' }, reused, scheme), only('ref', 'main'), only('environment', 'prod')]).toEqual([
      false,
      false,
      false,
    ]);
    expect(only('commit', 'a'.repeat(40), image('ami-3'))).toBe(false);
  });
});

describe('what is said of a selector', () => {
  const images = ['1', '2', '3', '4'].map((version, i) =>
    image(`ami-${version}`, { version, ref: 'refs/tags/v1', ...(i > 2 ? { commit: 'c'.repeat(40) } : {}) }, { createdAt: new Date(i) }),
  );

  test('that found one: whether it is the newest or the only one', () => {
    expect([
      pickImage(images, { kind: 'latest' }, choice).reason,
      pickImage(images, { kind: 'ref', value: 'v1' }, choice).reason,
      pickImage(images, { kind: 'version', value: '2' }, { ...choice, architecture: 'x86_64' }).reason,
    ]).toEqual([
      'latest: newest of 4 in family "web"',
      'ref:v1: newest of 4 in family "web"',
      'version:2: the only one in family "web" (x86_64)',
    ]);
  });

  test('that found none: what the family has, and what to do next', () => {
    const has =
      'matches no image of family "web". It has 4, newest first: ami-4 (commit ccccccc), ami-3 (commit unknown), ami-2 (commit unknown)';
    expect(pickImage(images, { kind: 'version', value: '9' }, choice)).toEqual({ image: undefined, reason: `version:9 ${has}` });
    expect(pickImage(images, { kind: 'commit', value: 'ddddddd' }, choice)).toEqual({
      image: undefined,
      reason: `commit:ddddddd ${has}`,
      next: 'The build of this commit has not finished, has failed or never ran. Wait for it, build the commit, or set "fallback: last-known-good".',
    });
    const next = 'Check "region" and the role. Mode "list" shows the families that exist there.';
    expect([choice, { ...choice, region: 'eu-west-1' }].map(of => pickImage([], { kind: 'latest' }, of))).toEqual([
      { image: undefined, reason: 'family "web" has no image here', next },
      { image: undefined, reason: 'family "web" has no image in eu-west-1', next },
    ]);
  });

  test('an ID, "previous" or an environment is picked elsewhere, never among these', () => {
    for (const selector of [{ kind: 'id', id: 'ami-1' }, { kind: 'previous' }, { kind: 'environment', value: '1' }] as const)
      expect(pickImage(images.slice(0, 1), selector, choice).image).toBeUndefined();
  });

  test('of several architectures they are in order', () => {
    const both = [image('ami-2', {}, { architecture: 'x86_64', createdAt: new Date(9) }), image('ami-1', {}, { architecture: 'arm64' })];
    expect(pickImage(both, { kind: 'latest' }, choice).reason).toBe('latest matches images for arm64 and x86_64: set "architecture"');
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
    expect(findByIdentity([image('ami-prod')], image('ami-bare'), choice)).toEqual({
      image: undefined,
      noFallback: true,
      reason: 'ami-bare (commit unknown) has no identity tags there, so it cannot be found here: share it with its tags',
    });
  });

  test('commit or fingerprint is enough, and the time says nothing where only one is equal', () => {
    const { fingerprint, commit } = identity;
    const found = (tags: Record<string, string>, other = tags) =>
      findByIdentity([image('ami-prod', other)], image('ami-stage', tags), choice);
    expect(found({ fingerprint })).toMatchObject({ image: { id: 'ami-prod' }, reason: 'ami-prod has its identity here' });
    expect(found({ commit }).image?.id).toBe('ami-prod');
    expect(found({ commit, 'created-at': '1' }, { commit, 'created-at': '2' }).image?.id).toBe('ami-prod');
    expect(findByIdentity([wanted], wanted, choice).reason).toBe('it is here too');
  });
});
