import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import { knownUser } from '../../src/model/image-users.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { classesSchema, classOf } from '../../src/retention/rules/classes.ts';
import { isLaunchable, markOf, markValue } from '../../src/retention/rules/marks.ts';
import { NO_RETENTION_POLICY, planHash, planPrune } from '../../src/retention/rules/plan.ts';
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
  users: users.map(knownUser),
});
const passed = (n: number) => candidate(n, { tags: { 'ami-action:family': 'web', 'ami-action:verdict': verdict(n) } });
const verdict = (n: number) => verdictValue(id(n), { result: 'passed', checks: 'a'.repeat(32), at: new Date('2026-09-01T00:00:00Z') });
const keeping = (change: Partial<Policy['keep']>) => ({ keep: { ...policy.keep, ...change } });
const decisions = (candidates: readonly Candidate[], change: Partial<Policy> = {}) =>
  planPrune(candidates, { ...policy, ...change }, NOW).map(({ image: { createdAt }, action, reason }) => [
    createdAt === undefined ? undefined : (NOW - createdAt.getTime()) / DAY,
    action,
    reason,
  ]);

test('the newest are kept, the rest is removed, and the order of the listing does not matter', () => {
  expect(decisions([candidate(3), candidate(1), candidate(2)], keeping({ newest: 2 }))).toEqual([
    [1, 'keep', 'one of the newest 2'],
    [2, 'keep', 'one of the newest 2'],
    [3, 'remove', 'nothing uses it'],
  ]);
});

test('each architecture has its own newest', () => {
  expect(decisions([candidate(1), candidate(2), candidate(3, { architecture: 'arm64' }), candidate(4, { architecture: 'arm64' })])).toEqual(
    [
      [1, 'keep', 'the newest'],
      [2, 'remove', 'nothing uses it'],
      [3, 'keep', 'the newest'],
      [4, 'remove', 'nothing uses it'],
    ],
  );
});

const reused = (n: number, hoursAgo: number) =>
  candidate(n, { tags: { 'ami-action:family': 'web', 'ami-action:reused-at': new Date(NOW - hoursAgo * 3_600_000).toISOString() } });

test('an old image that an unchanged build reuses is kept for a day, or as long as a new one', () => {
  const recently = 'reused recently by an unchanged build';
  expect(decisions([candidate(1), reused(2, 23), reused(3, 25)])).toEqual([
    [1, 'keep', 'the newest'],
    [2, 'keep', recently],
    [3, 'remove', 'nothing uses it'],
  ]);
  expect(decisions([candidate(10), reused(20, 47), reused(30, 49)], keeping({ youngerThanSeconds: 2 * 86_400 }))).toEqual([
    [10, 'keep', 'the newest'],
    [20, 'keep', recently],
    [30, 'remove', 'nothing uses it'],
  ]);
  // A removal by name ignores reuse.
  expect(decisions([reused(2, 1)], NO_RETENTION_POLICY)).toEqual([[2, 'remove', 'nothing uses it']]);
});

test.each(['failed', 'error', 'invalid', 'disabled'] as const)('an image that is %s is not one of the newest', state => {
  expect(decisions([candidate(1, { state }), candidate(2), candidate(3)])).toEqual([
    [1, 'remove', 'nothing uses it'],
    [2, 'keep', 'the newest'],
    [3, 'remove', 'nothing uses it'],
  ]);
});

test('a young image is kept, to the second', () => {
  expect(decisions([candidate(1), candidate(7), candidate(8)], keeping({ youngerThanSeconds: (7 * DAY) / 1000 + 1 }))).toEqual([
    [1, 'keep', 'the newest'],
    [7, 'keep', 'younger than minimum-age'],
    [8, 'remove', 'nothing uses it'],
  ]);
});

describe('an image whose date cannot be read', () => {
  const undated = (n: number) => candidate(n, { createdAt: undefined });

  test('is kept, has no place among the newest, and does not change what happens to the others', () => {
    expect(decisions([candidate(1), undated(5), candidate(2), candidate(3), undated(6)], keeping({ newest: 2 }))).toEqual([
      [1, 'keep', 'one of the newest 2'],
      [2, 'keep', 'one of the newest 2'],
      [3, 'remove', 'nothing uses it'],
      [undefined, 'keep', 'creation date unknown'],
      [undefined, 'keep', 'creation date unknown'],
    ]);
  });

  test('is dated by the tag that its build wrote', () => {
    const tagged = candidate(5, {
      createdAt: undefined,
      tags: { 'ami-action:family': 'web', 'ami-action:created-at': new Date(NOW - DAY).toISOString() },
    });
    expect(decisions([tagged, candidate(2)])).toEqual([
      [undefined, 'keep', 'the newest'],
      [2, 'remove', 'nothing uses it'],
    ]);
  });

  test('is kept for its date as soon as one rule depends on it, and never as one of the newest', () => {
    for (const keep of [{ newest: 9 }, { newest: 0, passed: 1 }, { newest: 0, youngerThanSeconds: 1 }])
      expect(decisions([undated(5)], keeping(keep))).toEqual([[undefined, 'keep', 'creation date unknown']]);
    expect(decisions([undated(5)], keeping({ newest: 0 }))).toEqual([[undefined, 'remove', 'nothing uses it']]);
  });

  test('can be deleted by name, and when no rule depends on a date', () => {
    expect(decisions([undated(5)], NO_RETENTION_POLICY)).toEqual([[undefined, 'remove', 'nothing uses it']]);
  });
});

describe('a copy', () => {
  const copiedLate = (n: number, builtDaysAgo: number) =>
    candidate(n, {
      tags: { 'ami-action:family': 'web', 'ami-action:created-at': new Date(NOW - builtDaysAgo * DAY).toISOString() },
    });

  test('ranks by the date of its build, not by that of copying', () => {
    expect(decisions([copiedLate(1, 20), copiedLate(2, 10)])).toEqual([
      [2, 'keep', 'the newest'],
      [1, 'remove', 'nothing uses it'],
    ]);
  });

  test('is as young as the copy', () => {
    expect(decisions([candidate(3), copiedLate(1, 20)], keeping({ youngerThanSeconds: (2 * DAY) / 1000 }))).toEqual([
      [3, 'keep', 'the newest'],
      [1, 'keep', 'younger than minimum-age'],
    ]);
  });
});

test('what a rule counts in time ends with its second', () => {
  const week = keeping({ youngerThanSeconds: (7 * DAY) / 1000 });
  expect(decisions([candidate(1), candidate(7)], week)[1]).toEqual([7, 'remove', 'nothing uses it']);
  expect(decisions([candidate(1), reused(7, 24)])[1]).toEqual([7, 'remove', 'nothing uses it']);
  const launched = candidate(90, { lastLaunchedAt: new Date(NOW - 31 * DAY) });
  expect(decisions([candidate(1), launched], keeping({ launchedWithinSeconds: (30 * DAY) / 1000 }))[1]).toEqual([
    90,
    'remove',
    'nothing uses it',
  ]);
});

test('the newest passed images are kept, however many images are newer', () => {
  expect(decisions([candidate(1), candidate(2), passed(3), passed(4)], keeping({ passed: 1 }))).toEqual([
    [1, 'keep', 'the newest'],
    [2, 'remove', 'nothing uses it'],
    [3, 'keep', 'the newest that passed validation'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

test('a verdict that was copied from another image does not count', () => {
  const copied = candidate(2, { tags: { 'ami-action:family': 'web', 'ami-action:verdict': verdict(3) } });
  expect(decisions([candidate(1), copied], keeping({ passed: 1 }))[1]).toEqual([2, 'remove', 'nothing uses it']);
});

test('the oldest are removed first when one run may not remove all', () => {
  expect(
    decisions(
      [1, 2, 3, 4].map(n => candidate(n)),
      { maxRemovals: 2 },
    ),
  ).toEqual([
    [1, 'keep', 'the newest'],
    [2, 'keep', 'nothing uses it; max-removals (2) reached, next run'],
    [3, 'remove', 'nothing uses it'],
    [4, 'remove', 'nothing uses it'],
  ]);
});

test('max-share counts all images of the family', () => {
  const [, second, third] = decisions(
    [1, 2, 3, 4].map(n => candidate(n)),
    { maxShare: 50 },
  );
  expect(second).toEqual([2, 'keep', 'nothing uses it; max-share (50 % of 4 images) reached, next run']);
  expect(third).toEqual([3, 'remove', 'nothing uses it']);
});

describe('under every policy an image is kept that is', () => {
  const nothing = { ...NO_RETENTION_POLICY };
  test.each<[string, Candidate, string]>([
    ['in use', candidate(9, {}, ['group web', 'instance i-1']), 'used by group web, instance i-1'],
    ['in use by many', candidate(9, {}, ['a', 'b', 'c', 'd', 'e']), 'used by a, b, c and 2 more'],
    ['of no family', candidate(9, { tags: {} }), 'not in family "web" (tag ami-action:family)'],
    ['of another family', candidate(9, { tags: { 'ami-action:family': 'webs' } }), 'not in family "web" (tag ami-action:family)'],
    ['owned by another account', candidate(9, { ownerId: '999999999999' }), 'owned by account 999999999999'],
    ['public', candidate(9, { public: true }), 'public: any account can launch it'],
    ['a backup', candidate(9, { ownerAlias: 'aws-backup-vault' }), 'managed by AWS Backup'],
    ['a backup by name', candidate(9, { name: 'AwsBackup_i-0123_x' }), 'managed by AWS Backup'],
    [
      'a backup by tag',
      candidate(9, { tags: { 'ami-action:family': 'web', 'aws:backup:source-resource': 'i-1' } }),
      'managed by AWS Backup',
    ],
    ['being made', candidate(9, { state: 'pending' }), 'still pending'],
    ['being copied', candidate(9, { state: 'transient' as never }), 'still transient'],
    ['in an unknown state', candidate(9, { state: 'archived' as never }), 'in state "archived", which this version does not know'],
    ['protected', candidate(9, { protected: true }), 'protected from deregistration'],
    ['tagged', candidate(9, { tags: { 'ami-action:family': 'web', 'ami-action:keep': 'demo on friday' } }), 'tagged ami-action:keep'],
  ])('%s', (_, kept, reason) => {
    expect(decisions([kept], nothing)).toEqual([[9, 'keep', reason]]);
    expect(guard(kept, policy)).toBe(reason);
  });

  test('perhaps in use, and says so', () => {
    const may = { kind: 'possible', label: 'account 2' } as never;
    const by = (...users: Candidate['users']) => guard({ ...candidate(9), users }, policy);
    expect([by(may), by(may, knownUser('group web'))]).toEqual(['may be used by account 2', 'used by account 2, group web']);
  });

  test('the tag can be set to false', () => {
    expect(guard(candidate(9, { tags: { 'ami-action:family': 'web', 'ami-action:keep': 'false' } }), policy)).toBeUndefined();
  });
});

describe('with a grace', () => {
  const week = { graceSeconds: (7 * DAY) / 1000 };
  const marked = (daysAgo: number, deprecated = true): Partial<Image> => ({
    tags: { 'ami-action:family': 'web', 'ami-action:marked-at': new Date(NOW - daysAgo * DAY).toISOString() },
    deprecatedAt: deprecated ? new Date(NOW - daysAgo * DAY) : undefined,
  });

  test('an unused image is marked, waits, and is removed', () => {
    expect(decisions([candidate(1), candidate(2), candidate(3, marked(2)), candidate(4, marked(7))], week)).toEqual([
      [1, 'keep', 'the newest'],
      [2, 'mark', 'nothing uses it; removal after 7d'],
      [3, 'keep', 'nothing uses it; removal in 5d'],
      [4, 'remove', 'unused since it was marked 7d ago'],
    ]);
  });

  test('one run disables no more than it may remove; the grace of the others begins all the same', () => {
    const off = (change: Partial<Image> = {}) => ({ state: 'disabled' as const, ...marked(2), ...change });
    const disabling = { ...week, disable: true, maxRemovals: 1 };
    const plan = planPrune([candidate(1), candidate(2), candidate(3), candidate(4, off())], { ...policy, ...disabling }, NOW);
    expect(plan.map(({ action, disables = false, reason }) => [action, disables, reason])).toEqual([
      ['keep', false, 'the newest'],
      ['mark', false, 'nothing uses it; removal after 7d; disabled until then; max-removals (1) reached, next run'],
      ['mark', true, 'nothing uses it; removal after 7d; disabled until then'],
      ['keep', false, 'nothing uses it; removal in 5d'],
    ]);
  });

  test('a mark alone harms no user: all of them may begin in one run', () => {
    expect(decisions([candidate(1), candidate(2), candidate(3)], { ...week, maxRemovals: 1 }).slice(1)).toEqual([
      [2, 'mark', 'nothing uses it; removal after 7d'],
      [3, 'mark', 'nothing uses it; removal after 7d'],
    ]);
  });

  test('a mark that disables says whose sharing ends; what is removed is not disabled', () => {
    const shared = { ...candidate(2), sharedWith: ['444455556666', '777788889999'] };
    const plan = planPrune([candidate(1), shared, candidate(9, marked(7))], { ...policy, ...week, disable: true }, NOW);
    expect(plan.map(({ action, disables, reason, waits }) => [action, disables, waits, reason]).slice(1)).toEqual([
      [
        'mark',
        true,
        false,
        'nothing uses it; removal after 7d; disabled until then; sharing with 444455556666, 777788889999 ends permanently',
      ],
      ['remove', false, false, 'unused since it was marked 7d ago'],
    ]);
  });

  test('an image that is used again is unmarked, however long ago it was marked', () => {
    expect(decisions([candidate(1), candidate(4, marked(70), ['group web'])], week)[1]).toEqual([4, 'unmark', 'used by group web']);
  });

  test('a mark without its deprecation is completed', () => {
    expect(decisions([candidate(1), candidate(4, marked(2, false))], week)[1]).toEqual([4, 'mark', 'nothing uses it; removal in 5d']);
  });

  test('a mark that cannot be read begins again', () => {
    const odd = candidate(4, { tags: { 'ami-action:family': 'web', 'ami-action:marked-at': 'yesterday' } });
    expect(decisions([candidate(1), odd], week)[1]).toEqual([4, 'mark', 'nothing uses it; removal after 7d']);
  });

  test('a mark on what is not ours is left alone', () => {
    const untrusted = candidate(4, { ...marked(9), ownerId: '999999999999' });
    expect(decisions([candidate(1), untrusted], week)[1]).toEqual([4, 'keep', 'owned by account 999999999999']);
  });
});

describe('scenario 69: a reported launch is a reason to keep an image, never one to remove it', () => {
  const within = keeping({ launchedWithinSeconds: (30 * DAY) / 1000 });
  test.each<[string, Date | undefined, string, string]>([
    ['launched recently', new Date(NOW - 3 * DAY), 'keep', 'last launched 2026-09-28, within last-launched-within'],
    [
      'launched within the day that AWS reports late',
      new Date(NOW - 30.5 * DAY),
      'keep',
      'last launched 2026-08-31, within last-launched-within',
    ],
    ['launched long ago', new Date(NOW - 32 * DAY), 'remove', 'nothing uses it'],
    ['launched at an unknown time', undefined, 'keep', 'last launch unknown'],
  ])('%s', (_, lastLaunchedAt, action, reason) => {
    expect(decisions([candidate(1), candidate(90, { lastLaunchedAt })], within)[1]).toEqual([90, action, reason]);
  });
});

describe('classes', () => {
  const classes = classesSchema().parse([
    { name: 'pull request', tags: { 'ami-action:ref': 'refs/pull/*' }, 'keep-newest': '0', 'minimum-age': '2d' },
    { name: 'prod', tags: { stage: 'prod' }, 'keep-newest': '2' },
  ]);
  const tagged = (n: number, tags: Record<string, string>) => candidate(n, { tags: { 'ami-action:family': 'web', ...tags } });

  test('each class keeps its own newest, and the rest follows the policy', () => {
    const all = [
      tagged(1, { 'ami-action:ref': 'refs/pull/7/merge' }),
      tagged(2, { 'ami-action:ref': 'refs/heads/main' }),
      tagged(3, { 'ami-action:ref': 'refs/pull/6/merge' }),
      tagged(4, { 'ami-action:ref': 'refs/heads/main' }),
      tagged(5, { stage: 'prod' }),
      tagged(6, { stage: 'prod' }),
      tagged(7, { stage: 'prod' }),
    ];
    expect(decisions(all, { classes })).toEqual([
      [1, 'keep', 'younger than minimum-age'],
      [2, 'keep', 'the newest'],
      [3, 'remove', 'nothing uses it'],
      [4, 'remove', 'nothing uses it'],
      [5, 'keep', 'one of the newest 2'],
      [6, 'keep', 'one of the newest 2'],
      [7, 'remove', 'nothing uses it'],
    ]);
  });

  test('without a class for them, images of pull requests are kept for a day and take no place of another', () => {
    const all = [
      tagged(0.5, { 'ami-action:ref': 'refs/pull/7/merge' }),
      tagged(1.5, { 'ami-action:ref': 'refs/pull/6/merge' }),
      tagged(2, { 'ami-action:ref': 'refs/heads/main' }),
      tagged(3, { 'ami-action:ref': 'refs/heads/main' }),
    ];
    expect(decisions(all, { keep: { newest: 1, passed: 1, youngerThanSeconds: 0, launchedWithinSeconds: undefined } })).toEqual([
      [0.5, 'keep', 'younger than minimum-age'],
      [1.5, 'remove', 'nothing uses it'],
      [2, 'keep', 'the newest'],
      [3, 'remove', 'nothing uses it'],
    ]);
  });

  test.each<[string, unknown, string]>([
    ['no list', { name: 'x' }, 'must be a list of classes'],
    [
      'a key that does not exist',
      [{ name: 'x', tags: { a: 'b' }, 'keep-latest': '1' }],
      'has an unknown key "keep-latest", did you mean "keep-newest"?',
    ],
    ['tags that match everything', [{ name: 'x', tags: { a: '*' } }], 'must name at least one tag with a value other than "*"'],
    ['what is no map', ['x'], 'must be a map with the keys name, tags, keep-newest, keep-passed, minimum-age, last-launched-within'],
    ['an empty name', [{ name: '', tags: { a: 'b' } }], 'must be text'],
    ['a name that is no text', [{ name: 1, tags: { a: 'b' } }], 'must be text'],
    ['a name that is too long', [{ name: 'x'.repeat(61), tags: { a: 'b' } }], 'must be at most 60 characters'],
    ['tags that are no map', [{ name: 'x', tags: 'a' }], 'must be a map of tags, one "key: value" a line'],
    ['a tag that is no text', [{ name: 'x', tags: { a: 1 } }], 'must be text'],
    ['a number that is no text', [{ name: 'x', tags: { a: 'b' }, 'keep-passed': 1 }], 'must be a whole number'],
    ['an age that is no text', [{ name: 'x', tags: { a: 'b' }, 'last-launched-within': 7 }], 'must be a duration such as 12h or 30d'],
    ['more than twenty', Array.from({ length: 21 }, () => ({ name: 'x', tags: { a: 'b' } })), 'must be at most 20 classes'],
    ['no tags', [{ name: 'x', tags: {} }], 'must name at least one tag with a value other than "*"'],
    ['a number that is none', [{ name: 'x', tags: { a: 'b' }, 'keep-newest': '-1' }], 'must be a whole number'],
    ['an age that is none', [{ name: 'x', tags: { a: 'b' }, 'minimum-age': '7' }], 'must be a duration such as 12h or 30d'],
  ])('refuses %s', (_, raw, message) => {
    const parsed = classesSchema().safeParse(raw);
    expect(parsed.error?.issues.map(issue => issue.message)).toEqual([message]);
  });

  // An absent value must not hide that of the policy.
  test('a class has the values that it names, and no others', () => {
    const values = { 'keep-newest': '3', 'keep-passed': '2', 'minimum-age': '2d', 'last-launched-within': '12h' };
    const raw = [
      { name: 'x'.repeat(60), tags: { stage: 'prod' }, ...values },
      ...Object.entries(values).map(([key, value]) => ({ name: 'x', tags: { a: 'b' }, [key]: value })),
    ];
    expect(classesSchema().parse(raw)).toStrictEqual([
      {
        name: 'x'.repeat(60),
        tags: { stage: 'prod' },
        keep: { newest: 3, passed: 2, youngerThanSeconds: 172_800, launchedWithinSeconds: 43_200 },
      },
      { name: 'x', tags: { a: 'b' }, keep: { newest: 3 } },
      { name: 'x', tags: { a: 'b' }, keep: { passed: 2 } },
      { name: 'x', tags: { a: 'b' }, keep: { youngerThanSeconds: 172_800 } },
      { name: 'x', tags: { a: 'b' }, keep: { launchedWithinSeconds: 43_200 } },
    ]);
  });

  test('an image is in the first class of which it has all tags', () => {
    const both = { name: 'both', tags: { stage: 'prod', team: 'a*' }, keep: {} };
    const one = { name: 'one', tags: { stage: 'prod' }, keep: {} };
    const of = (tags: Record<string, string>) => classOf({ tags }, [both, one])?.name;
    expect([
      of({ stage: 'prod', team: 'api' }),
      of({ stage: 'prod', team: 'web' }),
      of({ stage: 'prod' }),
      of({ team: 'api' }),
      of({}),
    ]).toEqual(['both', 'one', 'one', undefined, undefined]);
  });
});

describe('ancestors', () => {
  const from = (n: number, parent: number) => candidate(n, { tags: { 'ami-action:family': 'web', 'ami-action:base-ami': id(parent) } });

  test('with keep-ancestors, everything that kept images were built from is kept', () => {
    const all = [from(1, 5), candidate(2), from(5, 7), candidate(7), from(8, 2)];
    expect(decisions(all).map(([, action]) => action)).toEqual(['keep', 'remove', 'remove', 'remove', 'remove']);
    expect(decisions(all, { keepAncestors: true })).toEqual([
      [1, 'keep', 'the newest'],
      [2, 'remove', 'nothing uses it'],
      [5, 'keep', `${id(1)} was built from it`],
      [7, 'keep', `${id(5)} was built from it`],
      [8, 'remove', 'nothing uses it'],
    ]);
  });

  test('images that name each other as base do no harm', () => {
    expect(decisions([from(1, 2), from(2, 1)], { keepAncestors: true }).map(([, action]) => action)).toEqual(['keep', 'keep']);
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
    expect(decisions(newest).map(([, action]) => action)).toEqual(['keep', 'keep']);
  });

  test('one copy in use keeps all', () => {
    expect(decisions([...newest, copy(8, 'eu-central-1', {}, ['group web']), copy(9, 'us-east-1')]).slice(2)).toEqual([
      [8, 'keep', 'used by group web'],
      [9, 'keep', `its copy ${id(8)} in eu-central-1 is kept: used by group web`],
    ]);
  });

  test('unused copies are removed together, also where only half of them fits into one run', () => {
    const pair = [copy(8, 'eu-central-1'), copy(9, 'us-east-1')];
    expect(
      decisions([...newest, ...pair])
        .slice(2)
        .map(([, action]) => action),
    ).toEqual(['remove', 'remove']);
    const older = { ...candidate(10), region: 'us-east-1' };
    const limited = decisions([...newest, ...pair, older], { maxRemovals: 2 }).slice(2);
    expect(limited.map(([, action]) => action)).toEqual(['keep', 'keep', 'remove']);
    expect(limited[0]).toEqual([8, 'keep', 'nothing uses it; max-removals (2) reached, next run']);
  });

  test('a copy that is kept keeps its ancestors and their copies', () => {
    const base = { ...tags, 'ami-action:fingerprint': 'base' };
    const bases = [copy(12, 'eu-central-1', { tags: base }), copy(13, 'us-east-1', { tags: base })];
    const built = { ...tags, 'ami-action:base-ami': id(12) };
    const pair = [copy(8, 'eu-central-1', { tags: built }), copy(9, 'us-east-1', { tags: tags }, ['group web'])];
    expect(decisions([...newest, ...pair, ...bases], { keepAncestors: true }).slice(2)).toEqual([
      [8, 'keep', `its copy ${id(9)} in us-east-1 is kept: used by group web`],
      [9, 'keep', 'used by group web'],
      [12, 'keep', `${id(8)} was built from it`],
      [13, 'keep', `its copy ${id(12)} in eu-central-1 is kept: ${id(8)} was built from it`],
    ]);
  });

  test('a copy that is used again keeps all', () => {
    const week = { graceSeconds: (7 * DAY) / 1000 };
    const again = copy(8, 'eu-central-1', { tags: { ...tags, 'ami-action:marked-at': new Date(NOW - DAY).toISOString() } }, ['group web']);
    expect(decisions([...newest, again, copy(9, 'us-east-1')], week).slice(2)).toEqual([
      [8, 'unmark', 'used by group web'],
      [9, 'keep', `its copy ${id(8)} in eu-central-1 is kept: used by group web`],
    ]);
  });

  test.each(['commit', 'fingerprint'])('the tag %s alone makes them copies', key => {
    const alone = { tags: { 'ami-action:family': 'web', [`ami-action:${key}`]: 'x' } };
    const all = [...newest, copy(8, 'eu-central-1', alone, ['group web']), copy(9, 'us-east-1', alone)];
    expect(decisions(all)[3]?.[1]).toBe('keep');
  });

  test('two builds of one commit in one region are no copies', () => {
    const all = [candidate(1), copy(8, 'eu-central-1', {}, ['group web']), copy(9, 'eu-central-1')];
    expect(decisions(all)[2]).toEqual([9, 'remove', 'nothing uses it']);
  });

  test('they are marked together', () => {
    const week = { graceSeconds: (7 * DAY) / 1000 };
    expect(
      decisions([...newest, copy(8, 'eu-central-1'), copy(9, 'us-east-1')], week)
        .slice(2)
        .map(([, action]) => action),
    ).toEqual(['mark', 'mark']);
  });

  test('a build is as old as its youngest copy, and one with more copies than a run may remove is removed whole', () => {
    const pair = [copy(8, 'eu-central-1'), copy(20, 'us-east-1')];
    const all = (...more: readonly Candidate[]) => planPrune([...newest, ...pair, ...more], { ...policy, maxRemovals: 1 }, NOW);
    const taken = (plan: ReturnType<typeof all>) => plan.slice(2).map(({ image, action, waits }) => [image.id, action, waits]);
    expect(taken(all(candidate(10)))).toEqual([
      [id(8), 'keep', true],
      [id(10), 'remove', false],
      [id(20), 'keep', true],
    ]);
    expect(taken(all())).toEqual([
      [id(8), 'remove', false],
      [id(20), 'remove', false],
    ]);
  });

  test('another build of the same commit is not a copy', () => {
    const other = copy(9, 'us-east-1', { tags: { ...tags, 'ami-action:fingerprint': 'f2' } });
    expect(decisions([...newest, copy(8, 'eu-central-1', {}, ['group web']), other])[3]).toEqual([9, 'remove', 'nothing uses it']);
  });

  test.each(['commit', 'fingerprint', 'version', 'created-at'])('nor is one with another %s', key => {
    const whole = { ...tags, 'ami-action:version': '1', 'ami-action:created-at': '2026-05-01T00:00:00Z' };
    const other = copy(9, 'us-east-1', { tags: { ...whole, [`ami-action:${key}`]: 'other' } });
    const used = copy(8, 'eu-central-1', { tags: whole }, ['group web']);
    const ofCopy = (one: Candidate) => decisions([...newest, used, one]).find(([days]) => days === 9)?.[1];
    expect([ofCopy(copy(9, 'us-east-1', { tags: whole })), ofCopy(other)]).toEqual(['keep', 'remove']);
  });

  test('nor are images without a tag for their origin, nor one of another architecture', () => {
    const plain = { tags: { 'ami-action:family': 'web' } };
    expect(decisions([...newest, copy(8, 'eu-central-1', plain, ['group web']), copy(9, 'us-east-1', plain)])[3]?.[1]).toBe('remove');
    const arm = [{ ...candidate(1.2, { architecture: 'arm64' }), region: 'us-east-1' }, copy(9, 'us-east-1', { architecture: 'arm64' })];
    expect(decisions([...newest, copy(8, 'eu-central-1', {}, ['group web']), ...arm])[4]?.[1]).toBe('remove');
  });

  test('a marked copy of a kept image is unmarked', () => {
    const marked = copy(9, 'us-east-1', {
      tags: { ...tags, 'ami-action:marked-at': new Date(NOW - DAY).toISOString() },
      deprecatedAt: new Date(NOW),
    });
    const week = { graceSeconds: (7 * DAY) / 1000 };
    expect(decisions([...newest, copy(8, 'eu-central-1', {}, ['group web']), marked], week)[3]).toEqual([
      9,
      'unmark',
      `its copy ${id(8)} in eu-central-1 is kept: used by group web`,
    ]);
  });

  test('copies wait for the one whose grace ends last', () => {
    const since = (days: number) => ({
      tags: { ...tags, 'ami-action:marked-at': new Date(NOW - days * DAY).toISOString() },
      deprecatedAt: new Date(NOW - days * DAY),
    });
    const week = { graceSeconds: (7 * DAY) / 1000 };
    expect(decisions([...newest, copy(8, 'eu-central-1', since(9)), copy(9, 'us-east-1', since(5))], week).slice(2)).toEqual([
      [8, 'keep', `waits for its copy ${id(9)} in us-east-1`],
      [9, 'keep', 'nothing uses it; removal in 2d'],
    ]);
    // One that only waits keeps nothing that it was built from.
    const old = { tags: { 'ami-action:family': 'web', 'ami-action:marked-at': new Date(NOW - 9 * DAY).toISOString() } };
    const built = { ...since(9), tags: { ...since(9).tags, 'ami-action:base-ami': id(12) } };
    const chain = [...newest, copy(8, 'eu-central-1', built), copy(9, 'us-east-1', since(5)), candidate(12, old)];
    expect(decisions(chain, { ...week, keepAncestors: true })[4]?.[1]).toBe('remove');
  });
});

test('the hash of a plan is of what it changes, in any order', () => {
  const plan = planPrune([candidate(1), candidate(2), candidate(3)], policy, NOW);
  const [kept, ...removed] = plan;
  const hash = planHash(plan, ['snapshot snap-9']);
  expect(planHash([...removed].reverse(), ['snapshot snap-9'])).toBe(hash);
  if (kept === undefined || removed[0] === undefined) throw new Error('no plan');
  const [first, ...rest] = removed as [(typeof removed)[0], ...typeof removed];
  for (const other of [
    planHash(rest, ['snapshot snap-9']),
    planHash(plan, []),
    planHash([{ ...kept, action: 'remove' }, ...removed], ['snapshot snap-9']),
    planHash([{ ...first, action: 'mark' }, ...rest], ['snapshot snap-9']),
    planHash([{ ...first, action: 'mark', disables: true }, ...rest], ['snapshot snap-9']),
    planHash([{ ...first, region: 'us-east-1' }, ...rest], ['snapshot snap-9']),
  ])
    expect(other).not.toBe(hash);
  const marks = [false, true].map(disables => planHash([{ ...first, action: 'mark', disables }], []));
  expect(new Set(marks).size).toBe(2);
  // What a removal would disable is no part of it.
  expect(planHash([{ ...first, disables: true }], [])).toBe(planHash([first], []));
});

test.each([
  [false, false, ''],
  [true, false, ' deprecated before'],
  [false, true, ' disabled'],
  [true, true, ' deprecated before, disabled'],
])('a mark (deprecated before: %j, disabled: %j) is read as it was written', (deprecatedBefore, disabled, flags) => {
  const mark = { since: NOW, deprecatedBefore, disabled };
  expect(markValue(mark)).toBe(`2026-10-01T00:00:00.000Z${flags}`);
  const tags = { 'ami-action:marked-at': markValue(mark) };
  expect(markOf({ tags }, scheme)).toEqual(mark);
  // One that a person disabled stays so when its mark is removed.
  expect(isLaunchable(image(1, { state: 'disabled', tags }), scheme)).toBe(disabled);
  expect([isLaunchable(image(1, { tags }), scheme), isLaunchable(image(1, { state: 'failed', tags }), scheme)]).toEqual([true, false]);
});
