import { describe, expect, test } from '@jest/globals';
import type { Group, Launch, Refresh } from '../../src/model/group.ts';
import { formatGroupState, formatLaunchUses, formatRevert } from '../../src/rollout/rules/format.ts';
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
const member = { id: 'i-1', healthy: true, protected: true, state: 'Standby', template: undefined };

describe('what a person reads of a group before it is rolled', () => {
  const state = (change: Partial<Group>, more: { active?: Refresh; warmPool?: readonly string[] } = {}) =>
    formatGroupState({ group: group('web', change), active: more.active, warmPool: more.warmPool ?? [] });

  test.each([
    ['nothing special', state({}), '2 instances (0 to 4), health check EC2'],
    ['one instance', state({ desired: 1, healthCheck: 'ELB' }), '1 instance (0 to 4), health check ELB'],
    [
      'a mixed instances policy',
      state({ launch: mixed }),
      '2 instances (0 to 4), mixed instances policy with 2 overrides, health check EC2',
    ],
    [
      'processes',
      state({ suspended: ['AZRebalance', 'Launch'] }),
      '2 instances (0 to 4), health check EC2, suspended: AZRebalance, Launch',
    ],
    ['instances', state({ members: [member] }), '2 instances (0 to 4), health check EC2, 1 protected, 1 in standby'],
    ['a warm pool', state({}, { warmPool: ['i-2', 'i-3'] }), '2 instances (0 to 4), health check EC2, 2 in the warm pool'],
    ['a refresh', state({}, { active: refresh }), '2 instances (0 to 4), health check EC2, refresh r-1 is InProgress, 40 %'],
  ])('%s', (_, said, expected) => expect(said).toBe(expected));

  test('what it launches: $Latest with the number that it means now', () => {
    const versions = new Map([['lt-2 $Latest', version(7, 'ami-1', 'lt-2')]]);
    expect(formatLaunchUses({ group: group('web', { launch: mixed }), versions })).toBe('lt-1:3, lt-2:$Latest (7)');
    expect(formatLaunchUses({ group: group('web', { launch: { kind: 'configuration', name: 'old' } }), versions })).toBe(
      'launch configuration old',
    );
  });

  test.each([
    ['refresh', 'version', 'AWS rolls back'],
    ['watch', 'version', 'AWS rolls back'],
    ['refresh', 'pointer', 'the pointer moves back, then a second refresh'],
    ['swap', 'version', 'the green group is deleted'],
    ['template', 'version', ''],
    ['nothing', 'version', ''],
  ] as const)('the way back of %s by %s', (action, by, expected) => expect(formatRevert({ action, by })).toBe(expected));
});
