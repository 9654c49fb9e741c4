import fc from 'fast-check';
import type { Image, Snapshot } from '../../src/model/image.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import type { PaperAccount, PaperPolicy, PaperUse } from '../paper-account.ts';

/** Random accounts with a policy for one family of images. */

export const NOW = Date.parse('2026-10-01T00:00:00Z');
export const DAY = 86_400_000;
export const OWN = '111122223333';
export const CONSUMER = '222222222222';
export const REPOSITORY = 'acme/web';
export const HOME = 'eu-central-1';

const IMAGES = 12;
const idOf = (n: number) => `ami-${n.toString(16).padStart(17, '0')}`;
const anImage = fc.nat(IMAGES - 1).map(idOf);
/** Images that were here once. */
export const GONE = [idOf(254), idOf(255)] as const;
const STRAYS = ['snap-s0', 'snap-s1', 'snap-s2', 'snap-s3'] as const;

/** Undefined once in so many. */
const maybe = <T>(one: fc.Arbitrary<T>, freq = 3) => fc.option(one, { nil: undefined, freq });
const seldom = (n: number) => fc.nat(n).map(drawn => drawn === n);

/** As prune, a killed run or a person writes it. */
const mark = fc.record({
  daysAgo: fc.constantFrom(1, 9),
  said: fc.constantFrom('', '', ' disabled', ' deprecated before', ' deprecated before, disabled'),
  deprecated: fc.constantFrom(true, true, true, false),
  readable: fc.constantFrom(true, true, true, true, false),
});

/** Usually a plain image of ours, sometimes one that must not be touched. */
const image = (n: number) =>
  fc
    .record({
      state: fc.constantFrom<Image['state'][]>(
        ...(['available', 'available', 'available', 'available', 'available', 'available', 'available', 'available'] as const),
        ...(['pending', 'failed', 'disabled', 'disabled'] as const),
        'brand-new' as never,
      ),
      architecture: fc.constantFrom<Image['architecture'][]>('x86_64', 'x86_64', 'arm64'),
      ownerId: fc.nat(7).map(drawn => (drawn === 7 ? '999999999999' : OWN)),
      public: seldom(7),
      protected: seldom(7),
      ownerAlias: seldom(7).map(drawn => (drawn ? 'aws-backup-vault' : undefined)),
      family: fc.constantFrom('web', 'web', 'web', 'web', 'web', 'web', 'web', 'api', undefined),
      keep: seldom(7),
      passed: fc.boolean(),
      ageDays: fc.integer({ min: 0, max: 30 }),
      // A copy has the tag of its source and a date of its own; AWS may leave the date out.
      copiedDaysLater: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 3, 12),
      dated: fc.nat(11).map(drawn => drawn !== 11),
      commit: fc.constantFrom('c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', undefined),
      marked: maybe(mark, 2),
      pullRequest: fc.constantFrom(false, false, false, true),
      base: maybe(anImage, 2),
      takenHoursAgo: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 10, 30),
      launchedDaysAgo: fc.constantFrom(3, 10.5, 40, 40, undefined),
      deadUntil: fc.constantFrom('2020-01-01T00:00:00.000Z', '2020-01-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z', 'some day'),
      deadOf: fc.constantFrom(REPOSITORY, REPOSITORY, 'acme/api'),
    })
    .map(drawn => asImage(n, drawn));

type Drawn = { [K in keyof Image]?: Image[K] } & {
  family: string | undefined;
  keep: boolean;
  passed: boolean;
  ageDays: number;
  copiedDaysLater: number | undefined;
  dated: boolean;
  commit: string | undefined;
  marked: { daysAgo: number; said: string; deprecated: boolean; readable: boolean } | undefined;
  pullRequest: boolean;
  base: string | undefined;
  takenHoursAgo: number | undefined;
  launchedDaysAgo: number | undefined;
  deadUntil: string;
  deadOf: string;
};

function asImage(n: number, drawn: Drawn): Image {
  const {
    family,
    keep,
    passed,
    ageDays,
    copiedDaysLater,
    dated,
    commit,
    marked,
    pullRequest,
    base,
    takenHoursAgo,
    launchedDaysAgo,
    deadUntil,
    deadOf,
    ...rest
  } = drawn;
  const ago = (days: number) => new Date(NOW - days * DAY);
  // No two of the same moment: the oracle has no opinion on ties.
  const builtAt = NOW - ageDays * DAY - n * 60_000;
  const build = { 'ami-action:purpose': 'build', 'ami-action:repository': deadOf, 'ami-action:expires-at': deadUntil };
  const tags: Record<string, string | undefined> = {
    ...(family === undefined && rest.ownerId === OWN ? build : {}),
    'ami-action:family': family,
    'ami-action:keep': keep ? 'true' : undefined,
    'ami-action:created-at': copiedDaysLater === undefined ? undefined : new Date(builtAt).toISOString(),
    'ami-action:commit': commit,
    'ami-action:marked-at': marked && (marked.readable ? `${ago(marked.daysAgo).toISOString()}${marked.said}` : 'yesterday'),
    'ami-action:ref': pullRequest ? 'refs/pull/7/merge' : undefined,
    'ami-action:verdict': passed ? verdictValue(idOf(n), { result: 'passed', checks: 'c'.repeat(32), at: new Date(NOW) }) : undefined,
    'ami-action:base-ami': base,
    'ami-action:reused-at': takenHoursAgo === undefined ? undefined : ago(takenHoursAgo / 24).toISOString(),
  };
  return {
    ...(rest as Pick<Image, 'state' | 'architecture' | 'ownerId' | 'public' | 'protected' | 'ownerAlias'>),
    ...{
      id: idOf(n),
      name: `image ${n}`,
      stateReason: '',
      snapshotIds: [`snap-${n}`],
      sizeGiB: 8,
      encrypted: false,
      imdsV2: true,
      ena: true,
    },
    createdAt: dated ? new Date(Math.min(NOW, builtAt + (copiedDaysLater ?? 0) * DAY)) : undefined,
    tags: Object.fromEntries(Object.entries(tags).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
    deprecatedAt: marked?.deprecated ? ago(marked.daysAgo) : undefined,
    lastLaunchedAt: launchedDaysAgo === undefined ? undefined : ago(launchedDaysAgo),
  };
}

const NAMES = ['/ami/web/prod', '/ami/web/stage', '/ami/web/prod/candidate', '/ami/api/prod', '/golden/web', 'plain'];
const LABELS = ['stable', 'old'];

/** An environment's life: promotions and rollbacks, and the stack that they leave. */
const pointerLife = fc
  .array(fc.oneof({ weight: 3, arbitrary: anImage }, { weight: 1, arbitrary: fc.constant('rollback') }), { minLength: 1, maxLength: 6 })
  .map(steps => {
    const stack: string[] = [];
    const versions: { value: string; description: string; labels: string[] }[] = [];
    for (const step of steps) {
      if (step !== 'rollback') {
        if (stack.at(-1) === step) continue;
        stack.push(step);
        versions.push({ value: step, description: 'ami-action promote: was x, commit y', labels: [] });
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

/** A snapshot that a launch makes a further volume from: of an image, or one that no image has. */
const volume = fc.oneof(
  { weight: 9, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.nat(IMAGES - 1).map(n => `snap-${n}`) },
  { weight: 1, arbitrary: fc.constantFrom<string[]>(...STRAYS) },
);

const TEMPLATES = 3;
const template = (n: number) =>
  fc
    .record({
      versions: fc.array(fc.record({ image: imageSpec, volume: volume }), { minLength: 1, maxLength: 5 }),
      chosen: fc.nat(4),
      gap: fc.boolean(),
    })
    .map(({ versions: all, chosen, gap }) => {
      // Version 2 was deleted where there is a gap.
      const versions = all
        .map((one, rank) => ({ number: rank + 1, ...one }))
        .filter(({ number }) => !(gap && number === 2 && all.length > 2));
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
  overrides: fc.array(fc.record({ uses: maybe(use), image: maybe(imageSpec) }), { maxLength: 2 }),
});
const launchWay = fc.oneof(
  use.map(uses => ({ uses, mixed: undefined })),
  mixed.map(policy => ({ uses: undefined, mixed: policy })),
  fc.constant({ uses: undefined, mixed: undefined }),
);
export const MOVING = ['Pending', 'InProgress', 'Baking', 'Cancelling', 'RollbackInProgress'];
const STATUSES = [...MOVING, 'Successful', 'Failed', 'Cancelled', 'RollbackFailed', 'RollbackSuccessful'];
const group = (n: number) =>
  fc
    .record({ way: launchWay, refresh: maybe(fc.record({ status: fc.constantFrom(...STATUSES), way: launchWay })) })
    .map(({ way, refresh }) => ({ name: `group-${n}`, ...way, refresh: refresh && { status: refresh.status, ...refresh.way } }));

const STATES = ['pending', 'running', 'stopping', 'stopped', 'shutting-down', 'terminated'];
const several = <T>(least: number, most: number, one: (n: number) => fc.Arbitrary<T>) =>
  fc.integer({ min: least, max: most }).chain(count => fc.tuple(...Array.from({ length: count }, (_, n) => one(n))));
const instances = (most: number) =>
  several(0, most, n => fc.record({ id: fc.constant(`i-${n}`), state: fc.constantFrom(...STATES), image: anImage }));

const stray = (id: string) =>
  fc
    .record({
      of: fc.oneof(fc.constantFrom(...GONE), anImage),
      made: fc.constantFrom('Created by CreateImage(i-1) for', 'Copied for DestinationAmi', 'Created by CreateImage(i-1) for', 'before'),
      ageDays: fc.constantFrom(0.5, 2, 9, 20),
      family: fc.constantFrom('web', 'web', 'web', 'web', 'api'),
      tag: fc.constantFrom(undefined, undefined, undefined, 'ami-action:keep', 'aws:dlm:lifecycle-policy-id', 'aws:backup:source-resource'),
    })
    .map(
      ({ of, made, ageDays, family, tag }): Snapshot => ({
        ...{ id, description: `${made} ${of}`, startedAt: new Date(NOW - ageDays * DAY), sizeGiB: 8 },
        tags: { 'ami-action:family': family, ...(tag === undefined ? {} : { [tag]: 'x' }) },
      }),
    );

export const randomAccount = fc.record({
  images: fc.tuple(...Array.from({ length: IMAGES }, (_, n) => image(n))),
  regions: fc.tuple(...Array.from({ length: IMAGES }, () => fc.constantFrom('eu-central-1', 'eu-central-1', 'eu-central-1', 'us-east-1'))),
  instances: instances(2),
  templates: several(1, TEMPLATES, template),
  groups: several(1, 3, group),
  configurations: several(0, 1, n => fc.record({ name: fc.constant(`lc-${n}`), image: anImage, volume: volume })),
  lives: fc.record({ '/ami/web/prod': pointerLife, '/ami/web/stage': maybe(pointerLife) }),
  parameters: fc.tuple(...NAMES.slice(2).map(parameter)).chain(all => fc.subarray(all)),
  /** Users that only EC2 reports. */
  recipes: fc.array(anImage, { maxLength: 1 }),
  /** What each image is shared with. */
  shares: fc.tuple(
    ...Array.from({ length: IMAGES }, () => fc.constantFrom('none', 'none', 'none', 'none', 'none', 'consumer', 'organization')),
  ),
  consumer: fc.record({ readable: fc.constantFrom(true, true, false), instances: instances(1), points: maybe(anImage) }),
  strays: fc.tuple(...STRAYS.map(stray)).chain(all => fc.subarray(all)),
  recycled: fc.subarray([...GONE]),
  policy: fc
    .record({
      newest: fc.integer({ min: 0, max: 2 }),
      newestOfPullRequests: maybe(fc.integer({ min: 0, max: 1 })),
      passed: fc.integer({ min: 0, max: 1 }),
      youngerThanDays: fc.constantFrom(0, 0, 5),
      launchedWithinDays: fc.constantFrom(undefined, undefined, undefined, 10),
      graceDays: fc.constantFrom(0, 0, 7),
      disable: fc.boolean(),
      keepAncestors: fc.constantFrom(false, false, true),
      maxRemovals: fc.constantFrom(1, 3, 1000),
      maxShare: fc.constantFrom(10, 50, 100),
    })
    .map(drawn => ({ ...drawn, disable: drawn.disable && drawn.graceDays > 0 })),
  rollbackDepth: fc.nat(3),
  templateDepth: fc.constantFrom(1, 1, 2),
  pageSize: fc.integer({ min: 1, max: 4 }),
});

export type RandomAccount = typeof randomAccount extends fc.Arbitrary<infer W> ? W : never;

export const paperOf = ({ lives, parameters, ...rest }: RandomAccount): PaperAccount => ({
  ...rest,
  parameters: [
    ...Object.entries(lives).flatMap(([name, life]) =>
      life === undefined ? [] : [{ name, type: 'String' as const, versions: life.versions }],
    ),
    ...parameters,
  ],
});

export const consumerPaperOf = ({ consumer: { instances: running, points } }: RandomAccount): PaperAccount => ({
  ...{ instances: running, templates: [], groups: [], configurations: [] },
  parameters:
    points === undefined ? [] : [{ name: '/ami/web/prod', type: 'String', versions: [{ value: points, description: '', labels: [] }] }],
});
