import { describe, expect, test } from '@jest/globals';
import { type Group, type Launch, type Refresh, useKey } from '../../src/model/group.ts';
import type { Image } from '../../src/model/image.ts';
import type { GroupFacts, PlanOptions } from '../../src/rollout/rules/facts.ts';
import { formatAction, formatGroupState, formatLaunchUses, formatRevert } from '../../src/rollout/rules/format.ts';
import { formatCommits, groupLink, imageLink, versionCell } from '../../src/rollout/rules/format-image.ts';
import { contentKey, type GroupPlan, planGroup } from '../../src/rollout/rules/plan.ts';
import * as fixtures from './fixtures.ts';
import { group, use, version } from './roll-world.ts';

const mixed: Launch = {
  kind: 'mixed',
  template: use('3'),
  overrides: [
    { instanceType: 't3.micro', template: undefined, imageId: undefined },
    { instanceType: 't4g.micro', template: use('$Latest', 'lt-2'), imageId: undefined },
  ],
  policy: {},
};
const refresh = { id: 'r-1', status: 'InProgress', percent: 40 } as Refresh;
const inStandby = { id: 'i-1', healthy: true, protected: true, state: 'Standby', template: undefined };

describe('what a person reads of a group before it is rolled', () => {
  const state = (change: Partial<Group>, more: { active?: Refresh; warmPool?: readonly string[] } = {}) =>
    formatGroupState({ group: group('web', change), active: more.active, warmPool: more.warmPool ?? [] });

  test.each<[string, Parameters<typeof state>, string]>([
    ['nothing special', [{}], '2 instances (0 to 4), health check EC2'],
    ['one instance', [{ desired: 1, healthCheck: 'ELB' }], '1 instance (0 to 4), health check ELB'],
    ['a mixed instances policy', [{ launch: mixed }], '2 instances (0 to 4), mixed instances policy with 2 overrides, health check EC2'],
    ['processes', [{ suspended: ['AZRebalance', 'Launch'] }], '2 instances (0 to 4), health check EC2, suspended: AZRebalance, Launch'],
    ['instances', [{ members: [inStandby] }], '2 instances (0 to 4), health check EC2, 1 protected, 1 in standby'],
    ['a warm pool', [{}, { warmPool: ['i-2', 'i-3'] }], '2 instances (0 to 4), health check EC2, 2 in the warm pool'],
    ['a refresh', [{}, { active: refresh }], '2 instances (0 to 4), health check EC2, refresh r-1 is InProgress, 40 %'],
  ])('%s', (_, given, expected) => expect(state(...given)).toBe(expected));

  test('what it launches: $Latest with the number that it means now', () => {
    const versions = new Map([['lt-2 $Latest', version(7, 'ami-1', 'lt-2')]]);
    expect(formatLaunchUses({ group: group('web', { launch: mixed }), versions })).toBe('lt-1:3, lt-2:$Latest (7)');
    expect(formatLaunchUses({ group: group('web', { launch: mixed }), versions: new Map() })).toBe('lt-1:3, lt-2:$Latest');
    expect(formatLaunchUses({ group: group('web', { launch: { kind: 'configuration', name: 'old' } }), versions })).toBe(
      'launch configuration old',
    );
  });

  test.each([
    ['refresh', 'version', 'AWS rolls back'],
    ['watch', 'version', 'AWS rolls back'],
    ['refresh', 'pointer', 'the pointer moves back, then a second refresh'],
    ['refresh', 'configuration', 'the old launch configuration is set, then a second refresh'],
    ['swap', 'version', 'the green group is deleted'],
    ['template', 'version', ''],
    ['nothing', 'version', ''],
  ] as const)('the way back of %s by %s', (action, by, expected) => expect(formatRevert({ action, by })).toBe(expected));

  test('the way back of two groups, and of a shift', () => {
    const idle = { group: group('web-idle'), schedules: [] };
    const shift = { from: { id: 'blue' } } as GroupPlan['shift'];
    expect(formatRevert({ action: 'swap', by: 'version' }, idle)).toBe('web-idle is emptied again');
    expect(formatRevert({ action: 'swap', by: 'version', shift })).toBe(
      'one call sends all traffic to blue again, then the green group is deleted',
    );
  });
});

describe('what a person reads of what is done to it', () => {
  const on4: Launch = { kind: 'template', template: fixtures.use('4') };
  const version4 = fixtures.version(4, { imageId: 'ami-new' });
  const launchesIt = { group: fixtures.group({ launch: on4 }), versions: new Map([[useKey(fixtures.use('4')), version4]]) };
  const ready = new Map([[contentKey(version4), version4]]);
  const runs = new Map(['i-1', 'i-2'].map(id => [id, 'ami-new']));
  const latest = fixtures.use('$Latest');
  const pinned = {
    group: fixtures.group({ launch: { kind: 'template', template: latest } }),
    versions: new Map([[useKey(latest), version4]]),
  };
  const onConfiguration = { group: fixtures.group({ launch: { kind: 'configuration', name: 'lc' } }), versions: new Map() };
  const lc = { now: fixtures.configuration(), copyName: 'lc-copy' };
  const REPLACE =
    'replace 2 instances, 1 at a time: 2 batches, about 9m, at most 3 instances at once (pace fast: 1 batch, about 7m, at most 4)';
  test.each<[string, Partial<GroupFacts>, Partial<PlanOptions>, string]>([
    ['a new version', {}, {}, `create a version of web from version 3, ${REPLACE}`],
    ['a version that exists', { ready }, {}, `reuse web:4, ${REPLACE}`],
    ['the version that it launches', launchesIt, {}, REPLACE],
    ['nothing', { ...launchesIt, images: runs }, {}, 'nothing to do'],
    ['our refresh', { ready, active: fixtures.refresh() }, {}, 'watch the refresh in progress'],
    ['only the number', { ...pinned, images: runs }, {}, 'pin the version, change the template version, replace nothing'],
    ['a warm pool', { warmPool: ['i-8', 'i-9'], ready }, {}, `reuse web:4, ${REPLACE}, then replace i-8, i-9 of the warm pool`],
    [
      'a green group',
      { ready },
      { strategy: 'blue-green' },
      'reuse web:4, create web-green with 2 instances (4 at once, about 7m), which takes over once it is healthy',
    ],
    [
      'two groups',
      { ready, idle: { group: fixtures.group({ name: 'web-idle', desired: 0, members: [] }), schedules: [] } },
      { strategy: 'two-groups' },
      'reuse web:4, size web-idle to 2 instances (4 at once, about 7m), which takes over once they are healthy',
    ],
    [
      'a launch configuration that is converted',
      { ...onConfiguration, configuration: lc },
      { launchConfigurations: 'convert' },
      `create launch template lc- from launch configuration lc, ${REPLACE}`,
    ],
    [
      'one that an earlier run has converted',
      { ...onConfiguration, configuration: { ...lc, template: { templateId: 'lt-1', tags: {}, first: fixtures.version(1) } }, ready },
      { launchConfigurations: 'convert' },
      `reuse web:4, ${REPLACE}`,
    ],
    [
      'one that is kept',
      { ...onConfiguration, configuration: lc },
      { launchConfigurations: 'keep' },
      `create launch configuration lc-copy, ${REPLACE}`,
    ],
    [
      'one whose copy exists',
      { ...onConfiguration, configuration: { ...lc, ready: { ...lc.now, name: 'lc-copy' } } },
      { launchConfigurations: 'keep' },
      `set launch configuration lc-copy, ${REPLACE}`,
    ],
  ])('%s', (_, change, options, expected) => {
    expect(formatAction(planGroup(fixtures.facts(change), { ...fixtures.wanted, ...options }))).toBe(expected);
  });

  test('a green group that takes the traffic by weights', () => {
    const plan = planGroup(fixtures.facts({ ready }), { ...fixtures.wanted, strategy: 'blue-green' });
    const shift = { steps: [10, 100], record: { at: 'arn' }, pauseSeconds: 60, drainSeconds: 30 } as unknown as GroupPlan['shift'];
    expect(formatAction({ ...plan, shift })).toBe(
      'reuse web:4, create web-green with 2 instances (4 at once, about 7m), which takes 10, 100 % of the traffic by arn, 1m at each step (deregistration delay 30s) once it is healthy',
    );
  });

  test('without what it costs, where that is not known', () => {
    const plan = { ...planGroup(fixtures.facts({ ready }), fixtures.wanted), paces: undefined };
    expect(formatAction(plan)).toBe('reuse web:4, replace 2 instances, 1 at a time');
  });
});

describe('images and commits', () => {
  test('the console of the partition of the region', () => {
    const link = (region: string) => imageLink('ami-1', region);
    expect([link('cn-north-1'), link('us-gov-west-1'), link('eu-central-1')]).toEqual([
      expect.stringContaining('(https://cn-north-1.console.amazonaws.cn/ec2/home?region=cn-north-1#ImageDetails:imageId=ami-1)'),
      expect.stringContaining('(https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?'),
      expect.stringContaining('(https://eu-central-1.console.aws.amazon.com/ec2/home?'),
    ]);
    expect(groupLink('a b', 'eu-central-1')).toBe(
      '[`a b`](https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#AutoScalingGroupDetails:id=a%20b;view=details)',
    );
  });

  test('commits: the first five, and how many more', () => {
    const newest = ['1', '2', '3', '4', '5', '6'].map(title => ({ title, author: '' }));
    const format = (total: number, link?: string) => formatCommits('Changes', link, { total, newest: newest.slice(0, total) });
    expect([format(2), format(2, 'link'), format(6), format(0), format(0, 'link')]).toEqual([
      '**Changes: 2 commits**: 1 · 2',
      '**Changes: 2 commits** (link): 1 · 2',
      '**Changes: 6 commits**: 1 · 2 · 3 · 4 · 5 · 1 more',
      '',
      '**Changes:** link',
    ]);
  });

  test('a cell without a version, without a commit, or without both', () => {
    const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
    const cell = (tags: Record<string, string>) => versionCell({ tags } as Image, scheme);
    const [version, commit] = [{ 'ami-action:version': '1.3.0' }, { 'ami-action:commit': 'a'.repeat(40) }];
    expect([cell({ ...version, ...commit }), cell(version), cell(commit), cell({}), versionCell(undefined, scheme)]).toEqual([
      '1.3.0 · `aaaaaaa`',
      '1.3.0',
      '`aaaaaaa`',
      '',
      '',
    ]);
  });
});
