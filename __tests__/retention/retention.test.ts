import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { classesSchema } from '../../src/retention/rules/classes.ts';
import { NO_WISHES, planPrune } from '../../src/retention/rules/plan.ts';
import { type Candidate, guard, type Policy } from '../../src/retention/rules/rules.ts';

const NOW = Date.parse('2026-10-01T00:00:00Z');
const DAY = 86_400_000;
const id = (n: number) => `ami-${String(n).padStart(17, '0')}`;

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const policy: Policy = {
  scheme,
  family: 'web',
  accountId: '111122223333',
  keep: { newest: 1, passed: 0, youngerThanSeconds: 0, launchedWithinSeconds: undefined },
  classes: [],
  graceSeconds: 0,
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
const keeping = (change: Partial<Policy['keep']>) => ({ keep: { ...policy.keep, ...change } });
const fates = (candidates: readonly Candidate[], change: Partial<Policy> = {}) =>
  planPrune(candidates, { ...policy, ...change }, NOW).map(({ image: { createdAt }, action, reason }) => [
    (NOW - createdAt.getTime()) / DAY,
    action,
    reason,
  ]);

test('the newest stay, the rest goes, and the order in which AWS lists them does not matter', () => {
  expect(fates([candidate(3), candidate(1), candidate(2)], keeping({ newest: 2 }))).toEqual([
    [1, 'keep', 'one of the newest 2'],
    [2, 'keep', 'one of the newest 2'],
    [3, 'remove', 'nothing uses it'],
  ]);
});

test('each architecture has its own newest', () => {
  expect(fates([candidate(1), candidate(2), candidate(3, { architecture: 'arm64' }), candidate(4, { architecture: 'arm64' })])).toEqual([
    [1, 'keep', 'the newest'],
    [2, 'remove', 'nothing uses it'],
    [3, 'keep', 'the newest'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

const taken = (n: number, hoursAgo: number) =>
  candidate(n, { tags: { 'ami-action:family': 'web', 'ami-action:reused-at': new Date(NOW - hoursAgo * 3_600_000).toISOString() } });

test('an old image that a push has just taken again stays a day, or as long as a new one would', () => {
  const lately = 'a push that changed nothing has taken it again lately';
  expect(fates([candidate(1), taken(2, 23), taken(3, 25)])).toEqual([
    [1, 'keep', 'the newest'],
    [2, 'keep', lately],
    [3, 'remove', 'nothing uses it'],
  ]);
  expect(fates([candidate(10), taken(20, 47), taken(30, 49)], keeping({ youngerThanSeconds: 2 * 86_400 }))).toEqual([
    [10, 'keep', 'the newest'],
    [20, 'keep', lately],
    [30, 'remove', 'nothing uses it'],
  ]);
  // A person who asks for one image to go is not told that a push has taken it.
  expect(fates([taken(2, 1)], NO_WISHES)).toEqual([[2, 'remove', 'nothing uses it']]);
});

test.each(['failed', 'error', 'invalid', 'disabled'] as const)('an image that is %s takes no place among the newest', state => {
  expect(fates([candidate(1, { state }), candidate(2), candidate(3)])).toEqual([
    [1, 'remove', 'nothing uses it'],
    [2, 'keep', 'the newest'],
    [3, 'remove', 'nothing uses it'],
  ]);
});

test('an image that is young stays, to the second', () => {
  expect(fates([candidate(1), candidate(7), candidate(8)], keeping({ youngerThanSeconds: (7 * DAY) / 1000 + 1 }))).toEqual([
    [1, 'keep', 'the newest'],
    [7, 'keep', 'younger than minimum-age'],
    [8, 'remove', 'nothing uses it'],
  ]);
});

test('the newest that passed stay, however many came after them', () => {
  expect(fates([candidate(1), candidate(2), passed(3), passed(4)], keeping({ passed: 1 }))).toEqual([
    [1, 'keep', 'the newest'],
    [2, 'remove', 'nothing uses it'],
    [3, 'keep', 'the newest that passed validation'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

test('a verdict that was copied from another image is none', () => {
  const copied = candidate(2, { tags: { 'ami-action:family': 'web', 'ami-action:verdict': verdict(3) } });
  expect(fates([candidate(1), copied], keeping({ passed: 1 }))[1]).toEqual([2, 'remove', 'nothing uses it']);
});

test('the oldest go first when there are more than one run may remove', () => {
  expect(
    fates(
      [1, 2, 3, 4].map(n => candidate(n)),
      { maxRemovals: 2 },
    ),
  ).toEqual([
    [1, 'keep', 'the newest'],
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
  ])('%s', (_, kept, reason) => {
    expect(fates([kept], nothing)).toEqual([[9, 'keep', reason]]);
    expect(guard(kept, policy)).toBe(reason);
  });

  test('and the tag can be taken back without removing it', () => {
    expect(guard(candidate(9, { tags: { 'ami-action:family': 'web', 'ami-action:keep': 'false' } }), policy)).toBeUndefined();
  });
});

describe('with a grace', () => {
  const week = { graceSeconds: (7 * DAY) / 1000 };
  const marked = (daysAgo: number, deprecated = true): Partial<Image> => ({
    tags: { 'ami-action:family': 'web', 'ami-action:marked-at': new Date(NOW - daysAgo * DAY).toISOString() },
    deprecatedAt: deprecated ? new Date(NOW - daysAgo * DAY) : undefined,
  });

  test('what nothing uses is marked first, waits, and goes', () => {
    expect(fates([candidate(1), candidate(2), candidate(3, marked(2)), candidate(4, marked(7))], week)).toEqual([
      [1, 'keep', 'the newest'],
      [2, 'mark', 'nothing uses it: goes after 7d'],
      [3, 'keep', 'nothing uses it: goes in 5d'],
      [4, 'remove', 'nothing has used it since it was marked 7d ago'],
    ]);
  });

  test('no more are disabled in one run than it may remove; the grace of the others begins all the same', () => {
    const off = (change: Partial<Image> = {}) => ({ state: 'disabled' as const, ...marked(2), ...change });
    const disabling = { ...week, disable: true, maxRemovals: 1 };
    const plan = planPrune([candidate(1), candidate(2), candidate(3), candidate(4, off())], { ...policy, ...disabling }, NOW);
    expect(plan.map(({ action, disables = false, reason }) => [action, disables, reason])).toEqual([
      ['keep', false, 'the newest'],
      ['mark', false, 'nothing uses it: goes after 7d, and is disabled until then, but max-removals (1) is reached: next run'],
      ['mark', true, 'nothing uses it: goes after 7d, and is disabled until then'],
      ['keep', false, 'nothing uses it: goes in 5d'],
    ]);
  });

  test('what comes into use again is unmarked, however long ago it was marked', () => {
    expect(fates([candidate(1), candidate(4, marked(70), ['group web'])], week)[1]).toEqual([4, 'unmark', 'used by group web']);
  });

  test('a mark that was not followed by its deprecation is made whole', () => {
    expect(fates([candidate(1), candidate(4, marked(2, false))], week)[1]).toEqual([4, 'mark', 'nothing uses it: goes in 5d']);
  });

  test('a mark that cannot be read begins anew', () => {
    const odd = candidate(4, { tags: { 'ami-action:family': 'web', 'ami-action:marked-at': 'yesterday' } });
    expect(fates([candidate(1), odd], week)[1]).toEqual([4, 'mark', 'nothing uses it: goes after 7d']);
  });

  test('a mark on what is not ours is left alone', () => {
    const untrusted = candidate(4, { ...marked(9), ownerId: '999999999999' });
    expect(fates([candidate(1), untrusted], week)[1]).toEqual([4, 'keep', 'owned by 999999999999']);
  });
});

describe('scenario 69: what AWS tells of launches is a reason to keep, never one to remove', () => {
  const within = keeping({ launchedWithinSeconds: (30 * DAY) / 1000 });
  test.each<[string, Date | undefined, string, string]>([
    ['launched lately', new Date(NOW - 3 * DAY), 'keep', 'last launched 2026-09-28, within last-launched-within'],
    [
      'launched within the day that AWS is late',
      new Date(NOW - 30.5 * DAY),
      'keep',
      'last launched 2026-08-31, within last-launched-within',
    ],
    ['launched long ago', new Date(NOW - 32 * DAY), 'remove', 'nothing uses it'],
    ['launched at an unknown time', undefined, 'keep', 'AWS does not tell when it was last launched'],
  ])('%s', (_, lastLaunchedAt, action, reason) => {
    expect(fates([candidate(1), candidate(90, { lastLaunchedAt })], within)[1]).toEqual([90, action, reason]);
  });
});

describe('classes', () => {
  const classes = classesSchema().parse([
    { name: 'pull request', tags: { 'ami-action:ref': 'refs/pull/*' }, 'keep-newest': '0', 'minimum-age': '2d' },
    { name: 'prod', tags: { stage: 'prod' }, 'keep-newest': '2' },
  ]);
  const tagged = (n: number, tags: Record<string, string>) => candidate(n, { tags: { 'ami-action:family': 'web', ...tags } });

  test('each keeps its own newest, and the rest follows the policy', () => {
    const all = [
      tagged(1, { 'ami-action:ref': 'refs/pull/7/merge' }),
      tagged(2, { 'ami-action:ref': 'refs/heads/main' }),
      tagged(3, { 'ami-action:ref': 'refs/pull/6/merge' }),
      tagged(4, { 'ami-action:ref': 'refs/heads/main' }),
      tagged(5, { stage: 'prod' }),
      tagged(6, { stage: 'prod' }),
      tagged(7, { stage: 'prod' }),
    ];
    expect(fates(all, { classes })).toEqual([
      [1, 'keep', 'younger than minimum-age'],
      [2, 'keep', 'the newest'],
      [3, 'remove', 'nothing uses it'],
      [4, 'remove', 'nothing uses it'],
      [5, 'keep', 'one of the newest 2'],
      [6, 'keep', 'one of the newest 2'],
      [7, 'remove', 'nothing uses it'],
    ]);
  });

  test.each<[string, unknown, string]>([
    ['no list', { name: 'x' }, 'must be a list of classes'],
    ['a key that does not exist', [{ name: 'x', tags: { a: 'b' }, 'keep-latest': '1' }], 'says "keep-latest", did you mean "keep-newest"?'],
    ['tags that everything fits', [{ name: 'x', tags: { a: '*' } }], 'must name at least one tag with a value that not everything fits'],
    ['no tags', [{ name: 'x', tags: {} }], 'must name at least one tag with a value that not everything fits'],
    ['a number that is none', [{ name: 'x', tags: { a: 'b' }, 'keep-newest': '-1' }], 'must be a whole number'],
    ['an age that is none', [{ name: 'x', tags: { a: 'b' }, 'minimum-age': '7' }], 'must be a duration such as 12h or 30d'],
  ])('refuses %s', (_, raw, message) => {
    const parsed = classesSchema().safeParse(raw);
    expect(parsed.error?.issues.map(issue => issue.message)).toEqual([message]);
  });
});

describe('ancestors', () => {
  const from = (n: number, parent: number) => candidate(n, { tags: { 'ami-action:family': 'web', 'ami-action:base-ami': id(parent) } });

  test('what kept images were built from stays when that is wished, all the way up', () => {
    const all = [from(1, 5), candidate(2), from(5, 7), candidate(7), from(8, 2)];
    expect(fates(all).map(([, action]) => action)).toEqual(['keep', 'remove', 'remove', 'remove', 'remove']);
    expect(fates(all, { keepAncestors: true })).toEqual([
      [1, 'keep', 'the newest'],
      [2, 'remove', 'nothing uses it'],
      [5, 'keep', `${id(1)} was built from it`],
      [7, 'keep', `${id(5)} was built from it`],
      [8, 'remove', 'nothing uses it'],
    ]);
  });

  test('images that say they were built from each other do no harm', () => {
    expect(fates([from(1, 2), from(2, 1)], { keepAncestors: true }).map(([, action]) => action)).toEqual(['keep', 'keep']);
  });
});

describe('copies in several regions', () => {
  const tags = { 'ami-action:family': 'web', 'ami-action:commit': 'c1', 'ami-action:fingerprint': 'f1' };
  const copy = (n: number, region: string, change: Partial<Image> = {}, users: readonly string[] = []): Candidate => ({
    ...candidate(n, { tags, ...change }, users),
    region,
  });
  const newest = [candidate(1), { ...candidate(1.5), region: 'us-east-1' }];

  test('each region has its own newest', () => {
    expect(fates(newest).map(([, action]) => action)).toEqual(['keep', 'keep']);
  });

  test('one that is used spares all', () => {
    expect(fates([...newest, copy(8, 'eu-central-1', {}, ['group web']), copy(9, 'us-east-1')]).slice(2)).toEqual([
      [8, 'keep', 'used by group web'],
      [9, 'keep', `its copy ${id(8)} in eu-central-1 stays: used by group web`],
    ]);
  });

  test('unused, they go together, also where only half of them fits into one run', () => {
    const pair = [copy(8, 'eu-central-1'), copy(9, 'us-east-1')];
    expect(
      fates([...newest, ...pair])
        .slice(2)
        .map(([, action]) => action),
    ).toEqual(['remove', 'remove']);
    const older = { ...candidate(10), region: 'us-east-1' };
    const limited = fates([...newest, ...pair, older], { maxRemovals: 2 }).slice(2);
    expect(limited.map(([, action]) => action)).toEqual(['keep', 'keep', 'remove']);
    expect(limited[0]).toEqual([8, 'keep', 'nothing uses it, but max-removals (2) is reached: next run']);
  });

  test('one that is spared for its copy spares what it was built from, and the copies of that', () => {
    const base = { ...tags, 'ami-action:fingerprint': 'base' };
    const bases = [copy(12, 'eu-central-1', { tags: base }), copy(13, 'us-east-1', { tags: base })];
    const built = { ...tags, 'ami-action:base-ami': id(12) };
    const pair = [copy(8, 'eu-central-1', { tags: built }), copy(9, 'us-east-1', { tags: tags }, ['group web'])];
    expect(fates([...newest, ...pair, ...bases], { keepAncestors: true }).slice(2)).toEqual([
      [8, 'keep', `its copy ${id(9)} in us-east-1 stays: used by group web`],
      [9, 'keep', 'used by group web'],
      [12, 'keep', `${id(8)} was built from it`],
      [13, 'keep', `its copy ${id(12)} in eu-central-1 stays: ${id(8)} was built from it`],
    ]);
  });

  test('another build of the same commit is another image', () => {
    const other = copy(9, 'us-east-1', { tags: { ...tags, 'ami-action:fingerprint': 'f2' } });
    expect(fates([...newest, copy(8, 'eu-central-1', {}, ['group web']), other])[3]).toEqual([9, 'remove', 'nothing uses it']);
  });

  test('they wait for the one whose grace ends last', () => {
    const since = (days: number) => ({
      tags: { ...tags, 'ami-action:marked-at': new Date(NOW - days * DAY).toISOString() },
      deprecatedAt: new Date(NOW - days * DAY),
    });
    const week = { graceSeconds: (7 * DAY) / 1000 };
    expect(fates([...newest, copy(8, 'eu-central-1', since(9)), copy(9, 'us-east-1', since(5))], week).slice(2)).toEqual([
      [8, 'keep', `goes together with its copy ${id(9)} in us-east-1`],
      [9, 'keep', 'nothing uses it: goes in 2d'],
    ]);
  });
});
