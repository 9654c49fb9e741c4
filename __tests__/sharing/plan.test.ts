import { describe, expect, test } from '@jest/globals';
import { copiesOf } from '../../src/model/copies.ts';
import type { Image } from '../../src/model/image.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { earlyTags, unfinishedKeys, wantedTags } from '../../src/sharing/rules/identity.ts';
import { planTarget, type ShareOptions, type Target, targetsOf, unlisted } from '../../src/sharing/rules/plan.ts';
import { imageRefusals, type Sharing, settingProblems, sharingRefusals } from '../../src/sharing/rules/refusals.ts';

const [OWN, STAGE, PROD] = ['111122223333', '444455556666', '777788889999'] as const;
const [HOME, WEST] = ['eu-central-1', 'eu-west-1'] as const;
const ORGANIZATION = 'arn:aws:organizations::111122223333:organization/o-abcdefghij';
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const at = new Date('2026-05-01T12:00:00Z');
const verdict = (id: string, result: 'passed' | 'failed' = 'passed', when = at) =>
  verdictValue(id, { result, checks: 'a'.repeat(32), at: when });

const identity = { 'ami-action:family': 'web', 'ami-action:commit': 'c1', 'ami-action:fingerprint': 'f1', 'ami-action:version': '1' };
const image = (id: string, tags: Record<string, string> = {}, change: Partial<Image> = {}): Image => ({
  ...{ id, name: 'web-1', state: 'available', stateReason: '', architecture: 'x86_64', ownerId: OWN, createdAt: at, public: false },
  tags: { ...identity, 'ami-action:created-at': at.toISOString(), team: 'web', ...tags },
  ...{ snapshotIds: [], sizeGiB: 8, encrypted: false, imdsV2: true, ena: true, deprecatedAt: undefined, lastLaunchedAt: undefined },
  protected: false,
  ...change,
});
const home = image('ami-1', { 'ami-action:verdict': verdict('ami-1') });
const options = (change: Partial<ShareOptions> = {}): ShareOptions => ({
  ...{ accounts: [], organizations: [], regions: [HOME], copy: [], unshare: false, roleOf: () => undefined },
  ...change,
});
const withRole = { roleOf: (account: string) => `role of ${account}` };

describe('the targets', () => {
  const of = (change: Partial<ShareOptions>) => targetsOf(options(change), OWN).map(({ kind, who, region }) => `${kind} ${who} ${region}`);

  test('every account in every region, after our own copies there', () => {
    expect(of({ accounts: [STAGE, OWN, STAGE], organizations: [ORGANIZATION], regions: [HOME, WEST] })).toEqual([
      `region ${OWN} ${WEST}`,
      ...[HOME, WEST].flatMap(region => [`launch ${STAGE} ${region}`, `launch ${ORGANIZATION} ${region}`]),
    ]);
  });

  test('a copy of another account is made straight from the image, unless our own copies are wanted', () => {
    const copies = [`copy ${PROD} ${HOME}`, `copy ${PROD} ${WEST}`];
    expect(of({ copy: [PROD], regions: [HOME, WEST] })).toEqual(copies);
    expect(of({ copy: [PROD], regions: [HOME, WEST], ownCopies: true })).toEqual([`region ${OWN} ${WEST}`, ...copies]);
    expect(of({ regions: [HOME, WEST] })).toEqual([`region ${OWN} ${WEST}`]);
  });

  test('a role belongs to an account, not to an organization', () => {
    const targets = targetsOf(options({ accounts: [STAGE, 'all'], organizations: [ORGANIZATION], ...withRole }), OWN);
    expect(targets.map(({ role }) => role)).toEqual([`role of ${STAGE}`, undefined, undefined]);
  });
});

describe('the plan of a target', () => {
  const origin = (launchers: readonly string[] = [], readers: readonly string[] = []) => ({
    region: HOME,
    image: home,
    launchers,
    readers,
  });
  const plan = (
    kind: Target['kind'],
    there: Image | undefined,
    given = origin(),
    { role = 'role', dead = [] as Image[], who = STAGE as string } = {},
  ) => {
    const target = { kind, who, region: HOME, role: role === '' ? undefined : role };
    const { actions, reason } = planTarget({ target, there, dead }, { home: given, here: given }, home, { scheme });
    return [actions, reason];
  };

  test('to launch: permission, and tags where a role may write them', () => {
    expect(plan('launch', undefined)).toEqual([['permit', 'tag'], 'not shared yet, no tags yet']);
    expect(plan('launch', undefined, origin(), { role: '' })).toEqual([['permit'], 'not shared yet']);
    expect(plan('launch', home, origin([STAGE]))).toEqual([[], 'up to date']);
    const { 'ami-action:version': _, ...few } = home.tags;
    expect(plan('launch', { ...home, tags: few }, origin([STAGE]))).toEqual([['tag'], 'ami-action:version missing']);
    expect(plan('launch', { ...home, tags: {} }, origin([STAGE]))).toEqual([['tag'], '7 tags missing']);
  });

  test('a copy: readable first, and failed ones are removed', () => {
    expect(plan('copy', undefined)).toEqual([['permit', 'copy', 'tag'], 'not readable yet, no copy yet, no tags yet']);
    expect(plan('copy', undefined, origin([STAGE]))[0]).toContain('permit');
    expect(plan('copy', undefined, origin([], [STAGE]))[0]).toContain('permit');
    expect(plan('copy', undefined, origin([STAGE], [STAGE]))).toEqual([['copy', 'tag'], 'no copy yet, no tags yet']);
    const dead = [image('ami-8', {}, { state: 'failed' }), image('ami-9', {}, { state: 'failed' })];
    expect(plan('region', undefined, origin(), { dead })).toEqual([
      ['copy', 'tag'],
      'no copy yet, failed copy ami-8, ami-9 is removed, no tags yet',
    ]);
    expect(plan('copy', image('ami-2', {}, { state: 'pending', tags: {} }))).toEqual([['tag'], 'the copy is pending']);
  });

  test('an image that failed validation there is refused', () => {
    const there = image('ami-2', { 'ami-action:verdict': verdict('ami-2', 'failed', new Date('2026-05-02T00:00:00Z')) });
    expect(plan('copy', there)).toEqual([[], 'ami-2 failed validation there (failed validation at 2026-05-02T00:00:00Z)']);
  });

  test('who may launch it and is on no list; a reader of the home region needs permission there only', () => {
    const lists = options({ accounts: [STAGE], copy: [PROD], regions: [HOME, WEST] });
    expect(unlisted(lists, origin([STAGE, PROD, '000000000001']))).toEqual(['000000000001']);
    expect(unlisted(lists, { ...origin([PROD]), region: WEST })).toEqual([PROD]);
  });
});

describe('the tags of an image elsewhere', () => {
  test('are those of the image, without what belongs to one account, and its verdict sealed to its ID', () => {
    const source = image('ami-1', { ...home.tags, 'ami-action:keep': 'yes', 'ami-action:vetoed-in': 'prod', 'aws:x': 'y' });
    const { tags = {} } = wantedTags(source, { id: 'ami-2', tags: {} }, { scheme });
    expect(tags).toEqual({
      ...{ ...identity, 'ami-action:created-at': at.toISOString(), team: 'web', 'ami-action:copied-from': 'ami-1' },
      'ami-action:verdict': verdictValue('ami-2', { result: 'passed', checks: 'a'.repeat(32), at, source: 'ami-1' }),
    });
    expect(wantedTags(source, source, { scheme }).tags).not.toHaveProperty('ami-action:copied-from');
  });

  test('an own passed validation that is newer stays; an older one is replaced', () => {
    const own = (when: string) => ({ id: 'ami-2', tags: { 'ami-action:verdict': verdict('ami-2', 'passed', new Date(when)) } });
    expect(wantedTags(home, own('2026-06-01T00:00:00Z'), { scheme }).tags).not.toHaveProperty('ami-action:verdict');
    expect(wantedTags(home, own('2026-04-01T00:00:00Z'), { scheme }).tags).toHaveProperty('ami-action:verdict');
  });

  test('a signature that is there is kept, one for another verdict is made again', () => {
    const unsigned = wantedTags(home, { id: 'ami-2', tags: {} }, { scheme, verdictKey: 'key' }).tags?.['ami-action:verdict'] ?? '';
    expect(unsigned).toMatch(/ mac:$/);
    const signed = { id: 'ami-2', tags: { 'ami-action:verdict': `${unsigned}abc` } };
    expect(wantedTags(home, signed, { scheme, verdictKey: 'key' }).tags?.['ami-action:verdict']).toBe(`${unsigned}abc`);
  });

  test('an unfinished copy is in no family, and expires in a day', () => {
    const tags = earlyTags(home, scheme, at.getTime());
    expect(tags).toMatchObject({ 'ami-action:copied-from': 'ami-1', 'ami-action:for-family': 'web', 'ami-action:purpose': 'build' });
    expect([tags['ami-action:family'], tags['ami-action:expires-at']]).toEqual([undefined, '2026-05-02T12:00:00.000Z']);
    expect(unfinishedKeys(scheme)).toEqual(['ami-action:for-family', 'ami-action:purpose', 'ami-action:expires-at']);
  });
});

describe('the copy of an image', () => {
  const found = (...images: readonly Image[]) => copiesOf(home, [home, ...images], scheme);
  const tagged = { 'ami-action:copied-from': 'ami-1' };

  test('is the newest usable one that names it', () => {
    const [old, young] = [image('ami-2', tagged), image('ami-3', { ...tagged, 'ami-action:created-at': '2026-06-01T00:00:00Z' })];
    expect(found(old, young, image('ami-4', tagged, { state: 'failed' }), image('ami-5', tagged, { state: 'error' }))).toMatchObject({
      alive: { id: 'ami-3' },
      dead: [{ id: 'ami-4' }, { id: 'ami-5' }],
    });
  });

  test('or one of the same build, by its whole identity and never by its name', () => {
    expect(found(image('ami-2')).alive?.id).toBe('ami-2');
    for (const key of ['family', 'commit', 'fingerprint', 'version', 'created-at', 'source'])
      expect([key, found(image('ami-2', { [`ami-action:${key}`]: 'other' })).alive]).toEqual([key, undefined]);
    expect(found(image('ami-2', {}, { architecture: 'arm64' })).alive).toBeUndefined();
    const { 'ami-action:created-at': _, ...undated } = home.tags;
    expect(copiesOf({ ...home, tags: undated }, [{ ...home, id: 'ami-2', tags: undated }], scheme).alive).toBeUndefined();
  });
});

describe('refused', () => {
  const sharing = (change: Partial<ShareOptions> = {}, more: Partial<Sharing> = {}): Sharing => ({
    ...{
      scheme,
      family: 'web',
      own: OWN,
      options: options(change),
      allowPublic: false,
      allowedAccountIds: undefined,
      kmsKey: {},
      prepare: false,
    },
    ...more,
  });

  test.each<[string, Partial<ShareOptions>, Partial<Sharing>, readonly string[]]>([
    ['nothing to share with', {}, {}, ['"accounts", "organizations", "regions" and "copy" are all empty: set one of them']],
    ['a region', { regions: [HOME, WEST] }, {}, []],
    ['everybody', { accounts: ['all'] }, {}, ['"accounts" is "all", which makes the image public: set "allow-public: true" to allow it']],
    ['everybody, allowed', { accounts: ['all'] }, { allowPublic: true }, []],
    ['a copy without a role', { copy: [PROD] }, {}, [`"target-role" is required: a role of account ${PROD} makes the copy there`]],
    [
      'an account twice',
      { accounts: [PROD], copy: [PROD], ...withRole },
      {},
      [`"accounts" and "copy" both name ${PROD}: it would have two images of one commit. Remove it from one of them`],
    ],
    [
      'an account that is not allowed',
      { accounts: [STAGE], copy: [PROD], ...withRole },
      { allowedAccountIds: [STAGE] },
      [`"allowed-account-ids" does not list ${PROD}, where "target-role" writes: add what is missing`],
    ],
    ['an account that no role writes to needs no permission', { accounts: [STAGE] }, { allowedAccountIds: [PROD] }, []],
    ['an organization in two regions', { organizations: [ORGANIZATION], regions: [HOME, WEST] }, {}, []],
    ['a region alone', { regions: [HOME, WEST] }, {}, []],
    ['a key of a region', { accounts: [STAGE], regions: [HOME, WEST] }, { kmsKey: { [WEST]: 'k' } }, []],
    [
      'a key of no region',
      { accounts: [STAGE] },
      { kmsKey: { [WEST]: 'k' } },
      [`"kms-key" names ${WEST}, which is neither "region" nor in "regions"`],
    ],
  ])('settings: %s', (_, change, more, problems) => {
    expect(settingProblems(sharing(change, more))).toEqual(problems);
  });

  test.each<[string, Image, Partial<Sharing>, readonly RegExp[]]>([
    ['a passed image', home, {}, []],
    [
      'one that failed to be made',
      image('ami-1', home.tags, { state: 'failed', stateReason: 'no' }),
      {},
      [/is failed: no\. Choose another image/],
    ],
    ['a pending one', image('ami-1', home.tags, { state: 'pending' }), {}, [/is pending\. Wait until it is available/]],
    ['one of another family', home, { family: 'api' }, [/is not in family "api"/]],
    ['one of another account', image('ami-1', home.tags, { ownerId: STAGE }), {}, [/belongs to account 444455556666/]],
    ['one without a verdict', image('ami-1'), {}, [/has no passed verdict \(never validated\)/]],
    ['one without a verdict, to prepare copies', image('ami-1'), { prepare: true }, []],
  ])('image: %s', (_, of, more, refusals) => {
    const found = imageRefusals(of, sharing({}, more));
    expect(found).toHaveLength(refusals.length);
    for (const [n, refusal] of refusals.entries()) expect(found[n]).toMatch(refusal);
  });

  const key = { arn: 'arn:key', managedByAws: false, usable: true, grantees: [], policy: undefined };
  const origin = { region: HOME, image: home, launchers: [], readers: [] };
  test.each<[string, object, Partial<ShareOptions>, Partial<Sharing>, readonly RegExp[]]>([
    ['an own key', {}, { accounts: [STAGE] }, {}, []],
    ['the key of AWS', { managedByAws: true }, { accounts: [STAGE] }, {}, [/AWS managed key aws\/ebs/]],
    ['the key of AWS, within the account', { managedByAws: true }, { accounts: [OWN] }, {}, []],
    ['a key that is off', { usable: false }, { accounts: [STAGE] }, {}, [/Key arn:key, which encrypts ami-1, is not enabled/]],
    ['a public encrypted image', {}, { accounts: ['all'] }, {}, [/an encrypted image cannot be public/]],
    [
      'a region without a key',
      {},
      { accounts: [STAGE], regions: [HOME, WEST] },
      {},
      [/copy in eu-west-1 would be encrypted with the AWS managed key/],
    ],
    ['a region with a key', {}, { accounts: [STAGE], regions: [HOME, WEST] }, { kmsKey: { [WEST]: 'k' } }, []],
    ['a region without a key, for no other account', {}, { regions: [HOME, WEST] }, {}, []],
  ])('encryption: %s', (_, ofKey, change, more, refusals) => {
    const found = sharingRefusals(
      home,
      [{ ...key, ...ofKey } as Parameters<typeof sharingRefusals>[1][number]],
      [origin],
      sharing(change, more),
    );
    expect(found).toHaveLength(refusals.length);
    for (const [n, refusal] of refusals.entries()) expect(found[n]).toMatch(refusal);
  });

  test('an image without a key may be public, and copied to any region', () => {
    expect(sharingRefusals(home, [], [origin], sharing({ accounts: ['all'], regions: [HOME, WEST] }, { allowPublic: true }))).toEqual([]);
  });

  test('more than AWS allows', () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => String(100000000000 + n));
    const asked = (count: number) => sharingRefusals(home, [], [{ ...origin, launchers: [STAGE] }], sharing({ accounts: many(count) }));
    expect([asked(999), asked(1000).length]).toEqual([[], 1]);
    expect(asked(1000)[0]).toContain('would be shared with 1001 accounts and organizations, and AWS allows 1000');
  });
});
