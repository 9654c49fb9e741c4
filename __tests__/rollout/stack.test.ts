import { describe, expect, test } from '@jest/globals';
import { parse, parseDocument } from 'yaml';
import type { ResourceChange, Stack, StackEvent, StackOperation } from '../../src/model/stack.ts';
import type { RegionPlan } from '../../src/rollout/rollout-spec.ts';
import { evaluateUpdate } from '../../src/rollout/rules/evaluate-update.ts';
import {
  decideStack,
  groupsOf,
  isOurUpdate,
  isRead,
  type StackFacts,
  type StackOptions,
  type StackPlan,
  updateToken,
} from '../../src/rollout/rules/stack.ts';
import { formatChange, judgeChanges, sameChanges } from '../../src/rollout/rules/stack-changes.ts';
import { formatStack } from '../../src/rollout/rules/stack-format.ts';
import { stackProblems, unknownParameter } from '../../src/rollout/rules/stack-settings.ts';
import { capacityOf, parseStackTemplate, type UpdatePolicy, withImageParameter } from '../../src/rollout/rules/update-policy.ts';
import { watchUpdate } from '../../src/rollout/stack/watch.ts';
import { group } from './fixtures.ts';

const parameters = [{ name: 'ImageId', value: 'ami-old' }];
const stack = (change: Partial<Stack> = {}): Stack => ({
  ...{ id: 'arn:1', name: 'web', status: 'UPDATE_COMPLETE', statusReason: '', parameters, capabilities: [], parent: undefined },
  role: 'arn:aws:iam::111122223333:role/cloudformation',
  ...change,
});
const template = {
  ...{ parameterType: 'AWS::EC2::Image::Id', groups: new Map([['Group', { kind: 'replacing', signals: true } as const]]) },
  references: new Map<string, string>(),
};
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

const NOT_OURS = { clear: undefined, refusals: [expect.stringMatching(/\(not started by ami-action\)/)] };

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
      'reads the pointer, next to a parameter that reads another one',
      facts({
        template: { ...template, parameterType: KEY },
        stack: stack({ parameters: [{ ...reads('/ami/api/stage'), name: 'Other' }, reads('/ami/web/stage')] }),
      }),
      {},
      { action: 'update', refusals: [], reason: 'ImageId is ami-old' },
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
    ['in progress, and CloudFormation shows no operation', busy('UPDATE_IN_PROGRESS', undefined), { operation: 'rollback' }, NOT_OURS],
    [
      'has the image in a later parameter',
      facts({
        stack: stack({
          parameters: [
            { name: 'Size', value: 't3.micro' },
            { name: 'ImageId', value: 'ami-new' },
          ],
        }),
      }),
      {},
      { action: 'nothing', reason: 'ImageId is ami-new already' },
    ],
    [
      'has the image, and cannot be updated',
      facts({ stack: stack({ status: 'ROLLBACK_COMPLETE', parameters: [{ name: 'ImageId', value: 'ami-new' }] }) }),
      {},
      { action: 'nothing', refusals: [expect.stringMatching(/^stack web is ROLLBACK_COMPLETE and cannot be updated: see its events:/)] },
    ],
    [
      'reads another parameter, which has the image already',
      facts({ template: { ...template, parameterType: KEY }, stack: stack({ parameters: [reads('/ami/api/stage')] }) }),
      { imageId: 'ami-old' },
      { action: 'nothing', refusals: [expect.stringMatching(/^parameter ImageId of stack web reads \/ami\/api\/stage/)] },
    ],
    ['no group', facts({ groups: [] }), {}, { refusals: [expect.stringMatching(/^stack web has no Auto Scaling group/)] }],
    [
      'UPDATE_FAILED',
      facts({ stack: stack({ status: 'UPDATE_FAILED' }) }),
      {},
      { refusals: ['stack web is UPDATE_FAILED and cannot be updated: run: aws cloudformation rollback-stack --stack-name web'] },
    ],
  ])('%s', (_, given, change, wanted) => expect(decideStack(given, { ...options, ...change })).toMatchObject(wanted));

  test.each(['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE', 'IMPORT_COMPLETE', 'IMPORT_ROLLBACK_COMPLETE'])(
    '%s: it can be updated',
    status => expect(decideStack(facts({ stack: stack({ status }) }), options).refusals).toEqual([]),
  );

  test.each([
    ['UPDATE_ROLLBACK_FAILED', 'fix its cause, then run: aws cloudformation continue-update-rollback --stack-name web'],
    ['DELETE_FAILED', 'see its events: aws cloudformation describe-stack-events --stack-name web'],
    ['ROLLBACK_COMPLETE', 'see its events: aws cloudformation describe-stack-events --stack-name web'],
  ])('%s: refused with its reason and the next command', (status, remedy) =>
    expect(decideStack(facts({ stack: stack({ status, statusReason: 'no capacity' }) }), options).refusals).toEqual([
      `stack web is ${status} (no capacity) and cannot be updated: ${remedy}`,
    ]),
  );

  test('a group without an update policy is refused by its name: nothing would be replaced', () => {
    const policies = (...none: string[]) => {
      const groups = new Map<string, UpdatePolicy>([...template.groups, ...none.map(id => [id, { kind: 'none' }] as const)]);
      return decideStack(facts({ template: { ...template, groups } }), options).refusals;
    };
    expect([policies(), policies('One'), policies('One', 'Other')]).toEqual([
      [],
      [expect.stringMatching(/^One of stack web has no update policy, so CloudFormation would replace no instance: add AutoScaling/)],
      [expect.stringMatching(/^One, Other of stack web have no update policy, so /)],
    ]);
  });

  test('that CloudFormation does not ask the instances is said of what it does not ask', () => {
    const warned = (policy: UpdatePolicy) =>
      decideStack(facts({ template: { ...template, groups: new Map([['Group', policy]]) } }), options).warnings;
    const rolling = { kind: 'rolling', batch: 1, inService: 0, pauseSeconds: 0 } as const;
    const goesOn = 'so CloudFormation goes on when an instance runs, whether its service answers or not';
    expect([warned({ ...rolling, signals: false }), warned({ kind: 'replacing', signals: false })]).toEqual([
      [`Group: its template has no WaitOnResourceSignals, ${goesOn}`],
      [`Group: its template has no CreationPolicy, ${goesOn}`],
    ]);
    const refreshed = { kind: 'refresh', minHealthy: 100, maxHealthy: 110, pauseSeconds: 0 } as const;
    expect([{ ...rolling, signals: true }, { kind: 'replacing', signals: true } as const, refreshed].map(warned)).toEqual([[], [], []]);
  });

  test('a stack without a service role: CloudFormation has the permissions of the run', () => {
    const warned = (role: string | undefined) => decideStack(facts({ stack: stack({ role }) }), options).warnings;
    expect([warned(undefined), warned('arn:aws:iam::1:role/cfn')]).toEqual([
      [
        'stack web has no service role, so CloudFormation changes and rolls back its resources with the permissions of the role of this run: give it one once (aws cloudformation update-stack --role-arn ...)',
      ],
      [],
    ]);
  });

  test('a parameter that reads another one: whether CloudFormation shows which', () => {
    const says = (parameters?: Stack['parameters']) =>
      decideStack(facts({ template: { ...template, parameterType: KEY }, stack: stack(parameters && { parameters }) }), options).refusals;
    const fix = (which: string, other: string) =>
      `parameter ImageId of stack web reads ${which} from Parameter Store, not the pointer /ami/web/stage: give it the value /ami/web/stage, or the type AWS::EC2::Image::Id, and update the stack once. If ${other} is to be the pointer, set "pointer"`;
    expect([says([reads('/ami/api/stage')]), says()]).toEqual([
      [fix('/ami/api/stage', '/ami/api/stage')],
      [fix('another parameter', 'that')],
    ]);
  });

  test('the pointer moves before what reads it is replaced', () => {
    const groups = [{ by: 'version' }] as const;
    expect([{ key: '/ami/web/stage' }, { key: undefined }, undefined].map(of => isRead({ stack: of, groups }))).toEqual([
      true,
      false,
      false,
    ]);
    expect(isRead({ stack: undefined, groups: [...groups, { by: 'pointer' }] })).toBe(true);
  });

  test('an update is ours by its token', () => {
    expect(isOurUpdate(operation(updateToken('ami-new', '1')))).toBe(true);
    expect(decideStack(busy('UPDATE_IN_PROGRESS', operation(updateToken('ami-new', '1'))), options).action).toBe('watch');
    expect(isOurUpdate(FOREIGN)).toBe(false);
  });

  test('each group has the policy of its logical ID, and none where it has no such ID', () => {
    const tagged = group({ tags: { 'aws:cloudformation:logical-id': 'Group' } });
    expect(groupsOf(facts({ groups: [tagged, group({ name: 'api' })] }))).toEqual([
      { group: tagged, policy: { kind: 'replacing', signals: true } },
      { group: group({ name: 'api' }), policy: { kind: 'none' } },
    ]);
  });
});

const change = (of: Partial<ResourceChange> = {}): ResourceChange => ({
  ...{ resource: 'Group', type: 'AWS::AutoScaling::AutoScalingGroup', action: 'Modify', replacement: 'False' },
  ...of,
});
const database = change({ resource: 'Db', type: 'AWS::RDS::DBInstance' });

describe('what a change set would do', () => {
  const launchTemplate = change({ resource: 'Template', type: 'AWS::EC2::LaunchTemplate' });
  const NO_GROUP =
    'parameter ImageId changes no Auto Scaling group: its launch template version must follow the template (Version: !GetAtt Template.LatestVersionNumber)';
  test.each<[string, readonly ResourceChange[], object]>([
    ['the fleet alone', [launchTemplate, change()], { refusals: [], warnings: [] }],
    ['only the template', [launchTemplate], { refusals: [NO_GROUP], warnings: [] }],
    ['nothing', [], { refusals: [NO_GROUP], warnings: [] }],
    ['a group that it adds', [change({ action: 'Add' })], { refusals: [NO_GROUP], warnings: [] }],
    ['a database next to it', [change(), database], { refusals: [], warnings: ['the update also changes Db (AWS::RDS::DBInstance)'] }],
  ])('%s', (_, changes, judged) => expect(judgeChanges(changes, 'ImageId')).toEqual({ harmful: [], ...judged }));

  test('removed, replaced or perhaps replaced is harmful, except for the fleet', () => {
    const others = [{ action: 'Remove' }, { replacement: 'True' }, { replacement: 'Conditional' }].map(of => ({ ...database, ...of }));
    const configuration = change({ type: 'AWS::AutoScaling::LaunchConfiguration', replacement: 'True' });
    expect(judgeChanges([change(), configuration, database, ...others], 'ImageId').harmful).toEqual(others);
  });

  test('what is replaced, added or removed says so', () => {
    const said = [{ replacement: 'True' }, { replacement: 'Conditional' }, { action: 'Remove' }, {}].map(of =>
      formatChange({ ...database, ...of }),
    );
    const name = 'Db (AWS::RDS::DBInstance)';
    expect(said).toEqual([`${name}, which is replaced`, `${name}, which may be replaced`, `${name}: Remove`, name]);
  });

  test('it is the planned one in any order, and another one where anything differs', () => {
    const planned = [change(), database];
    expect(sameChanges([database, change()], planned)).toBe(true);
    const others = [[change()], [change(), { ...database, replacement: 'True' }], [...planned, launchTemplate]];
    expect(others.map(other => sameChanges(other, planned))).toEqual([false, false, false]);
    expect(sameChanges(planned, [database, change()])).toBe(true);
  });
});

describe('the plan of a stack', () => {
  const plan = (of: Partial<StackPlan> = {}): StackPlan => ({
    ...{ action: 'update', reason: 'ImageId is ami-old', clear: undefined, refusals: [], warnings: [] },
    ...{ facts: facts({ groups: [group({ tags: { 'aws:cloudformation:logical-id': 'Group' } })] }), parameter: 'ImageId' },
    ...{
      key: undefined,
      before: 'ami-old',
      changes: [change(), database],
      launched: { group: 'web', id: 'ami-old' } as StackPlan['launched'],
    },
    ...of,
  });
  const capacity = 'web: replacing update: a second group with 2 instances next to it, 4 at the peak, then the old group is deleted';
  const time = 'time: about 1m 30s, then the bake time';

  test('an update: its change set, capacity, time and the way back', () => {
    expect(formatStack(plan(), 'ami-new')).toEqual([
      'stack web: set ImageId from ami-old to ami-new; ImageId is ami-old',
      capacity,
      'change set: Group (AWS::AutoScaling::AutoScalingGroup), Db (AWS::RDS::DBInstance) (deleted again: it only shows this)',
      time,
      'on failure: CloudFormation rolls the stack back; after a complete update, a second one sets ImageId to ami-old again',
    ]);
  });

  test('a stack that reads the pointer: the pointer moves first, and goes back first', () => {
    expect(formatStack(plan({ key: '/ami/web/stage', changes: [] }), 'ami-new')).toEqual([
      'stack web: move /ami/web/stage to ami-new, and update the stack, whose ImageId (ami-old) reads it; ImageId is ami-old',
      capacity,
      time,
      'on failure: /ami/web/stage goes back first; CloudFormation rolls the stack back; after a complete update, a second one reads /ami/web/stage again',
    ]);
  });

  test('what must end first, what is watched, and nothing', () => {
    const first = (of: Partial<StackPlan>) => formatStack(plan({ reason: 'why', ...of }), 'ami-new')[0];
    expect([first({ clear: 'wait' }), first({ clear: 'cancel' }), first({ action: 'watch' })]).toEqual([
      'stack web: wait for the end of its update, then set ImageId from ami-old to ami-new; why',
      'stack web: cancel our update in progress, then set ImageId from ami-old to ami-new; why',
      'stack web: watch the update in progress; why',
    ]);
    expect(formatStack(plan({ action: 'nothing', reason: 'why' }), 'ami-new')).toEqual(['stack web: nothing to do; why']);
  });
});

test('a parameter that the stack does not have, with the nearest one', () => {
  expect([unknownParameter(stack(), 'ImageID'), unknownParameter(stack({ parameters: [] }), 'ImageID')]).toEqual([
    '"stack-parameter": stack web has no parameter "ImageID", did you mean "ImageId"?',
    '"stack-parameter": stack web has no parameter "ImageID"',
  ]);
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
    ['rolled back after its events were read', 'UPDATE_ROLLBACK_COMPLETE', OURS, 0, { state: 'waiting', doubtful: true }],
    ['rolled back without one', 'UPDATE_ROLLBACK_COMPLETE', OURS, 1, { state: 'failed', reason: 'the stack is UPDATE_ROLLBACK_COMPLETE' }],
    [
      'not yet of anyone, for good',
      'UPDATE_COMPLETE',
      operation(''),
      5,
      { state: 'failed', reason: 'another operation (without a token) has begun, the stack is UPDATE_COMPLETE' },
    ],
    [
      'failed itself, with no cause',
      'UPDATE_FAILED',
      operation(OURS.token, [event('web', 'UPDATE_FAILED', 'no', true), event('Group', 'UPDATE_IN_PROGRESS', 'x')]),
      1,
      { state: 'failed', reason: 'the stack is UPDATE_FAILED' },
    ],
    [
      'a failure without a reason',
      'UPDATE_IN_PROGRESS',
      operation(OURS.token, [event('Group', 'UPDATE_FAILED')]),
      0,
      { state: 'failed', reason: 'Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_FAILED' },
    ],
  ])('%s', (_, status, given, doubts, wanted) =>
    expect(evaluateUpdate(stack({ status }), given, OURS.token, doubts)).toMatchObject(wanted),
  );

  test('the reason of the stack is said where no resource has one', () => {
    const rolledBack = stack({ status: 'UPDATE_ROLLBACK_COMPLETE', statusReason: 'an alarm' });
    expect(evaluateUpdate(rolledBack, OURS, OURS.token, 1)).toEqual({
      state: 'failed',
      reason: 'the stack is UPDATE_ROLLBACK_COMPLETE: an alarm',
    });
  });

  test('an update that begins between two reads is not complete', async () => {
    let begun = false;
    const seen = (status: string) => stack({ status });
    const stacks = {
      operation: async () => {
        await Promise.resolve();
        const was = begun;
        begun = true;
        return was ? operation('t', events.slice(2)) : operation('t', events.slice(0, 1));
      },
      find: async () => seen(begun ? 'UPDATE_IN_PROGRESS' : 'UPDATE_COMPLETE'),
    };
    const deps = { clock: { now: () => 0, sleep: async () => {} }, report: { info: () => {} } };
    const plan = { deps, roll: { rollTimeout: 60 }, aws: { stacks } } as unknown as RegionPlan;
    await expect(watchUpdate(seen(''), { token: 't', order: undefined }, plan)).rejects.toThrow(
      'Stack web: Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_FAILED: no capacity',
    );
  });
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
      'refresh, two at a time',
      '{ AutoScalingInstanceRefresh: { Preferences: { MinHealthyPercentage: 50, MaxHealthyPercentage: 100 } } }',
      '',
      'instance refresh: 4 instances, 2 at a time, at least 50 % healthy, 4 at the peak',
      180,
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

  const refreshed = (preferences: string, strategy = 'Rolling') =>
    parsed(`{ AutoScalingInstanceRefresh: { Strategy: ${strategy}, Preferences: ${preferences} } }`);
  test.each<[string, () => UpdatePolicy | undefined, object]>([
    [
      'a rolling update that waits for signals',
      () => parsed('{ AutoScalingRollingUpdate: { WaitOnResourceSignals: true } }'),
      { signals: true, pauseSeconds: 300 },
    ],
    [
      'and one that does not',
      () => parsed('{ AutoScalingRollingUpdate: { WaitOnResourceSignals: false } }'),
      { signals: false, pauseSeconds: 0 },
    ],
    ['a batch that is no number', () => parsed('{ AutoScalingRollingUpdate: { MaxBatchSize: many } }'), { batch: 1 }],
    [
      'a replacing update that waits for signals',
      () => parsed('{ AutoScalingReplacingUpdate: { WillReplace: true } }', 'CreationPolicy: { ResourceSignal: { Count: 1 } }'),
      { signals: true },
    ],
    ['and one that does not', () => parsed('{ AutoScalingReplacingUpdate: { WillReplace: true } }'), { signals: false }],
    [
      'the bounds of a refresh',
      () => refreshed('{ MinHealthyPercentage: 50, MaxHealthyPercentage: 150 }'),
      { minHealthy: 50, maxHealthy: 150 },
    ],
    ['the bounds that it has without', () => refreshed('{}'), { minHealthy: 100, maxHealthy: 110, pauseSeconds: 0 }],
    ['in place', () => refreshed('{}', 'ReplaceRootVolume'), { minHealthy: 90, maxHealthy: 100 }],
    [
      'its pauses: none after the last',
      () => refreshed('{ CheckpointPercentages: [10, 50, 100], CheckpointDelay: 60 }'),
      { pauseSeconds: 120 },
    ],
    ['without any', () => parsed('~'), { kind: 'none' }],
  ])('%s', (_, policy, expected) => expect(policy()).toMatchObject(expected));

  test('only Auto Scaling groups have one, and the parameter has its type', () => {
    const text =
      'Parameters: { ImageId: { Type: KEY }, Odd: { Type: 3 } }\nResources: { Group: { Type: AWS::AutoScaling::AutoScalingGroup }, Db: { Type: AWS::RDS::DBInstance }, Empty: }';
    expect(parseStackTemplate(text, 'ImageId', new Map())).toEqual({
      parameterType: 'KEY',
      groups: new Map([['Group', { kind: 'none' }]]),
      references: new Map(),
    });
    expect(['Odd', 'Gone'].map(name => parseStackTemplate(text, name, new Map()).parameterType)).toEqual([undefined, undefined]);
  });
});

describe('a template that names a parameter of Parameter Store in place of an image', () => {
  const of = (imageId: string, group = '!Ref Template') =>
    parseStackTemplate(
      `Resources:
  Group: { Type: AWS::AutoScaling::AutoScalingGroup, Properties: { LaunchTemplate: { LaunchTemplateId: ${group} } } }
  Template: { Type: AWS::EC2::LaunchTemplate, Properties: { LaunchTemplateData: { ImageId: ${imageId} } } }
  Config: { Type: AWS::AutoScaling::LaunchConfiguration, Properties: { ImageId: ${imageId} } }`,
      'ImageId',
      new Map(),
    ).references;

  test.each([
    ["'{{resolve:ssm:/ami/web/stage}}'", '{{resolve:ssm:/ami/web/stage}}'],
    ["!Sub '{{resolve:ssm:${Key}:3}}'", '{{resolve:ssm:${Key}:3}}'],
    ['{ "Fn::Join": ["", ["{{resolve:ssm:", { "Ref": "Key" }, "}}"]] }', '{{resolve:ssm:'],
    ["'resolve:ssm:/ami/web/stage'", 'resolve:ssm:/ami/web/stage'],
  ])('%s', (imageId, reference) => {
    expect(of(imageId)).toEqual(new Map([['Template', reference]]));
    expect(of(imageId, '!Ref Config')).toEqual(new Map([['Config', reference]]));
    expect(of(imageId, '{ "Fn::GetAtt": ["Template", "Id"] }')).toEqual(new Map([['Template', reference]]));
  });

  test('none where it names an image, or no group launches from it', () => {
    expect([of('!Ref ImageId'), of("'{{resolve:ssm:/x}}'", 'TemplateOther')]).toEqual([new Map(), new Map()]);
  });

  test('a parameter whose value is one is refused: it is no image to lead back to', () => {
    const given = stack({ parameters: [{ name: 'ImageId', value: '{{resolve:ssm:/ami/web/stage:3}}' }] });
    expect(decideStack(facts({ stack: given }), options).refusals).toEqual([
      'parameter ImageId of stack web is {{resolve:ssm:/ami/web/stage:3}}, not an image ID: update the stack once with the ID of the image that it has',
    ]);
  });
});

describe('a template whose parameter takes an image ID, for the change set of the plan', () => {
  test.each([
    [
      'a block',
      'Parameters:\n  ImageId:\n    Type: KEY\n    Default: /ami\n\n  Other:\n    Type: String # kept\nResources: { A: !Ref ImageId }\n',
    ],
    ['a block next to another', 'Parameters:\n  ImageId:\n    Type: KEY\n  Other:\n    Type: String\nResources: { A: !Ref ImageId }\n'],
    ['a flow map', 'Parameters: { ImageId: { Type: KEY }, Other: { Type: String } }\nResources: { A: !Ref ImageId }\n'],
    ['JSON', '{"Parameters":{"ImageId":{"Type":"KEY"},"Other":{"Type":"String"}},"Resources":{"A":{"Ref":"ImageId"}}}'],
    ['the last one', 'Resources: { A: !Ref ImageId }\nParameters:\n  Other: { Type: String }\n  ImageId:\n    Type: KEY'],
  ])('%s', (_, text) => {
    const written = withImageParameter(text, 'ImageId') ?? '';
    // A silent parser reads what CloudFormation refuses.
    expect(parseDocument(written, { logLevel: 'silent' }).errors).toEqual([]);
    const changed = parse(written, { logLevel: 'silent' });
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
