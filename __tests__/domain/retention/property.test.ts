import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { awsImageUsers } from '../../../src/adapters/aws/image-users/all.ts';
import type { Image } from '../../../src/domain/image.ts';
import { pointerNames, whoUses } from '../../../src/domain/retention/references.ts';
import { type Decision, planPrune } from '../../../src/domain/retention/retention.ts';
import type { Policy } from '../../../src/domain/retention/rules.ts';
import { verdictValue } from '../../../src/domain/verdict.ts';
import { AccessError } from '../../../src/kit/errors.ts';
import { type PaperAccount, type PaperPolicy, type PaperUse, paperClients } from '../../paper-account.ts';

/**
 * Random accounts, read by the real adapter through small pages and planned by the real planner. The oracle below knows neither: it asks of
 * each image in turn whether anything in the account could start it tomorrow, by acting out what that thing would do.
 */

const RUNS = Number(process.env['AMI_ACTION_PROPERTY_RUNS'] ?? 10_000);
const NOW = Date.parse('2026-10-01T00:00:00Z');
const DAY = 86_400_000;
const OWN = '111122223333';
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };

const IMAGES = 12;
const idOf = (n: number) => `ami-${n.toString(16).padStart(17, '0')}`;
const anImage = fc.nat(IMAGES - 1).map(idOf);

/** Mostly one plain image of ours, now and then one that nobody may touch. */
const image = (n: number): fc.Arbitrary<Image> =>
  fc
    .record({
      state: fc.constantFrom('available', 'available', 'available', 'available', 'pending', 'failed', 'disabled'),
      architecture: fc.constantFrom('x86_64', 'x86_64', 'arm64'),
      ownerId: fc.constantFrom(OWN, OWN, OWN, OWN, OWN, OWN, '999999999999'),
      public: fc.constantFrom(false, false, false, false, false, true),
      family: fc.constantFrom('web', 'web', 'web', 'web', 'web', 'api', undefined),
      keep: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 'true'),
      passed: fc.boolean(),
      protected: fc.constantFrom(false, false, false, false, false, true),
      ownerAlias: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 'aws-backup-vault'),
      ageDays: fc.integer({ min: 0, max: 30 }),
      commit: fc.constantFrom('c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', undefined),
      markedDaysAgo: fc.constantFrom(undefined, undefined, undefined, 1, 9),
      pullRequest: fc.constantFrom(false, false, false, true),
    })
    .map(({ family, keep, passed, ageDays, commit, markedDaysAgo, pullRequest, ...rest }) => ({
      ...(rest as Pick<Image, 'state' | 'architecture' | 'ownerId' | 'public' | 'protected' | 'ownerAlias'>),
      id: idOf(n),
      name: `image ${n}`,
      stateReason: '',
      // No two of the same moment: the oracle has no opinion on ties.
      createdAt: new Date(NOW - ageDays * DAY - n * 60_000),
      tags: {
        ...(family === undefined ? {} : { 'ami-action:family': family }),
        ...(keep === undefined ? {} : { 'ami-action:keep': keep }),
        ...(commit === undefined ? {} : { 'ami-action:commit': commit }),
        ...(markedDaysAgo === undefined ? {} : { 'ami-action:marked-at': new Date(NOW - markedDaysAgo * DAY).toISOString() }),
        ...(pullRequest ? { 'ami-action:ref': 'refs/pull/7/merge' } : {}),
        ...(passed ? { 'ami-action:verdict': verdictValue(idOf(n), { result: 'passed', checks: 'c'.repeat(32), at: new Date(NOW) }) } : {}),
      },
      snapshotIds: [],
      sizeGiB: 8,
      encrypted: false,
      imdsV2: true,
      ena: true,
      deprecatedAt: markedDaysAgo === undefined ? undefined : new Date(NOW - markedDaysAgo * DAY),
      lastLaunchedAt: undefined,
    }));

const NAMES = ['/ami/web/prod', '/ami/web/stage', '/ami/web/prod/candidate', '/ami/api/prod', '/golden/web', 'plain'];
const LABELS = ['stable', 'old'];

/** An environment's life: promotions and rollbacks, and the stack that they leave. */
const pointerLife = fc
  .array(fc.oneof({ weight: 3, arbitrary: anImage }, { weight: 1, arbitrary: fc.constant('rollback') }), { minLength: 1, maxLength: 6 })
  .map(deeds => {
    const stack: string[] = [];
    const versions: { value: string; description: string; labels: string[] }[] = [];
    for (const deed of deeds) {
      if (deed !== 'rollback') {
        if (stack.at(-1) === deed) continue;
        stack.push(deed);
        versions.push({ value: deed, description: 'ami-action promote: was x, commit y', labels: [] });
      } else if (stack.length > 1 && stack.at(-1) !== stack.at(-2)) {
        stack.pop();
        versions.push({ value: stack.at(-1) as string, description: 'ami-action rollback: was x, commit y', labels: [] });
      }
    }
    return { stack, versions };
  });

const someValue = fc.oneof(
  anImage,
  anImage.map(id => `{"image": "${id}", "size": 3}`),
  fc.tuple(anImage, anImage).map(([a, b]) => `${a},${b}`),
  fc.constant('t3.small'),
);

const parameter = (name: string) =>
  fc.record({
    name: fc.constant(name),
    type: fc.constantFrom<('String' | 'StringList' | 'SecureString')[]>('String', 'String', 'StringList', 'SecureString'),
    versions: fc
      .array(someValue, { minLength: 1, maxLength: 4 })
      .chain(values => fc.record({ values: fc.constant(values), labelled: fc.nat(values.length - 1) }))
      .map(({ values, labelled }) =>
        values.map((value, n) => ({ value, description: '', labels: n === labelled ? LABELS.slice(0, 1) : [] })),
      ),
  });

/** What may stand where an image ID stands. */
const imageSpec = fc.oneof(
  { weight: 5, arbitrary: anImage },
  { weight: 1, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc
      .record({
        name: fc.constantFrom('/golden/web', '/ami/web/prod', '/nowhere'),
        which: fc.constantFrom('', ':1', ':2', ':stable'),
        arn: fc.boolean(),
      })
      .map(({ name, which, arn }) => {
        const prefix = arn && name === '/golden/web' && which === '' ? 'arn:aws:ssm:eu-central-1:111122223333:parameter' : '';
        return `resolve:ssm:${prefix}${name}${which}`;
      }),
  },
  { weight: 1, arbitrary: fc.constant('resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023') },
);

const TEMPLATES = 3;
const template = (n: number) =>
  fc
    .record({ images: fc.array(imageSpec, { minLength: 1, maxLength: 5 }), chosen: fc.nat(4), gap: fc.boolean() })
    .map(({ images, chosen, gap }) => {
      // Version 2 was deleted where there is a gap.
      const versions = images
        .map((spec, place) => ({ number: place + 1, image: spec }))
        .filter(({ number }) => !(gap && number === 2 && images.length > 2));
      return {
        id: `lt-${n}`,
        name: `template-${n}`,
        versions,
        defaultVersion: (versions[chosen % versions.length] as { number: number }).number,
      };
    });

const use: fc.Arbitrary<PaperUse> = fc.record({
  template: fc.nat(TEMPLATES).map(n => `lt-${n}`),
  byName: fc.boolean(),
  version: fc.constantFrom('$Latest', '$Default', undefined, '1', '1', '2', '2', '3', '4'),
});
const mixed: fc.Arbitrary<PaperPolicy> = fc.record({
  uses: use,
  overrides: fc.array(fc.record({ uses: fc.option(use, { nil: undefined }), image: fc.option(imageSpec, { nil: undefined }) }), {
    maxLength: 2,
  }),
});
const launchWay = fc.oneof(
  use.map(uses => ({ uses, mixed: undefined })),
  mixed.map(policy => ({ uses: undefined, mixed: policy })),
  fc.constant({ uses: undefined, mixed: undefined }),
);
const STATUSES = [
  'Pending',
  'InProgress',
  'Baking',
  'Cancelling',
  'RollbackInProgress',
  'Successful',
  'Failed',
  'Cancelled',
  'RollbackFailed',
  'RollbackSuccessful',
];
const group = (n: number) =>
  fc
    .record({
      way: launchWay,
      refresh: fc.option(fc.record({ status: fc.constantFrom(...STATUSES), way: launchWay }), { nil: undefined }),
    })
    .map(({ way, refresh }) => ({ name: `group-${n}`, ...way, refresh: refresh && { status: refresh.status, ...refresh.way } }));

const STATES = ['pending', 'running', 'stopping', 'stopped', 'shutting-down', 'terminated'];
const several = <T>(least: number, most: number, one: (n: number) => fc.Arbitrary<T>) =>
  fc.integer({ min: least, max: most }).chain(count => fc.tuple(...Array.from({ length: count }, (_, n) => one(n))));

const world = fc.record({
  images: fc.tuple(...Array.from({ length: IMAGES }, (_, n) => image(n))),
  instances: several(0, 2, n => fc.record({ id: fc.constant(`i-${n}`), state: fc.constantFrom(...STATES), image: anImage })),
  templates: several(1, TEMPLATES, template),
  groups: several(1, 3, group),
  configurations: several(0, 1, n => fc.record({ name: fc.constant(`lc-${n}`), image: anImage })),
  lives: fc.record({ '/ami/web/prod': pointerLife, '/ami/web/stage': fc.option(pointerLife, { nil: undefined }) }),
  parameters: fc.tuple(...NAMES.slice(2).map(parameter)).chain(all => fc.subarray(all)),
  regions: fc.tuple(...Array.from({ length: IMAGES }, () => fc.constantFrom('eu-central-1', 'eu-central-1', 'eu-central-1', 'us-east-1'))),
  policy: fc.record({
    newest: fc.integer({ min: 0, max: 2 }),
    newestOfPullRequests: fc.option(fc.integer({ min: 0, max: 1 }), { nil: undefined }),
    passed: fc.integer({ min: 0, max: 1 }),
    youngerThanDays: fc.constantFrom(0, 0, 5),
    graceDays: fc.constantFrom(0, 0, 7),
    maxRemovals: fc.constantFrom(1, 3, 1000),
    maxShare: fc.constantFrom(10, 50, 100),
  }),
  rollbackDepth: fc.nat(3),
  pageSize: fc.integer({ min: 1, max: 4 }),
});
type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

const accountOf = ({ lives, parameters, ...rest }: World): PaperAccount => ({
  ...rest,
  parameters: [
    ...Object.entries(lives).flatMap(([name, life]) =>
      life === undefined ? [] : [{ name, type: 'String' as const, versions: life.versions }],
    ),
    ...parameters,
  ],
});

/** The plan, and the same once more with everything listed in another order. */
async function plans(drawn: World): Promise<readonly [readonly Decision[], readonly Decision[]]> {
  const account = accountOf(drawn);
  const facts = await awsImageUsers(paperClients(account, drawn.pageSize)).read({
    pointers: pointerNames(['/ami/{family}/{environment}'], 'web'),
    ignoredParameters: [],
  });
  const users = whoUses(facts, drawn.rollbackDepth);
  const candidates = drawn.images.map((one, n) => ({ image: one, region: drawn.regions[n] as string, users: users.get(one.id) ?? [] }));
  const { newest, passed, newestOfPullRequests } = drawn.policy;
  const keep = { newest, passed, youngerThanSeconds: (drawn.policy.youngerThanDays * DAY) / 1000, launchedWithinSeconds: undefined };
  const policy: Policy = {
    ...drawn.policy,
    ...{ scheme, family: 'web', accountId: OWN, keep, graceSeconds: (drawn.policy.graceDays * DAY) / 1000 },
    classes:
      newestOfPullRequests === undefined
        ? []
        : [{ name: 'pr', tags: { 'ami-action:ref': 'refs/pull/*' }, keep: { newest: newestOfPullRequests } }],
  };
  return [planPrune(candidates, policy, NOW), planPrune([...candidates].reverse(), policy, NOW)];
}

// ---- the oracle ----

/** Whether anything in the account could start this very image, or stand for it, tomorrow. */
function couldStart(id: string, drawn: World): boolean {
  const account = accountOf(drawn);
  const means = (spec: string | undefined): string => {
    if (spec === undefined || !spec.startsWith('resolve:ssm:')) return spec ?? '';
    const words = spec.split('parameter/').at(-1)?.replace('resolve:ssm:', '').split(':') ?? [];
    const found = account.parameters.find(({ name }) => name.replace(/^\//, '') === (words[0] ?? '').replace(/^\//, ''));
    const numbered = found?.versions.find((version, n) => words[1] === `${n + 1}` || version.labels.some(label => label === words[1]));
    return (words.length === 1 ? found?.versions[found.versions.length - 1] : numbered)?.value ?? '';
  };
  const starts = (spec: string | undefined) => means(spec).includes(id);
  const followed = (said: PaperUse | undefined): boolean => {
    const of = account.templates.find(other => other.id === said?.template);
    if (said === undefined || of === undefined) return false;
    const number = said.version === '$Latest' ? Math.max(...of.versions.map(version => version.number)) : Number(said.version);
    const chosen = said.version === undefined || said.version === '$Default' ? of.defaultVersion : number;
    return of.versions.some(version => version.number === chosen && starts(version.image));
  };
  const mixedStarts = (policy: PaperPolicy | undefined) =>
    policy !== undefined && (followed(policy.uses) || policy.overrides.some(override => followed(override.uses) || starts(override.image)));
  const moving = ['Pending', 'InProgress', 'Baking', 'Cancelling', 'RollbackInProgress'];
  const environments = Object.values(drawn.lives).flatMap(life => (life === undefined ? [] : [life]));
  return (
    account.instances.some(({ image: booted, state }) => booted === id && state !== 'terminated') ||
    account.configurations.some(({ image: named }) => named === id) ||
    account.groups.some(({ uses, mixed: policy }) => followed(uses) || mixedStarts(policy)) ||
    account.groups.some(
      ({ refresh }) => refresh !== undefined && moving.includes(refresh.status) && (followed(refresh.uses) || mixedStarts(refresh.mixed)),
    ) ||
    account.templates.some(
      ({ id: own }) =>
        followed({ template: own, byName: false, version: '$Latest' }) || followed({ template: own, byName: false, version: '$Default' }),
    ) ||
    account.parameters.some(({ type, versions }) => type !== 'SecureString' && versions.at(-1)?.value.includes(id)) ||
    environments.some(({ stack }) => stack.slice(-1 - drawn.rollbackDepth).includes(id)) ||
    environments.some(({ versions }) =>
      heldLately(
        versions.map(({ value }) => value),
        drawn.rollbackDepth,
      ).includes(id),
    )
  );
}

/** Walks back from the present value until so many others were met. */
function heldLately(values: readonly string[], others: number): readonly string[] {
  const met: string[] = [];
  for (let at = values.length - 2; at >= 0 && met.length < others; at -= 1) {
    const value = values[at] as string;
    if (value !== values[values.length - 1] && !met.includes(value)) met.push(value);
  }
  return met;
}

const untouchable = (one: Image) =>
  one.ownerId !== OWN ||
  one.public ||
  one.protected ||
  one.ownerAlias !== undefined ||
  one.state === 'pending' ||
  one.tags['ami-action:family'] !== 'web' ||
  'ami-action:keep' in one.tags;

/** Nobody would miss it where it lies: unreferenced, old enough, and with enough newer ones that boot. */
function unneeded(one: Image, drawn: World): boolean {
  const { newest, passed, youngerThanDays, newestOfPullRequests } = drawn.policy;
  const regionOf = (other: Image) => drawn.regions[drawn.images.indexOf(other)];
  const fromPullRequest = (other: Image) => newestOfPullRequests !== undefined && 'ami-action:ref' in other.tags;
  const newer = drawn.images.filter(
    other =>
      regionOf(other) === regionOf(one) &&
      fromPullRequest(other) === fromPullRequest(one) &&
      other.architecture === one.architecture &&
      other.state === 'available' &&
      other.createdAt > one.createdAt,
  );
  const hasPassed = (other: Image) => 'ami-action:verdict' in other.tags;
  const boots = one.state === 'available';
  return (
    !untouchable(one) &&
    !couldStart(one.id, drawn) &&
    NOW - one.createdAt.getTime() >= youngerThanDays * DAY &&
    !(boots && newer.length < (fromPullRequest(one) ? (newestOfPullRequests ?? 0) : newest)) &&
    !(boots && hasPassed(one) && newer.filter(hasPassed).length < passed)
  );
}

/** Itself and, if its build lies in both regions, all images of that build. */
function withCopies(one: Image, drawn: World): readonly Image[] {
  const sameBuild = drawn.images.filter(
    other =>
      one.tags['ami-action:commit'] !== undefined &&
      other.tags['ami-action:commit'] === one.tags['ami-action:commit'] &&
      other.architecture === one.architecture,
  );
  const regions = new Set(sameBuild.map(other => drawn.regions[drawn.images.indexOf(other)]));
  return regions.size > 1 ? sameBuild : [one];
}

const graceIsOver = (one: Image, { policy: { graceDays } }: World): boolean =>
  graceDays === 0 || Date.parse(one.tags['ami-action:marked-at'] ?? 'never') <= NOW - graceDays * DAY;

test(`in ${RUNS} random accounts, nothing that could be started or is not ours goes, and what should go goes`, async () => {
  const seen = { remove: 0, mark: 0, unmark: 0, keep: 0 };
  await fc.assert(
    fc.asyncProperty(world, async drawn => {
      const both = await plans(drawn).catch(failure => (failure instanceof AccessError ? undefined : Promise.reject(failure)));
      if (both === undefined) {
        // An ARN that cannot be followed may mean any image: the run stops. Nothing else may stop it.
        expect(drawn.parameters.some(({ name }) => name === '/golden/web')).toBe(false);
        return;
      }
      const [decided, again] = both;
      expect(again).toEqual(decided);
      for (const { action } of decided) seen[action] += 1;
      const chosen = (action: Decision['action']) => decided.filter(decision => decision.action === action).map(({ image: one }) => one);
      const ids = (images: readonly Image[]) => images.map(({ id }) => id).sort();
      const { policy, images } = drawn;

      expect([...chosen('remove'), ...chosen('mark')].filter(one => untouchable(one) || couldStart(one.id, drawn))).toEqual([]);

      const alone = new Set(images.filter(one => unneeded(one, drawn)));
      const forgotten = images.filter(one => withCopies(one, drawn).every(copy => alone.has(copy)));
      const ripe = forgotten.filter(one => withCopies(one, drawn).every(copy => graceIsOver(copy, drawn)));
      const most = Math.min(policy.maxRemovals, Math.ceil((IMAGES * policy.maxShare) / 100));
      expect(ids(chosen('remove')).filter(id => !ids(ripe).includes(id))).toEqual([]);
      if (ripe.length <= most) expect(ids(chosen('remove'))).toEqual(ids(ripe));
      // All copies of a removed one go as well, so a run may remove more than `most` only for the sake of one build.
      const left = chosen('remove')
        .flatMap(one => withCopies(one, drawn))
        .filter(copy => !chosen('remove').includes(copy));
      expect(ids(left)).toEqual([]);
      if (ripe.length > 0) expect(chosen('remove').length).toBeGreaterThan(0);

      const isMarked = (one: Image) => 'ami-action:marked-at' in one.tags;
      expect(ids(chosen('mark'))).toEqual(policy.graceDays === 0 ? [] : ids(forgotten.filter(one => !isMarked(one))));
      const ours = (one: Image) => one.ownerId === OWN && one.tags['ami-action:family'] === 'web';
      expect(ids(chosen('unmark'))).toEqual(ids(images.filter(one => isMarked(one) && ours(one) && !forgotten.includes(one))));
    }),
    { numRuns: RUNS, seed: 20_261_001 },
  );
  // The accounts are such that there is something to lose, and something to win.
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(RUNS / 20);
});
