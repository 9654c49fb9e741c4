import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { Stack, StackEvent, StackOperation } from '../../src/model/stack.ts';
import { evaluateUpdate } from '../../src/rollout/rules/evaluate-update.ts';
import { decideStack, type StackFacts, type StackOptions } from '../../src/rollout/rules/stack.ts';
import { stackProblems } from '../../src/rollout/rules/stack-settings.ts';
import { capacityOf, parseStackTemplate, withImageParameter } from '../../src/rollout/rules/update-policy.ts';
import { group } from './fixtures.ts';

const parameters = [{ name: 'ImageId', value: 'ami-old' }];
const stack = (change: Partial<Stack> = {}): Stack => ({
  ...{ id: 'arn:1', name: 'web', status: 'UPDATE_COMPLETE', statusReason: '', parameters, capabilities: [], parent: undefined },
  ...change,
});
const template = { parameterType: 'AWS::EC2::Image::Id', groups: new Map([['Group', { kind: 'replacing', signals: true } as const]]) };
const KEY = 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>';
const reads = (key: string) => ({ name: 'ImageId', value: 'ami-old', key });
const facts = (change: Partial<StackFacts> = {}): StackFacts => ({
  ...{ stack: stack(), template, groups: [group()], operation: undefined },
  ...change,
});
const options: StackOptions = {
  parameter: 'ImageId',
  pointer: '/ami/web/stage',
  imageId: 'ami-new',
  operation: 'promote',
  foreignRefresh: 'refuse',
};
const operation = (token: string, events: StackEvent[] = []): StackOperation => ({ token, events });
const [OURS, OTHER, FOREIGN] = [operation('ami-action-ami-new-1'), operation('ami-action-ami-other-1'), operation('Console-1')];

describe('what is done to a stack', () => {
  const busy = (status: string, of: StackOperation | undefined) => facts({ stack: stack({ status }), operation: of });
  test.each<[string, StackFacts, Partial<StackOptions>, object]>([
    ['stable', facts(), {}, { action: 'update', clear: undefined, refusals: [] }],
    [
      'has the image',
      facts({ stack: stack({ parameters: [{ name: 'ImageId', value: 'ami-new' }] }) }),
      {},
      { action: 'nothing', refusals: [] },
    ],
    ['our update runs', busy('UPDATE_IN_PROGRESS', OURS), {}, { action: 'watch' }],
    ['our update is cleaned up', busy('UPDATE_COMPLETE_CLEANUP_IN_PROGRESS', OURS), {}, { action: 'watch' }],
    ['our update rolls back', busy('UPDATE_ROLLBACK_IN_PROGRESS', OURS), {}, { action: 'update', clear: 'wait', refusals: [] }],
    ['our other update, promoted', busy('UPDATE_IN_PROGRESS', OTHER), {}, { refusals: [expect.stringMatching(/\(of an earlier run\)/)] }],
    ['our other update, rolled back', busy('UPDATE_IN_PROGRESS', OTHER), { operation: 'rollback' }, { clear: 'cancel', refusals: [] }],
    ['past the point of a cancel', busy('UPDATE_COMPLETE_CLEANUP_IN_PROGRESS', OTHER), { operation: 'rollback' }, { clear: 'wait' }],
    ['superseded', busy('UPDATE_IN_PROGRESS', OTHER), { foreignRefresh: 'supersede' }, { clear: 'cancel' }],
    ['foreign', busy('UPDATE_IN_PROGRESS', FOREIGN), {}, { refusals: [expect.stringMatching(/\(not started by ami-action\)/)] }],
    ['foreign, rolled back', busy('UPDATE_IN_PROGRESS', FOREIGN), { operation: 'rollback' }, { refusals: [expect.anything()] }],
    ['foreign, waited for', busy('UPDATE_IN_PROGRESS', FOREIGN), { foreignRefresh: 'wait' }, { clear: 'wait', refusals: [] }],
    [
      'nested',
      facts({ stack: stack({ parent: 'arn:0' }) }),
      {},
      { refusals: [expect.stringMatching(/^stack web is nested: name its root stack/)] },
    ],
    [
      'reads the pointer',
      facts({ template: { ...template, parameterType: KEY }, stack: stack({ parameters: [reads('/ami/web/stage')] }) }),
      {},
      { action: 'update', refusals: [] },
    ],
    [
      'reads another parameter',
      facts({ template: { ...template, parameterType: KEY }, stack: stack({ parameters: [reads('/ami/api/stage')] }) }),
      {},
      {
        refusals: [expect.stringMatching(/^parameter ImageId of stack web reads \/ami\/api\/stage from Parameter Store, not the pointer/)],
      },
    ],
    [
      'reads what CloudFormation does not show',
      facts({ template: { ...template, parameterType: KEY } }),
      {},
      { refusals: [expect.stringMatching(/^parameter ImageId of stack web reads another parameter from Parameter Store/)] },
    ],
    ['no group', facts({ groups: [] }), {}, { refusals: [expect.stringMatching(/^stack web has no Auto Scaling group/)] }],
    [
      'UPDATE_FAILED',
      facts({ stack: stack({ status: 'UPDATE_FAILED' }) }),
      {},
      { refusals: ['stack web is UPDATE_FAILED and cannot be updated: run: aws cloudformation rollback-stack --stack-name web'] },
    ],
  ])('%s', (_, given, change, wanted) => expect(decideStack(given, { ...options, ...change })).toMatchObject(wanted));
});

describe('how an update goes', () => {
  const event = (resource: string, status: string, reason = '', own = false): StackEvent => ({
    ...{ id: `${resource} ${status}`, resource, type: own ? 'AWS::CloudFormation::Stack' : 'AWS::AutoScaling::AutoScalingGroup' },
    ...{ status, reason, own },
  });
  const events = [
    event('web', 'UPDATE_IN_PROGRESS', 'User Initiated', true),
    event('Other', 'UPDATE_FAILED', 'Resource update cancelled'),
    event('Group', 'UPDATE_FAILED', 'no capacity'),
    event('Third', 'UPDATE_FAILED', 'later'),
  ];
  test.each<[string, string, StackOperation, number, object]>([
    ['in progress', 'UPDATE_IN_PROGRESS', OURS, 0, { state: 'waiting', doubtful: false }],
    ['cleaned up', 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS', OURS, 0, { state: 'waiting' }],
    ['complete', 'UPDATE_COMPLETE', OURS, 0, { state: 'done' }],
    ['complete, of the update before', 'UPDATE_COMPLETE', FOREIGN, 0, { state: 'waiting', doubtful: true }],
    [
      'of another owner for good',
      'UPDATE_IN_PROGRESS',
      FOREIGN,
      5,
      { state: 'failed', reason: expect.stringMatching(/\(Console-1\) has begun/) },
    ],
    [
      'the first failure that is no consequence',
      'UPDATE_ROLLBACK_IN_PROGRESS',
      operation(OURS.token, events),
      0,
      { state: 'failed', reason: 'Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_FAILED: no capacity' },
    ],
    ['rolled back without one', 'UPDATE_ROLLBACK_COMPLETE', OURS, 0, { state: 'failed', reason: 'the stack is UPDATE_ROLLBACK_COMPLETE' }],
  ])('%s', (_, status, given, doubts, wanted) =>
    expect(evaluateUpdate(stack({ status }), given, OURS.token, doubts)).toMatchObject(wanted),
  );
});

describe('update policies of a template', () => {
  const parsed = (policy: string, more = '') =>
    parseStackTemplate(
      `Parameters: { ImageId: { Type: AWS::EC2::Image::Id } }\nResources:\n  Group:\n    Type: AWS::AutoScaling::AutoScalingGroup\n    UpdatePolicy: ${policy}\n    ${more}`,
      'ImageId',
      new Map([['Batch', '3']]),
    ).groups.get('Group');
  test.each<[string, string, string, string, number]>([
    ['rolling, defaults', '{ AutoScalingRollingUpdate: {} }', '', 'rolling update: 4 instances, 1 at a time; at least 3 in service', 360],
    [
      'a batch by !Ref',
      '{ AutoScalingRollingUpdate: { MaxBatchSize: !Ref Batch, PauseTime: PT1M30S } }',
      '',
      'rolling update: 4 instances, 3 at a time, 1m 30s after each; at least 1 in service',
      360,
    ],
    [
      'JSON with Ref',
      '{ "AutoScalingRollingUpdate": { "MaxBatchSize": { "Ref": "Batch" }, "MinInstancesInService": "2", "WaitOnResourceSignals": "true" } }',
      '',
      'rolling update: 4 instances, 3 at a time; at least 2 in service',
      180,
    ],
    [
      'WillReplace wins',
      '{ AutoScalingReplacingUpdate: { WillReplace: true }, AutoScalingRollingUpdate: {} }',
      '',
      'replacing update: a second group with 4 instances next to it, 8 at the peak, then the old group is deleted',
      90,
    ],
    ['WillReplace: false', '{ AutoScalingReplacingUpdate: { WillReplace: false } }', '', 'no update policy: no instance is replaced', 0],
    [
      'refresh, defaults',
      '{ AutoScalingInstanceRefresh: { Strategy: Rolling } }',
      '',
      'instance refresh: 4 instances, 1 at a time, at least 100 % healthy, 5 at the peak',
      360,
    ],
    [
      'refresh, in place',
      '{ AutoScalingInstanceRefresh: { Strategy: ReplaceRootVolume, Preferences: { BakeTime: 600, CheckpointPercentages: [50, 100], CheckpointDelay: 300 } } }',
      '',
      'instance refresh: 4 instances, 1 at a time, at least 90 % healthy, 4 at the peak',
      1260,
    ],
    [
      'none',
      '{ AutoScalingScheduledAction: { IgnoreUnmodifiedGroupSizeProperties: true } }',
      '',
      'no update policy: no instance is replaced',
      0,
    ],
  ])('%s', (_, policy, more, text, seconds) => {
    const found = parsed(policy, more);
    expect(found && capacityOf(found, 4)).toEqual({ text, seconds });
  });
});

describe('a template whose parameter takes an image ID, for the change set of the plan', () => {
  test.each([
    [
      'a block',
      'Parameters:\n  ImageId:\n    Type: KEY\n    Default: /ami\n\n  Other:\n    Type: String # kept\nResources: { A: !Ref ImageId }\n',
    ],
    ['a flow map', 'Parameters: { ImageId: { Type: KEY }, Other: { Type: String } }\nResources: { A: !Ref ImageId }\n'],
    ['JSON', '{"Parameters":{"ImageId":{"Type":"KEY"},"Other":{"Type":"String"}},"Resources":{"A":{"Ref":"ImageId"}}}'],
    ['the last one', 'Resources: { A: !Ref ImageId }\nParameters:\n  Other: { Type: String }\n  ImageId:\n    Type: KEY'],
  ])('%s', (_, text) => {
    const changed = parse(withImageParameter(text, 'ImageId') ?? '', { logLevel: 'silent' });
    const before = parse(text, { logLevel: 'silent' });
    expect(changed).toEqual({ ...before, Parameters: { ...before.Parameters, ImageId: { Type: 'AWS::EC2::Image::Id' } } });
  });

  test('none where it has no such parameter, or is too large', () => {
    expect(withImageParameter('Parameters: { Other: { Type: String } }', 'ImageId')).toBeUndefined();
    expect(withImageParameter(`Parameters: { ImageId: { Type: KEY } } # ${'x'.repeat(51_200)}`, 'ImageId')).toBeUndefined();
  });
});

test.each([
  [{}, 0, []],
  [{ stackParameter: undefined }, 0, ['"stack" needs "stack-parameter": the parameter of the stack that holds the image']],
  [{ stack: undefined }, 0, ['"stack-parameter" needs "stack": name the stack']],
  [{}, 1, ['"stack" takes all groups of the stack: remove "groups" and "group-tags"']],
  [
    { strategy: 'blue-green' as const },
    0,
    ['"stack" and "strategy: blue-green" exclude each other: the update policy of the template decides how instances are replaced'],
  ],
  [
    { batchSize: 1, alarms: ['x'] },
    0,
    ['"alarms", "batch-size" and "stack" exclude each other: set the same in the update policy of the template'],
  ],
])('settings of a stack: %j, %i groups named', (change, named, problems) => {
  const fits = { stack: 'web', stackParameter: 'ImageId', strategy: 'rolling' as const };
  expect(stackProblems({ ...fits, ...change }, named).filter(problem => problem !== false)).toEqual(problems);
});
