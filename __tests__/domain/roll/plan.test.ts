import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../../src/domain/image.ts';
import {
  atVersions,
  type Group,
  type Launch,
  type Member,
  type Refresh,
  sameLaunch,
  type TemplateUse,
  useKey,
} from '../../../src/domain/roll/group.ts';
import { afterwards, contentKey, type GroupFacts, planGroup, type RollWanted } from '../../../src/domain/roll/plan.ts';
import { preferenceProblems, preferencesOf, replacedAtATime } from '../../../src/domain/roll/preferences.ts';
import { checksAreDue, judge, proofOf, type Sight, suspectIn } from '../../../src/domain/roll/rollout.ts';
import type { TemplateVersion } from '../../../src/domain/roll/template.ts';

const image = { id: 'ami-new', architecture: 'x86_64', tags: {} } as Image;
const use = (version: string, templateId = 'lt-1'): TemplateUse => ({ templateId, templateName: 'web', version });
const version = (number: number, change: Partial<TemplateVersion> = {}): TemplateVersion => ({
  templateId: 'lt-1',
  templateName: 'web',
  number,
  imageId: 'ami-old',
  instanceType: 't3.micro',
  content: '{"InstanceType":"t3.micro"}',
  snapshotIds: [],
  isDefault: false,
  description: '',
  ...change,
});
const member = (id: string, change: Partial<Member> = {}): Member => ({
  id,
  state: 'InService',
  healthy: true,
  protected: false,
  template: use('3'),
  ...change,
});
const group = (change: Partial<Group> = {}): Group => ({
  name: 'web',
  launch: { kind: 'template', template: use('3') },
  min: 0,
  max: 4,
  desired: 2,
  healthCheck: 'ELB',
  warmUpSeconds: 30,
  suspended: [],
  beingDeleted: false,
  members: [member('i-1'), member('i-2')],
  targetGroups: [],
  tags: {},
  ...change,
});
const refresh = (change: Partial<Refresh> = {}): Refresh => ({
  id: 'r-1',
  group: 'web',
  status: 'InProgress',
  reason: '',
  percent: 50,
  toUpdate: 1,
  startedAt: undefined,
  desired: { kind: 'template', template: use('4') },
  ...change,
});
const facts = (change: Partial<GroupFacts> = {}): GroupFacts => ({
  group: group(),
  active: undefined,
  activeIsOurs: false,
  successor: undefined,
  cannotCopy: [],
  versions: new Map([[useKey(use('3')), version(3)]]),
  ready: new Map(),
  images: new Map([
    ['i-1', 'ami-old'],
    ['i-2', 'ami-old'],
  ]),
  architectures: new Map([['t3.micro', ['x86_64', 'i386']]]),
  strangers: new Map(),
  imageSnapshots: new Set(),
  ...change,
});
const wanted: RollWanted = {
  image,
  bake: 300,
  rollTimeout: 7200,
  deed: 'promote',
  strategy: 'rolling',
  pointer: { name: '/ami/web/stage', value: 'ami-old' },
  foreignRefresh: 'refuse',
  parameterTemplates: 'refuse',
};

const NONE = { minHealthy: undefined, maxHealthy: undefined };

const mixed = (policy: Readonly<Record<string, unknown>> = {}): Launch => ({
  kind: 'mixed',
  template: use('3'),
  overrides: [
    { instanceType: 't3.micro', template: undefined, imageId: undefined },
    { instanceType: 't3.small', template: use('7', 'lt-2'), imageId: undefined },
  ],
  policy,
});

describe('what is done to a group', () => {
  const ready = new Map([[contentKey(version(4)), version(4, { imageId: 'ami-new' })]]);
  const runs = new Map([
    ['i-1', 'ami-new'],
    ['i-2', 'ami-new'],
  ]);
  const on4 = {
    group: group({ launch: { kind: 'template', template: use('4') } }),
    versions: new Map([[useKey(use('4')), version(4, { imageId: 'ami-new' })]]),
  };
  test.each<[string, Partial<GroupFacts>, string, string]>([
    ['runs another image', {}, 'refresh', '2 of 2 instances in service run something else'],
    ['launches the image but runs another', on4, 'refresh', '2 of 2 instances in service run something else, though it launches the image'],
    ['launches and runs it', { ...on4, images: runs }, 'nothing', 'launches ami-new and runs nothing else'],
    ['is being refreshed to it by us', { ready, active: refresh() }, 'watch', 'refresh r-1 to this image runs already (InProgress, 50 %)'],
    [
      'is being rolled back from it',
      { ready, active: refresh({ status: 'RollbackInProgress' }) },
      'watch',
      'refresh r-1 to this image runs already (RollbackInProgress, 50 %)',
    ],
    [
      'is being refreshed to something else',
      { ready, active: refresh({ desired: { kind: 'template', template: use('9') } }) },
      'refresh',
      '2 of 2 instances in service run something else',
    ],
    [
      'has no instances',
      { group: group({ desired: 0, members: [] }) },
      'template',
      'has no instances, so it only gets the template version',
    ],
    [
      'runs it from $Latest',
      {
        group: group({ launch: { kind: 'template', template: use('$Latest') } }),
        versions: new Map([[useKey(use('$Latest')), version(4, { imageId: 'ami-new' })]]),
        images: runs,
      },
      'template',
      'runs ami-new already, so it is only pinned to the version that it launches',
    ],
  ])('a group that %s', (_, change, deed, because) => {
    expect(planGroup(facts(change), wanted)).toMatchObject({ deed, because });
  });

  test('an equal version is used again, one that differs in more than the image is not', () => {
    expect(planGroup(facts({ ready }), wanted).changes).toMatchObject([{ from: { number: 3 }, to: { number: 4 } }]);
    const other = new Map([[contentKey(version(4, { content: 'x' })), version(4, { content: 'x', imageId: 'ami-new' })]]);
    expect(planGroup(facts({ ready: other }), wanted).changes).toMatchObject([{ from: { number: 3 }, to: undefined }]);
  });

  test('$Latest is pinned to the number that it means now, which is what the way back leads to', () => {
    const latest = use('$Latest');
    const plan = planGroup(
      facts({ group: group({ launch: { kind: 'template', template: latest } }), versions: new Map([[useKey(latest), version(3)]]) }),
      wanted,
    );
    expect(plan).toMatchObject({ deed: 'refresh', mustPin: true, before: { template: { version: '3' } } });
    expect(plan.warnings).toEqual([
      'launches from web:$Latest, which is pinned to the number it means now, and stays so: AWS cannot roll back otherwise',
    ]);
  });

  test('batches and duration are told', () => {
    expect(planGroup(facts(), { ...wanted, minHealthy: 50 })).toMatchObject({ replaces: 2, atATime: 1, aboutSeconds: 2 * 120 + 300 });
    expect([
      replacedAtATime(10, NONE),
      replacedAtATime(10, { ...NONE, minHealthy: 50 }),
      replacedAtATime(2, NONE),
      replacedAtATime(4, { minHealthy: 100, maxHealthy: 200 }),
    ]).toEqual([1, 5, 1, 4]);
  });
});

describe('what is refused, with the remedy', () => {
  const lt = (change: Partial<TemplateVersion>) => ({ versions: new Map([[useKey(use('3')), version(3, change)]]) });
  test.each<[string, Partial<GroupFacts>, RegExp]>([
    [
      'scenario 53: a launch configuration',
      { group: group({ launch: { kind: 'configuration', name: 'lc' } }) },
      /launch configuration "lc".*Make a launch template/,
    ],
    [
      'scenario 53: a template that reads a parameter',
      lt({ imageId: 'resolve:ssm:/ami/web' }),
      /reads its image from a parameter \(resolve:ssm:\/ami\/web\).*strategy: none/,
    ],
    ['a template without an image', lt({ imageId: '' }), /web:3 names no image/],
    ['a version that is gone', { versions: new Map() }, /launch template version web:3 does not exist/],
    [
      'scenario 35: the wrong architecture',
      { architectures: new Map([['t3.micro', ['arm64']]]) },
      /t3\.micro runs arm64, and ami-new is for x86_64/,
    ],
    [
      'an instance type that does not exist',
      { architectures: new Map([['t3.micro', undefined]]) },
      /t3\.micro does not exist in this region/,
    ],
    [
      'scenario 55: the refresh of somebody else',
      { active: refresh({ desired: undefined }) },
      /refresh r-1, which is not ours, is InProgress \(50 %, to what the group launches\)/,
    ],
    [
      'scenario 63: suspended processes',
      { group: group({ suspended: ['Launch', 'AZRebalance', 'HealthCheck'] }) },
      /^web: Launch and HealthCheck suspended.*resume-processes/,
    ],
    [
      'scenario 63: a protected instance',
      { group: group({ members: [member('i-1', { protected: true })] }) },
      /i-1 protected from scale-in; by itself AWS waits an hour/,
    ],
    [
      'scenario 63: an instance in standby',
      { group: group({ members: [member('i-1', { state: 'Standby' })] }) },
      /i-1 in standby; by itself AWS waits an hour/,
    ],
    ['a volume from a snapshot', lt({ snapshotIds: ['snap-9'] }), /makes a volume from snap-9.*put that volume into the image/],
    [
      'others on $Latest of the template',
      { strangers: new Map([['lt-1', ['batch']]]) },
      /batch launches from \$Latest of the same launch template/,
    ],
    [
      'scenario 54: an override with its own image',
      {
        group: group({
          launch: { ...mixed(), overrides: [{ instanceType: 'm5.large', template: undefined, imageId: 'ami-x' }] } as Launch,
        }),
      },
      /override m5\.large names its own image ami-x/,
    ],
    ['a group that is being deleted', { group: group({ beingDeleted: true }) }, /being deleted/],
  ])('%s', (_, change, says) => {
    expect(planGroup(facts(change), wanted).refusals.join('\n')).toMatch(says);
  });

  test('nothing, where nothing is in the way', () => {
    expect(planGroup(facts(), wanted)).toMatchObject({ refusals: [], warnings: [] });
    expect(planGroup(facts({ strangers: new Map([['lt-2', ['batch']]]) }), wanted).refusals).toEqual([]);
    const shielded = facts({ group: group({ members: [member('i-1', { protected: true }), member('i-2', { state: 'Standby' })] }) });
    expect(planGroup(shielded, { ...wanted, protectedInstances: 'refresh', standbyInstances: 'terminate' })).toMatchObject({
      refusals: [],
      warnings: [],
    });
  });

  test('scenario 63: waiting an hour is said to be that', () => {
    const shielded = facts({ group: group({ members: [member('i-1', { protected: true }), member('i-2', { state: 'Standby' })] }) });
    const { warnings } = planGroup(shielded, { ...wanted, protectedInstances: 'wait', standbyInstances: 'wait' });
    expect(warnings.join('\n')).toMatch(/protected instances: AWS waits one hour[\s\S]*in standby: AWS waits one hour/);
  });
});

describe('scenario 54: a mixed policy', () => {
  const versions = new Map([
    [useKey(use('3')), version(3)],
    [useKey(use('7', 'lt-2')), version(7, { templateId: 'lt-2', instanceType: 't3.small' })],
  ]);
  const both = facts({
    group: group({ launch: mixed({ InstancesDistribution: { OnDemandBaseCapacity: 1 } }) }),
    versions,
    architectures: new Map([
      ['t3.micro', ['x86_64']],
      ['t3.small', ['x86_64']],
    ]),
  });

  test('overrides with a template of their own get a version of it, and the policy stays whole', () => {
    const plan = planGroup(both, wanted);
    expect(plan.changes.map(({ from }) => `${from.templateId}:${from.number}`)).toEqual(['lt-1:3', 'lt-2:7']);
    expect(plan.refusals).toEqual([]);
    const made = plan.changes.map(change => ({ ...change, to: version(change.from.number + 1, { templateId: change.from.templateId }) }));
    expect(afterwards(plan.before, made)).toMatchObject({
      template: { version: '4' },
      overrides: [{ template: undefined }, { template: { templateId: 'lt-2', version: '8' } }],
      policy: { InstancesDistribution: { OnDemandBaseCapacity: 1 } },
    });
  });

  test('an override for another architecture is refused by its name', () => {
    const arm = {
      ...both,
      architectures: new Map([
        ['t3.micro', ['x86_64' as const]],
        ['t3.small', ['arm64' as const]],
      ]),
    };
    expect(planGroup(arm, wanted).refusals).toEqual([expect.stringMatching(/^web: t3\.small runs arm64, and ami-new is for x86_64/)]);
  });

  test('is known again by every version that it names', () => {
    expect(sameLaunch(mixed(), mixed())).toBe(true);
    expect(sameLaunch(mixed(), atVersions(mixed(), new Map([[useKey(use('7', 'lt-2')), 8]])))).toBe(false);
    expect(sameLaunch(mixed(), { kind: 'template', template: use('3') })).toBe(false);
  });
});

const proven = { inService: 2, onImage: 2, wrong: [], unknown: [] };
const half = { inService: 2, onImage: 1, wrong: ['i-2'], unknown: [] };
const sight = (change: Partial<Sight>): Sight => ({
  refresh: refresh(),
  group: group(),
  proof: proven,
  saved: false,
  doubts: 0,
  ...change,
});
const ended = (status: Refresh['status'], change: Partial<Sight> = {}) =>
  judge(sight({ refresh: refresh({ status, reason: 'because' }), ...change }));

describe('how a refresh is judged', () => {
  test.each([
    ['RollbackSuccessful', 'AWS rolled it back, the old image runs again. AWS says: because'],
    ['RollbackFailed', 'AWS tried to roll it back and could not, old and new instances run side by side. AWS says: because'],
    ['Cancelled', 'somebody cancelled the refresh half way, old and new instances may run side by side. AWS says: because'],
    ['Failed', 'the refresh failed and was not rolled back, old and new instances may run side by side. AWS says: because'],
  ] as const)('scenario 56: %s is a failure of its own', (status, why) => {
    expect(ended(status)).toEqual({ state: 'failed', why });
  });

  test('scenario 56: a refresh that disappears is a failure, but one empty answer is not', () => {
    const gone = (doubts: number) => judge(sight({ refresh: undefined, doubts }));
    expect([gone(0), gone(1)]).toMatchObject([
      { state: 'waiting', doubtful: true },
      { state: 'waiting', doubtful: true },
    ]);
    expect(gone(2)).toEqual({ state: 'failed', why: 'AWS no longer shows the refresh, so how it ended is unknown' });
  });

  test.each(['Pending', 'InProgress', 'Cancelling', 'RollbackInProgress'] as const)('%s is waited for, with numbers', status => {
    expect(ended(status, { proof: half })).toEqual({
      state: 'waiting',
      note: `${status}, 50 %, 1 of 2 in service run the image. AWS says: because`,
      doubtful: false,
    });
  });

  test('Successful is green only where every instance in service runs the image and the group launches it', () => {
    expect(ended('Successful', { saved: true })).toEqual({ state: 'done' });
    expect(ended('Successful', { saved: true, proof: half, doubts: 5 })).toEqual({
      state: 'failed',
      why: 'AWS calls it successful, but i-2 of 2 in service run another image',
    });
    expect(ended('Successful', { saved: false, doubts: 5 })).toEqual({
      state: 'failed',
      why: 'AWS calls it successful, but the group does not launch from the new template version',
    });
    expect(ended('Successful', { saved: true, proof: { ...proven, inService: 0 }, doubts: 5 })).toMatchObject({
      why: 'AWS calls it successful, but no instance is in service',
    });
    expect(ended('Successful', { saved: true, proof: { ...proven, unknown: ['i-9'] }, doubts: 5 })).toMatchObject({
      why: 'AWS calls it successful, but EC2 does not say what i-9 run',
    });
    expect(ended('Successful', { saved: false, doubts: 4 })).toMatchObject({ state: 'waiting', doubtful: true });
  });

  test('while it bakes, an instance with another image ends it at the second look', () => {
    expect(ended('Baking')).toMatchObject({ state: 'waiting', doubtful: false });
    expect(ended('Baking', { proof: half })).toMatchObject({ state: 'waiting', doubtful: true });
    expect(ended('Baking', { proof: half, doubts: 1 })).toEqual({
      state: 'failed',
      why: 'replaced, but while it baked i-2 of 2 in service run another image',
    });
  });

  test('only instances in service count, and protected ones may be spared', () => {
    const members = [member('i-1'), member('i-2', { protected: true }), member('i-3', { state: 'Terminating' }), member('i-4')];
    const images = new Map([
      ['i-1', 'ami-new'],
      ['i-2', 'ami-old'],
      ['i-3', 'ami-old'],
    ]);
    expect(proofOf(group({ members }), images, 'ami-new', { spared: false })).toEqual({
      inService: 3,
      onImage: 1,
      wrong: ['i-2'],
      unknown: ['i-4'],
    });
    expect(proofOf(group({ members }), images, 'ami-new', { spared: true })).toEqual({
      inService: 2,
      onImage: 1,
      wrong: [],
      unknown: ['i-4'],
    });
  });
});

describe('who is looked at closer', () => {
  const images = new Map([
    ['i-1', 'ami-old'],
    ['i-2', 'ami-new'],
    ['i-3', 'ami-new'],
  ]);
  const with3 = (change: Partial<Member>) => group({ members: [member('i-1', { healthy: false }), member('i-2'), member('i-3', change)] });
  test('a new instance that the group or the reason of the refresh calls sick, never an old one', () => {
    expect(suspectIn(with3({ healthy: false }), refresh(), images, 'ami-new')).toBe('i-3');
    expect(suspectIn(with3({}), refresh({ reason: 'For example: i-2 is not healthy in Elastic Load Balancing' }), images, 'ami-new')).toBe(
      'i-2',
    );
    expect(suspectIn(with3({}), refresh({ reason: 'For example: i-2 is warming up' }), images, 'ami-new')).toBeUndefined();
  });

  test('checks are due at a checkpoint, while it bakes, and before it counts as done', () => {
    const due = (change: Partial<Refresh>, checkpoints: number[]) => checksAreDue(refresh(change), checkpoints);
    expect([due({ percent: 49 }, [50, 100]), due({ percent: 50 }, [50, 100]), due({ percent: 99 }, [])]).toEqual([false, true, false]);
    expect([
      due({ status: 'Baking' }, []),
      due({ status: 'Successful' }, []),
      due({ status: 'RollbackInProgress', percent: 60 }, [50]),
    ]).toEqual([true, true, false]);
  });
});

describe('a template that reads a parameter', () => {
  const reading = (imageId: string, change: Partial<GroupFacts> = {}) =>
    facts({ versions: new Map([[useKey(use('3')), version(3, { imageId })]]), ...change });
  const follow = { ...wanted, parameterTemplates: 'follow' as const };
  const ours = 'resolve:ssm:/ami/web/stage';
  const runs = new Map([
    ['i-1', 'ami-new'],
    ['i-2', 'ami-new'],
  ]);
  test.each<[string, GroupFacts, RollWanted, object]>([
    ['is followed when it reads the pointer', reading(ours), follow, { by: 'pointer', deed: 'refresh', refusals: [], changes: [] }],
    [
      'by its ARN too',
      reading('resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/ami/web/stage'),
      follow,
      { by: 'pointer', refusals: [] },
    ],
    [
      'is refused when it reads another',
      reading('resolve:ssm:/ami/web/prod'),
      follow,
      { by: 'version', refusals: [expect.stringMatching(/reads its image from a parameter \(resolve:ssm:\/ami\/web\/prod\)/)] },
    ],
    [
      'is refused when it reads one version of it',
      reading(`${ours}:3`),
      follow,
      { by: 'version', refusals: [expect.stringMatching(/parameter/)] },
    ],
    [
      'is pinned first',
      reading(ours),
      { ...wanted, parameterTemplates: 'pin' },
      { by: 'version', obstacle: { kind: 'parameter' }, refusals: [] },
    ],
    [
      'is done when everything runs the image',
      reading(ours, { images: runs }),
      { ...follow, pointer: { ...wanted.pointer, value: 'ami-new' } },
      { deed: 'nothing' },
    ],
    ['waits for the pointer only when everything runs the image', reading(ours, { images: runs }), follow, { deed: 'nothing' }],
    [
      'takes a refresh of like with like for its own once the pointer has moved',
      reading(ours, { active: refresh({ desired: undefined }) }),
      { ...follow, pointer: { ...wanted.pointer, value: 'ami-new' } },
      { deed: 'watch' },
    ],
    [
      "and before that for somebody else's",
      reading(ours, { active: refresh({ desired: undefined }) }),
      follow,
      { deed: 'refresh', refusals: [expect.stringMatching(/which is not ours/)] },
    ],
  ])('%s', (_, of, how, plan) => {
    expect(planGroup(of, how)).toMatchObject(plan);
  });

  test('followed, AWS can neither skip nor roll back', () => {
    expect(planGroup(reading(ours), follow).preferences).toMatchObject({ skipMatching: false, autoRollback: false });
  });
});

describe('scenario 55: what is done about the refresh of somebody else', () => {
  const active = refresh({ desired: { kind: 'template', template: use('9') } });
  test.each<[string, Partial<GroupFacts>, Partial<RollWanted>, unknown]>([
    ['refused unless the user says otherwise', { active }, {}, undefined],
    ['waited for', { active }, { foreignRefresh: 'wait' }, 'wait'],
    ['superseded', { active }, { foreignRefresh: 'supersede' }, 'supersede'],
    ['superseded by a rollback where it is our own promotion', { active, activeIsOurs: true }, { deed: 'rollback' }, 'supersede'],
    ['refused by a rollback where it is not', { active }, { deed: 'rollback' }, undefined],
    ['refused by a promotion though it is ours', { active, activeIsOurs: true }, {}, undefined],
  ])('%s', (_, change, how, done) => {
    const plan = planGroup(facts(change), { ...wanted, ...how });
    expect(plan.obstacle?.kind === 'refresh' ? plan.obstacle.how : undefined).toBe(done);
    expect(plan.refusals.length).toBe(done === undefined ? 1 : 0);
  });
});

describe('scenario 62: preferences that AWS would refuse', () => {
  test.each<[string, Parameters<typeof preferenceProblems>[0], RegExp | undefined]>([
    ['max without min', { bake: 60, rollTimeout: 7200, maxHealthy: 110 }, /"max-healthy" needs "min-healthy"/],
    [
      'more than 100 apart',
      { bake: 60, rollTimeout: 7200, minHealthy: 50, maxHealthy: 200 },
      /at most 100 above "min-healthy", got 200 and 50/,
    ],
    [
      'falling checkpoints',
      { bake: 60, rollTimeout: 7200, checkpoints: [50, 20, 100], checkpointDelay: 60 },
      /must rise, each once, got 50, 20, 100/,
    ],
    ['the same checkpoint twice', { bake: 60, rollTimeout: 7200, checkpoints: [20, 20, 100], checkpointDelay: 60 }, /must rise, each once/],
    ['checkpoints that end before 100', { bake: 60, rollTimeout: 7200, checkpoints: [20, 50], checkpointDelay: 60 }, /must end with 100/],
    ['checkpoints without a delay', { bake: 60, rollTimeout: 7200, checkpoints: [100] }, /AWS would wait an hour/],
    ['a delay without checkpoints', { bake: 60, rollTimeout: 7200, checkpointDelay: 60 }, /does nothing without "checkpoints"/],
    ['eleven alarms', { bake: 60, rollTimeout: 7200, alarms: Array.from({ length: 11 }, (_, i) => `a${i}`) }, /at most 10, got 11/],
    ['a timeout shorter than the bake', { bake: 7200, rollTimeout: 3600 }, /"roll-timeout" \(1h\) must be longer than "bake"/],
    [
      'what is right',
      { bake: 60, rollTimeout: 7200, minHealthy: 100, maxHealthy: 200, checkpoints: [20, 100], checkpointDelay: 60 },
      undefined,
    ],
  ])('%s', (_, preferences, says) => {
    const problems = preferenceProblems(preferences);
    if (says === undefined) expect(problems).toEqual([]);
    else expect(problems).toEqual([expect.stringMatching(says)]);
  });

  test('AWS is never left to wait an hour unasked, always rolls back, and replaces nothing twice', () => {
    expect(preferencesOf({ bake: 60, rollTimeout: 7200 }, 2)).toMatchObject({
      protectedInstances: 'ignore',
      standbyInstances: 'ignore',
      autoRollback: true,
      skipMatching: true,
      bakeSeconds: 60,
    });
  });
});
