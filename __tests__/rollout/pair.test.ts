import { describe, expect, test } from '@jest/globals';
import type { Group, Member } from '../../src/model/group.ts';
import {
  activeGroup,
  evaluatePair,
  greenGroupName,
  MADE_BY,
  otherNameProblem,
  type PairSnapshot,
  SUCCESSOR_OF,
  sourcesOfPair,
  successorOf,
} from '../../src/rollout/rules/group-pair.ts';

const member = (id: string, change: Partial<Member> = {}): Member => ({
  id,
  state: 'InService',
  healthy: true,
  protected: false,
  template: undefined,
  ...change,
});
const group = (name: string, change: Partial<Group> = {}): Group => ({
  name,
  launch: { kind: 'template', template: { templateId: 'lt-1', templateName: 'web', version: '2' } },
  min: 0,
  max: 4,
  desired: 2,
  healthCheck: 'ELB',
  warmUpSeconds: 0,
  suspended: [],
  beingDeleted: false,
  members: [member('i-1'), member('i-2')],
  targetGroups: [],
  tags: {},
  ...change,
});
const comes = (name: string, of: string, change: Partial<Group> = {}) =>
  group(name, { tags: { [MADE_BY]: of, [SUCCESSOR_OF]: of }, ...change });

describe('which group serves under a name', () => {
  const made = (name: string, by: string) => group(name, { tags: { [MADE_BY]: by } });
  test.each<[string, readonly Group[], string, 'rolling' | 'blue-green', string | undefined]>([
    ['the only one', [group('web')], 'web', 'rolling', 'web'],
    ['the exact one of two independent groups', [group('web'), group('web-green')], 'web-green', 'rolling', 'web-green'],
    ['whichever is listed first', [group('web-green'), group('web')], 'web', 'rolling', 'web'],
    ['also for blue-green', [group('web-green'), group('web')], 'web', 'blue-green', 'web'],
    ['for blue-green the one that replaced it', [made('web-green', 'web')], 'web', 'blue-green', 'web-green'],
    ['never the other name for another strategy', [made('web-green', 'web')], 'web', 'rolling', undefined],
    ['never a group that ami-action did not create', [group('web-green')], 'web', 'blue-green', undefined],
    ['nor one that it created from another group', [made('web-green', 'api')], 'web', 'blue-green', undefined],
    ['the old one, while the green one is created', [group('web'), comes('web-green', 'web')], 'web', 'blue-green', 'web'],
    ['whichever name it has', [comes('web', 'web-green'), group('web-green')], 'web', 'rolling', 'web-green'],
    [
      'the green one, when the old one is being deleted',
      [group('web', { beingDeleted: true }), comes('web-green', 'web')],
      'web',
      'blue-green',
      'web-green',
    ],
    ['one that is being deleted, where there is no other', [group('web', { beingDeleted: true })], 'web', 'rolling', 'web'],
    ['neither', [group('api')], 'web', 'rolling', undefined],
  ])('%s', (_, allGroups, name, strategy, expected) => {
    expect(activeGroup(allGroups, name, strategy)?.name).toBe(expected);
  });

  test('a refusal names both', () => {
    expect(otherNameProblem([made('web-green', 'web')], 'web')).toBe(
      '"groups": Auto Scaling group "web" does not exist; "web-green" replaced it by blue-green: set "groups: web-green", or "strategy: blue-green"',
    );
    expect(otherNameProblem([group('web-green')], 'web')).toBe(
      '"groups": Auto Scaling group "web" does not exist; "web-green" was not created by ami-action: set "groups: web-green"',
    );
    expect(otherNameProblem([group('api')], 'web')).toBeUndefined();
  });

  test('they take turns', () => {
    expect([greenGroupName('web'), greenGroupName('web-green'), greenGroupName(greenGroupName('web'))]).toEqual([
      'web-green',
      'web',
      'web',
    ]);
    expect(successorOf([group('web'), comes('web-green', 'web')], group('web'))?.name).toBe('web-green');
    expect(successorOf([group('web'), comes('web-green', 'api')], group('web'))).toBeUndefined();
  });
});

describe('whether the new group may take over', () => {
  const well: PairSnapshot = {
    successor: comes('web-green', 'web'),
    old: group('web'),
    images: new Map([
      ['i-1', 'ami-new'],
      ['i-2', 'ami-new'],
    ]),
    imageId: 'ami-new',
    targets: [
      { instanceId: 'i-1', state: 'healthy', message: 'healthy' },
      { instanceId: 'i-2', state: 'unused', message: 'unused, Target.NotInUse' },
    ],
    sources: [],
    wellForSeconds: 60,
    bakeSeconds: 60,
    unservedForSeconds: undefined,
    attached: true,
  };
  test.each<[string, Partial<PairSnapshot>, object]>([
    ['when all has been well long enough', {}, { state: 'done' }],
    ['not yet, when it has been well for less', { wellForSeconds: 59 }, { state: 'waiting', well: true }],
    ['not yet, at the first good look', { wellForSeconds: undefined }, { state: 'waiting', well: true }],
    [
      'never, with a sick instance',
      { successor: comes('web-green', 'web', { members: [member('i-1'), member('i-2', { healthy: false })] }) },
      { state: 'failed', reason: 'i-2 of the new group became unhealthy' },
    ],
    [
      'never, with another image',
      {
        images: new Map([
          ['i-1', 'ami-new'],
          ['i-2', 'ami-old'],
        ]),
      },
      { state: 'failed', reason: 'in the new group, i-2 of 2 in service runs another image' },
    ],
    ['never, when it is gone', { successor: undefined }, { state: 'failed', reason: 'the new group no longer exists' }],
    [
      'not yet, while instances come',
      { successor: comes('web-green', 'web', { members: [member('i-1'), member('i-2', { state: 'Pending' })] }) },
      { note: '1 of 2 new instances in service', well: false },
    ],
    [
      'not yet, when the old one has grown',
      { old: group('web', { desired: 3 }) },
      { note: '2 of 3 new instances in service', well: false },
    ],
    [
      'not yet, while EC2 does not know an instance',
      { images: new Map([['i-1', 'ami-new']]) },
      { note: 'EC2 does not show the image of i-2', well: false },
    ],
    [
      'not yet, while a target is not healthy',
      { targets: [{ instanceId: 'i-1', state: 'initial', message: 'initial, Elb.RegistrationInProgress' }] },
      { note: '1 of 2 new instances get no traffic yet: initial, Elb.RegistrationInProgress', well: false },
    ],
    [
      'not yet, while a classic balancer sees none',
      {
        successor: comes('web-green', 'web', { balancers: ['classic'] }),
        sources: [{ name: 'classic', type: 'elb', state: 'Added' }],
      },
      {
        note: '2 of 2 new instances get no traffic yet: classic sees no healthy instance of the group',
        suspect: 'i-1',
        well: false,
      },
    ],
    [
      'not yet, while AWS does not show that the new one is behind the classic balancer of the old one',
      { successor: { ...comes('web-green', 'web'), ...sourcesOfPair(group('web-green'), group('web', { balancers: ['classic'] })) } },
      { note: '2 of 2 new instances get no traffic yet: the group is not fully registered with classic yet', well: false },
    ],
    [
      'never, when a load balancer calls an instance unhealthy for five minutes',
      { targets: [{ instanceId: 'i-1', state: 'unhealthy', message: 'unhealthy' }], unservedForSeconds: 300 },
      { state: 'failed', reason: '1 of 2 new instances get no traffic for 5m: unhealthy' },
    ],
    [
      'not yet, within the grace period of the group',
      {
        successor: comes('web-green', 'web', { targetGroups: ['arn:tg-1'], graceSeconds: 600 }),
        targets: [{ instanceId: 'i-1', state: 'unhealthy', message: 'unhealthy' }],
        unservedForSeconds: 599,
      },
      { note: '2 of 2 new instances get no traffic yet: unhealthy', well: false, suspect: 'i-1' },
    ],
    [
      'not yet, and without traffic, before its checks have passed',
      { attached: false },
      { note: 'all 2 new instances are in service, without traffic', well: false, ready: true },
    ],
    ['also when another process deleted the old one', { old: undefined }, { state: 'done' }],
  ])('%s', (_, change, evaluation) => {
    expect(evaluatePair({ ...well, ...change })).toMatchObject(evaluation);
  });
});
