import { describe, expect, test } from '@jest/globals';
import { type Found, mayReuse, reusable } from '../../src/image-build/rules/reuse.ts';
import { reusedTags, servedCommitTags, servesCommit } from '../../src/model/commits-served.ts';
import type { Image } from '../../src/model/image.ts';
import { verdictValue } from '../../src/model/verdict.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const NOW = Date.parse('2026-05-10T00:00:00Z');
const DAY = 86_400;

const image = (id: string, tags: Record<string, string> = {}, more: Partial<Image> = {}): Image => ({
  id,
  name: id,
  state: 'available',
  stateReason: '',
  architecture: 'x86_64',
  ownerId: '111122223333',
  createdAt: new Date(NOW - 2 * DAY * 1000),
  public: false,
  tags: { 'ami-action:fingerprint': 'f1', 'ami-action:created-at': '2026-05-08', ...tags },
  snapshotIds: [],
  sizeGiB: 8,
  encrypted: false,
  imdsV2: true,
  ena: true,
  deprecatedAt: undefined,
  lastLaunchedAt: undefined,
  protected: false,
  ...more,
});
const here = (made: Image, region = 'eu-central-1'): Found => ({ region, image: made });
const ask = (family: readonly Found[], more: Partial<Parameters<typeof reusable>[1]> = {}) =>
  reusable(family, { scheme, fingerprint: 'f1', regions: ['eu-central-1'], maxAgeSeconds: undefined, now: NOW, ...more });

describe('an image with the same fingerprint', () => {
  test('is taken', () => {
    expect(
      ask([here(image('ami-1')), here(image('ami-2', { 'ami-action:fingerprint': 'f2' }))]).images?.map(found => found.image.id),
    ).toEqual(['ami-1']);
  });

  test.each<[string, Image, string]>([
    ['with another fingerprint', image('ami-1', { 'ami-action:fingerprint': 'f2' }), 'no image has this fingerprint'],
    ['that is still pending', image('ami-1', {}, { state: 'pending' }), 'is pending'],
    ['that is disabled', image('ami-1', {}, { state: 'disabled' }), 'is disabled'],
    [
      'that failed its validation',
      image('ami-1', { 'ami-action:verdict': verdictValue('ami-1', { result: 'failed', checks: 'a'.repeat(32), at: new Date(NOW) }) }),
      'failed its validation',
    ],
    ['that was rolled back somewhere', image('ami-1', { 'ami-action:vetoed-in': 'prod stage' }), 'was rolled back in prod, stage'],
  ])('is not taken: one %s', (_, made, reason) => {
    expect(ask([here(made)])).toEqual({ images: undefined, reason: expect.stringContaining(reason) });
  });

  test('is taken only as long as it is young enough, where that is asked', () => {
    expect(ask([here(image('ami-1'))], { maxAgeSeconds: 3 * DAY }).images).toHaveLength(1);
    expect(ask([here(image('ami-1'))], { maxAgeSeconds: DAY }).reason).toContain('older than "rebuild" allows');
    // By the creation date of AWS: a tag may contain anything.
    for (const message of ['2026-05-09T23:59:59.000Z', ''])
      expect(ask([here(image('ami-1', { 'ami-action:created-at': message }))], { maxAgeSeconds: DAY }).images).toBeUndefined();
  });

  test('must be there in every region', () => {
    const both = [here(image('ami-1')), here(image('ami-2'), 'eu-west-1')];
    expect(ask(both, { regions: ['eu-central-1', 'eu-west-1'] }).images).toHaveLength(2);
    expect(ask(both.slice(0, 1), { regions: ['eu-central-1', 'eu-west-1'] }).reason).toContain('0 of 1 images in eu-west-1');
  });

  test('needs its siblings: an incomplete build of two sources is not taken', () => {
    const two = ['ami-1', 'ami-2'].map(id => here(image(id, { 'ami-action:siblings': '2' })));
    expect(ask(two).images).toHaveLength(2);
    expect(ask(two.slice(0, 1)).reason).toContain('1 of 2 images in eu-central-1');
  });

  test('that has a copy in its region, with all tags, is the one that was built', () => {
    const own = here(image('ami-1'));
    const copy = here(image('ami-2', {}, { sourceImageId: 'ami-1', createdAt: new Date(NOW) }));
    const elsewhere = here(image('ami-3', {}, { sourceImageId: 'ami-1' }), 'eu-west-1');
    expect(ask([copy, own]).images).toEqual([own]);
    expect(ask([own, elsewhere], { regions: ['eu-central-1', 'eu-west-1'] }).images).toEqual([own, elsewhere]);
    // The copy alone still has the same content.
    expect(ask([copy]).images).toEqual([copy]);
  });

  test('of several builds is the newest, and a failed newer one does not hide a good older one', () => {
    const old = here(image('ami-1'));
    const young = here(image('ami-2', { 'ami-action:created-at': '2026-05-09' }, { createdAt: new Date(NOW) }));
    expect(ask([old, young]).images).toEqual([young]);
    const bad = here(
      image('ami-3', { 'ami-action:created-at': '2026-05-10', 'ami-action:vetoed-in': 'prod' }, { createdAt: new Date(NOW) }),
    );
    expect(ask([old, bad]).images).toEqual([old]);
  });
});

describe('a commit that changed nothing', () => {
  const commit = (digit: string) => digit.repeat(40);
  const own = { 'ami-action:commit': commit('a') };

  test('is served by the image from then on, by any part of its hash', () => {
    const tags = { ...own, ...servedCommitTags(image('ami-1', own), commit('b'), scheme) };
    expect(servesCommit({ tags }, commit('b'), scheme)).toBe(true);
    expect(servesCommit({ tags }, 'bbbbbbb', scheme)).toBe(true);
    expect(servesCommit({ tags }, commit('c'), scheme)).toBe(false);
  });

  test('is written once', () => {
    expect(servedCommitTags(image('ami-1', own), commit('a'), scheme)).toEqual({});
    const tags = { ...own, ...servedCommitTags(image('ami-1', own), commit('b'), scheme) };
    expect(servedCommitTags({ tags }, commit('b'), scheme)).toEqual({});
  });

  test('is recorded with the time, at most once an hour unless the commit differs', () => {
    const at = (hours: number) => NOW + hours * 3_600_000;
    const old = image('ami-1', own);
    const first = reusedTags(old, commit('a'), scheme, at(0));
    expect(first).toEqual({ 'ami-action:reused-at': new Date(NOW).toISOString() });
    const taken = { ...old, tags: { ...own, ...first } };
    expect(reusedTags(taken, commit('a'), scheme, at(0.9))).toEqual({});
    expect(reusedTags(taken, commit('a'), scheme, at(1.1))).toEqual({ 'ami-action:reused-at': new Date(at(1.1)).toISOString() });
    expect(reusedTags(taken, commit('b'), scheme, at(0.9))).toMatchObject({
      'ami-action:reused-at': new Date(at(0.9)).toISOString(),
      'ami-action:same-commits': 'b'.repeat(12),
    });
    expect(reusedTags({ ...taken, tags: { ...own, 'ami-action:reused-at': 'soon' } }, commit('a'), scheme, at(0.1))).not.toEqual({});
    // A new image has its own age.
    expect(reusedTags(image('ami-2', own, { createdAt: new Date(NOW) }), commit('a'), scheme, at(0.5))).toEqual({});
  });

  test('is one of the newest nineteen: the tag never exceeds the limit of AWS', () => {
    let tags: Record<string, string> = own;
    for (let n = 0; n < 30; n += 1) tags = { ...tags, ...servedCommitTags({ tags }, (100 + n).toString(16).padEnd(40, '0'), scheme) };
    expect(tags['ami-action:same-commits']?.length).toBeLessThanOrEqual(256);
    expect(servesCommit({ tags }, (129).toString(16).padEnd(40, '0'), scheme)).toBe(true);
    expect(servesCommit({ tags }, (105).toString(16).padEnd(40, '0'), scheme)).toBe(false);
  });
});

test('what a pull request built is reused by pull requests only', () => {
  const ofPullRequest = here(image('ami-1', { 'ami-action:ref': 'refs/pull/7/merge' }));
  const ofMain = here(image('ami-2', { 'ami-action:ref': 'refs/heads/main' }));
  const reused = (ref: string) => [ofPullRequest, ofMain].map(mayReuse(ref, scheme));
  expect([reused('refs/pull/8/merge'), reused('refs/heads/main')]).toEqual([
    [true, true],
    [false, true],
  ]);
});
