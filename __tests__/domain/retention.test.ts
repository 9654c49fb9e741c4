import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/domain/image.ts';
import { type Candidate, guard, NO_WISHES, type Policy, planPrune } from '../../src/domain/retention.ts';
import { verdictValue } from '../../src/domain/verdict.ts';

const NOW = Date.parse('2026-10-01T00:00:00Z');
const DAY = 86_400_000;
const id = (n: number) => `ami-${String(n).padStart(17, '0')}`;

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const policy: Policy = {
  scheme,
  family: 'web',
  accountId: '111122223333',
  keepNewest: 1,
  keepPassed: 0,
  minimumAgeSeconds: 0,
  maxRemovals: 1000,
  maxShare: 100,
};

/** Number n is n days old. */
const image = (n: number, change: Partial<Image> = {}): Image => ({
  id: id(n),
  name: `web-${n}`,
  state: 'available',
  stateReason: '',
  architecture: 'x86_64',
  ownerId: '111122223333',
  createdAt: new Date(NOW - n * DAY),
  public: false,
  tags: { 'ami-action:family': 'web' },
  snapshotIds: [`snap-${n}`],
  sizeGiB: 8,
  encrypted: false,
  imdsV2: true,
  ena: true,
  deprecatedAt: undefined,
  lastLaunchedAt: undefined,
  protected: false,
  ...change,
});
const candidate = (n: number, change: Partial<Image> = {}, users: readonly string[] = []): Candidate => ({
  image: image(n, change),
  region: 'eu-central-1',
  users,
});
const passed = (n: number) => candidate(n, { tags: { 'ami-action:family': 'web', 'ami-action:verdict': verdict(n) } });
const verdict = (n: number) => verdictValue(id(n), { result: 'passed', checks: 'a'.repeat(32), at: new Date('2026-09-01T00:00:00Z') });
const fates = (candidates: readonly Candidate[], change: Partial<Policy> = {}) =>
  planPrune(candidates, { ...policy, ...change }, NOW).map(({ image: { createdAt }, action, because }) => [
    (NOW - createdAt.getTime()) / DAY,
    action,
    because,
  ]);

test('the newest stay, the rest goes, and the order in which AWS lists them does not matter', () => {
  expect(fates([candidate(3), candidate(1), candidate(2)], { keepNewest: 2 })).toEqual([
    [1, 'keep', 'one of the newest 2'],
    [2, 'keep', 'one of the newest 2'],
    [3, 'remove', 'nothing uses it'],
  ]);
});

test('each architecture has its own newest', () => {
  expect(fates([candidate(1), candidate(2), candidate(3, { architecture: 'arm64' }), candidate(4, { architecture: 'arm64' })])).toEqual([
    [1, 'keep', 'one of the newest 1'],
    [2, 'remove', 'nothing uses it'],
    [3, 'keep', 'one of the newest 1'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

test.each(['failed', 'error', 'invalid', 'disabled'] as const)('an image that is %s takes no place among the newest', state => {
  expect(fates([candidate(1, { state }), candidate(2), candidate(3)])).toEqual([
    [1, 'remove', 'nothing uses it'],
    [2, 'keep', 'one of the newest 1'],
    [3, 'remove', 'nothing uses it'],
  ]);
});

test('an image that is young stays, to the second', () => {
  expect(fates([candidate(1), candidate(7), candidate(8)], { minimumAgeSeconds: (7 * DAY) / 1000 + 1 })).toEqual([
    [1, 'keep', 'one of the newest 1'],
    [7, 'keep', 'younger than minimum-age'],
    [8, 'remove', 'nothing uses it'],
  ]);
});

test('the newest that passed stay, however many came after them', () => {
  expect(fates([candidate(1), candidate(2), passed(3), passed(4)], { keepPassed: 1 })).toEqual([
    [1, 'keep', 'one of the newest 1'],
    [2, 'remove', 'nothing uses it'],
    [3, 'keep', 'one of the newest 1 that passed validation'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

test('a verdict that was copied from another image is none', () => {
  const copied = candidate(2, { tags: { 'ami-action:family': 'web', 'ami-action:verdict': verdict(3) } });
  expect(fates([candidate(1), copied], { keepPassed: 1 })[1]).toEqual([2, 'remove', 'nothing uses it']);
});

test('the oldest go first when there are more than one run may remove', () => {
  expect(
    fates(
      [1, 2, 3, 4].map(n => candidate(n)),
      { maxRemovals: 2 },
    ),
  ).toEqual([
    [1, 'keep', 'one of the newest 1'],
    [2, 'keep', 'nothing uses it, but max-removals (2) is reached: next run'],
    [3, 'remove', 'nothing uses it'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

test('the largest share counts all images of the family', () => {
  const [, second, third] = fates(
    [1, 2, 3, 4].map(n => candidate(n)),
    { maxShare: 50 },
  );
  expect(second).toEqual([2, 'keep', 'nothing uses it, but max-share (50 % of 4 images) is reached: next run']);
  expect(third).toEqual([3, 'remove', 'nothing uses it']);
});

describe('whatever the policy says, it stays if it is', () => {
  const nothing = { ...NO_WISHES };
  test.each<[string, Candidate, string]>([
    ['in use', candidate(9, {}, ['group web', 'instance i-1']), 'used by group web, instance i-1'],
    ['in use by many', candidate(9, {}, ['a', 'b', 'c', 'd', 'e']), 'used by a, b, c and 2 more'],
    ['of no family', candidate(9, { tags: {} }), 'not ours: no tag says family "web"'],
    ['of another family', candidate(9, { tags: { 'ami-action:family': 'webs' } }), 'not ours: no tag says family "web"'],
    ['owned by somebody else', candidate(9, { ownerId: '999999999999' }), 'owned by 999999999999'],
    ['public', candidate(9, { public: true }), 'public: anybody may use it'],
    ['a backup', candidate(9, { ownerAlias: 'aws-backup-vault' }), 'belongs to AWS Backup'],
    ['a backup by name', candidate(9, { name: 'AwsBackup_i-0123_x' }), 'belongs to AWS Backup'],
    [
      'a backup by tag',
      candidate(9, { tags: { 'ami-action:family': 'web', 'aws:backup:source-resource': 'i-1' } }),
      'belongs to AWS Backup',
    ],
    ['being made', candidate(9, { state: 'pending' }), 'still pending'],
    ['protected', candidate(9, { protected: true }), 'protected from deregistration'],
    ['tagged', candidate(9, { tags: { 'ami-action:family': 'web', 'ami-action:keep': 'demo on friday' } }), 'tagged ami-action:keep'],
  ])('%s', (_, kept, because) => {
    expect(fates([kept], nothing)).toEqual([[9, 'keep', because]]);
    expect(guard(kept, policy)).toBe(because);
  });

  test('and the tag can be taken back without removing it', () => {
    expect(guard(candidate(9, { tags: { 'ami-action:family': 'web', 'ami-action:keep': 'false' } }), policy)).toBeUndefined();
  });
});
