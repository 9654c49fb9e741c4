import { StartInstanceRefreshCommand } from '@aws-sdk/client-auto-scaling';
import {
  CancelUpdateStackCommand,
  ContinueUpdateRollbackCommand,
  CreateChangeSetCommand,
  DescribeChangeSetCommand,
  DescribeStackEventsCommand,
  ExecuteChangeSetCommand,
} from '@aws-sdk/client-cloudformation';
import { afterEach, expect, test } from '@jest/globals';
import { POLICIES, type StackLab, stackLab } from '../dist/stack-lab.ts';
import { refusal } from './clients.ts';

/** The lab's CloudFormation for fleets: change sets, update policies, rollback. */

let l: StackLab;
afterEach(() => l.lab.close());

const size = { ParameterKey: 'Size', UsePreviousValue: true };
const changeSet = (change: object = {}) =>
  l.client.send(
    new CreateChangeSetCommand({
      ...{ StackName: 'web', ChangeSetName: 'one', UsePreviousTemplate: true },
      Parameters: [{ ParameterKey: 'ImageId', ParameterValue: l.b }, size],
      ...change,
    }),
  );
const described = () => l.client.send(new DescribeChangeSetCommand({ StackName: 'web', ChangeSetName: 'one' }));
const execute = () => l.client.send(new ExecuteChangeSetCommand({ StackName: 'web', ChangeSetName: 'one', ClientRequestToken: 'token-1' }));
const ready = () => l.lab.clock.sleep(5);
const reasons = async () =>
  (await l.client.send(new DescribeStackEventsCommand({ StackName: 'web' }))).StackEvents?.flatMap(
    ({ ResourceStatusReason, ResourceStatus = '' }) => (ResourceStatus.endsWith('FAILED') ? [ResourceStatusReason] : []),
  );

test('a change set shows what it changes, and refuses what CloudFormation refuses', async () => {
  l = await stackLab({ launch: 'configuration' }, { speed: 4 });
  await changeSet();
  expect((await described()).Status).toBe('CREATE_IN_PROGRESS');
  expect(await refusal(execute())).toMatch(/^InvalidChangeSetStatus/);
  await ready();
  const { Status, Changes = [] } = await described();
  expect([
    Status,
    ...Changes.map(({ ResourceChange: change }) => [change?.LogicalResourceId, change?.Action, change?.Replacement]),
  ]).toEqual([...['CREATE_COMPLETE', ['Config', 'Modify', 'True'], ['Group', 'Modify', 'False']]]);
  expect(await refusal(changeSet())).toMatch(/^AlreadyExistsException/);
  const one = (value: string) => ({ ChangeSetName: 'two', Parameters: [{ ParameterKey: 'ImageId', ParameterValue: value }, size] });
  expect(await refusal(changeSet(one('ami-00000000000000000')))).toMatch(/^ValidationError: Parameter validation failed/);
  expect(await refusal(changeSet({ ChangeSetName: 'two', Parameters: [size] }))).toBe(
    'ValidationError: Parameters: [ImageId] must have values',
  );
  await changeSet(one(l.a));
  await ready();
  expect(await l.client.send(new DescribeChangeSetCommand({ StackName: 'web', ChangeSetName: 'two' }))).toMatchObject({
    ...{
      Status: 'FAILED',
      ExecutionStatus: 'UNAVAILABLE',
      StatusReason: expect.stringMatching(/^The submitted information didn't contain/),
    },
  });
});

test('a dynamic reference is read when its resource is created, and a new value in Parameter Store is no change', async () => {
  l = await stackLab({ launch: 'dynamic' });
  expect(new Set(l.fleet())).toEqual(new Set([l.a]));
  await l.pointerTo(l.b);
  await changeSet({ Parameters: [{ ParameterKey: 'ImageId', UsePreviousValue: true }, size] });
  await ready();
  expect(await described()).toMatchObject({
    Status: 'FAILED',
    StatusReason: expect.stringMatching(/^The submitted information didn't contain/),
  });
});

test('an update replaces the instances, with its token in every event; the same token again is the same update', async () => {
  l = await stackLab();
  await changeSet();
  await ready();
  await execute();
  await execute();
  expect(await refusal(changeSet({ ChangeSetName: 'two' }))).toMatch(/is in UPDATE_IN_PROGRESS state and can not be updated\.$/);
  expect(await l.until(/^UPDATE_COMPLETE$/)).toBe('UPDATE_COMPLETE');
  expect([new Set(l.fleet()), l.changeSets()]).toEqual([new Set([l.b]), []]);
  const { StackEvents = [] } = await l.client.send(new DescribeStackEventsCommand({ StackName: 'web' }));
  expect(StackEvents.slice(0, 6).map(({ ClientRequestToken, ResourceStatus }) => [ClientRequestToken, ResourceStatus])).toEqual(
    [
      'UPDATE_COMPLETE',
      'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS',
      'UPDATE_COMPLETE',
      'UPDATE_IN_PROGRESS',
      'UPDATE_COMPLETE',
      'UPDATE_IN_PROGRESS',
    ].map(status => ['token-1', status]),
  );
});

test.each([
  ['rolling', /^Received 0 SUCCESS signal\(s\) out of 1\. {2}Unable to satisfy 100% MinSuccessfulInstancesPercent requirement$/],
  ['replacing', /^Received 0 SUCCESS signal\(s\) out of 2\. {2}Unable to satisfy/],
] as const)('%s update whose instances do not signal is rolled back', async (policy, reason) => {
  l = await stackLab({ policy: POLICIES[policy] });
  const names = l.groupNames();
  l.sick.add(l.b);
  await changeSet();
  await ready();
  await execute();
  expect(await l.until(/^UPDATE_ROLLBACK_COMPLETE$/, 1200)).toBe('UPDATE_ROLLBACK_COMPLETE');
  expect([await reasons(), new Set(l.fleet()), l.parameter(), l.groupNames()]).toEqual([
    ...[[expect.stringMatching(reason)], new Set([l.a]), l.a, names],
  ]);
});

test('an instance refresh of another owner fails the update', async () => {
  l = await stackLab({ policy: POLICIES.refresh });
  const [AutoScalingGroupName] = l.groupNames();
  await changeSet();
  await ready();
  await l.cloud.autoScaling.send(new StartInstanceRefreshCommand({ AutoScalingGroupName, Preferences: { InstanceWarmup: 600 } }));
  await execute();
  await l.until(/^UPDATE_ROLLBACK_(COMPLETE|FAILED)$/);
  expect((await reasons())?.at(-1)).toMatch(/^An Instance Refresh is already in progress/);
});

test('a cancelled update is rolled back; a rollback that fails is continued by hand', async () => {
  l = await stackLab();
  l.stack().rollbackFails.add('Group');
  await changeSet();
  await ready();
  await execute();
  await l.client.send(new CancelUpdateStackCommand({ StackName: 'web' }));
  expect(await l.until(/^UPDATE_ROLLBACK_FAILED$/)).toBe('UPDATE_ROLLBACK_FAILED');
  expect(await refusal(l.client.send(new CancelUpdateStackCommand({ StackName: 'web' })))).toMatch(
    /cannot be called from current stack status/,
  );
  l.stack().rollbackFails.clear();
  await l.client.send(new ContinueUpdateRollbackCommand({ StackName: 'web' }));
  expect([await l.until(/^UPDATE_ROLLBACK_COMPLETE$/), new Set(l.fleet())]).toEqual(['UPDATE_ROLLBACK_COMPLETE', new Set([l.a])]);
});

test('a group with a fixed name cannot be replaced, and a stack policy is enforced', async () => {
  l = await stackLab({ policy: `${POLICIES.replacing}`, launch: 'template' });
  l.stack().policyDenies.add('Template');
  await changeSet();
  await ready();
  await execute();
  await l.until(/^UPDATE_ROLLBACK_COMPLETE$/);
  expect(await reasons()).toEqual([expect.stringMatching(/^Action denied by stack policy/)]);
});
