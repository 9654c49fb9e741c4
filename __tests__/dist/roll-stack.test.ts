import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { CDK, POLICIES, READS, type StackLab, stackLab } from './stack-lab.ts';

/** Groups of a CloudFormation stack: the section "AutoScale Update Policy" of the Ansible guide, for every update policy. */

let l: StackLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

describe('promoted and rolled back', () => {
  test.each([
    [
      'rolling update, as in the guide',
      { launch: 'configuration' as const },
      /rolling update: 2 instances, 1 at a time; at least 1 in service/,
      '3m',
    ],
    ['rolling update', {}, /rolling update: 2 instances, 1 at a time; at least 1 in service/, '3m'],
    [
      'replacing update',
      { policy: POLICIES.replacing },
      /replacing update: a second group with 2 instances next to it, 4 at the peak/,
      '1m 30s',
    ],
    [
      'instance refresh',
      { policy: POLICIES.refresh },
      /instance refresh: 2 instances, 1 at a time, at least 100 % healthy, 3 at the peak/,
      '3m',
    ],
  ])('%s', async (_, options, capacity, time) => {
    l = await stackLab(options);
    const { a, b } = l;
    const promoted = await l.act('promote', { image: b });
    expect([promoted.errors, promoted.outputs['outcome'], promoted.outputs['previous-ami-id']]).toEqual([[], 'done', a]);
    expect(await l.state()).toEqual(l.ran(b));
    // Other parameters and the tags keep their values, and no change set is left.
    expect([l.parameter('Size'), l.stack().tags, l.changeSets(), l.groupNames()]).toEqual([
      ...['2', [{ Key: 'team', Value: 'web' }], [], [expect.stringMatching(/^web-Group-/)]],
    ]);
    // Before the first write.
    const plan = promoted.log.slice(0, promoted.log.indexOf(`Write ${b} to`));
    expect(plan).toMatch(capacity);
    expect(plan).toContain(`time: about ${time}, then the bake time`);
    expect(plan).toContain(
      `on failure: CloudFormation rolls the stack back; after a complete update, a second one sets ImageId to ${a} again`,
    );
    const back = await l.act('rollback', {});
    expect([back.errors, back.outputs['ami-id'], l.tags(b)['ami-action:vetoed-in']]).toEqual([[], a, 'stage']);
    expect(await l.state()).toEqual(l.ran(a));
    // CloudFormation owns the refresh: it is never rolled back or cancelled here.
    expect([l.lab.calls.count('RollbackInstanceRefresh'), l.lab.calls.count('StartInstanceRefresh')]).toEqual([0, 0]);
  });
});

test('a dry run shows the change set, and deletes it', async () => {
  l = await stackLab({ launch: 'configuration' });
  const mark = l.lab.calls.mark();
  const planned = await l.act('promote', { image: l.b, 'dry-run': 'true' });
  const writes = l.lab.calls
    .since(mark)
    .map(({ operation }) => operation)
    .filter(operation => !/^(Describe|Get|List|AssumeRole)/.test(operation));
  expect([planned.errors, planned.outputs['outcome'], writes, l.changeSets(), l.candidate()]).toEqual([
    ...[[], 'planned', ['CreateChangeSet', 'DeleteChangeSet'], [], false],
  ]);
  expect(planned.summary).toContain(
    'Config (AWS::AutoScaling::LaunchConfiguration), which is replaced, Group (AWS::AutoScaling::AutoScalingGroup) (deleted again: it only shows this)',
  );
  expect(planned.summary).toMatch(/rolling update: 2 instances, 1 at a time; at least 1 in service/);
});

test('a stack of the CDK: promoted and rolled back, with the role of its bootstrap', async () => {
  l = await stackLab(CDK);
  const { a, b } = l;
  const planned = await l.act('promote', { image: b, 'dry-run': 'true' });
  expect(planned.summary).toContain(
    'WebLaunchTemplateE6F4C3A1 (AWS::EC2::LaunchTemplate), WebASG46ED3070 (AWS::AutoScaling::AutoScalingGroup)',
  );
  expect([planned.warnings, await l.state()]).toEqual([[], l.ran(a, a, 'CREATE_COMPLETE')]);
  const promoted = await l.act('promote', { image: b });
  expect([promoted.errors, await l.state(), l.parameter('BootstrapVersion'), l.parameter('Size')]).toEqual([[], l.ran(b), '31', '2']);
  const back = await l.act('rollback', {});
  expect([back.errors, await l.state(), l.changeSets()]).toEqual([[], l.ran(a), []]);
});

/** CloudFormation reads the parameter when a change set is created, so the pointer cannot be last. */
test('a stack that reads the pointer: said before the first write, then the pointer, the update, and the proof', async () => {
  l = await stackLab(READS);
  const { a, b } = l;
  const mark = l.lab.calls.mark();
  const planned = await l.act('promote', { image: b, 'dry-run': 'true' });
  expect([planned.errors, planned.outputs['outcome'], await l.state(), l.changeSets()]).toEqual([
    ...[[], 'planned', l.ran(a, a, 'CREATE_COMPLETE'), []],
  ]);
  const early = `parameter ImageId of stack web reads /ami/web/stage, so /ami/web/stage moves first: whatever else reads it gets ${b} before an instance has proven it`;
  expect(planned.warnings).toContain(early);
  for (const line of [
    `stack web: move /ami/web/stage to ${b}, and update the stack, whose ImageId (${a}) reads it; ImageId is ${a}`,
    'change set: Template (AWS::EC2::LaunchTemplate), Group (AWS::AutoScaling::AutoScalingGroup) (deleted again: it only shows this)',
    'on failure: /ami/web/stage goes back first; CloudFormation rolls the stack back; after a complete update, a second one reads /ami/web/stage again',
    `/ami/web/stage: moves from ${a} before what reads it is replaced and verified`,
    'rolling update: 2 instances, 1 at a time; at least 1 in service',
    'time: about 3m, then the bake time',
  ])
    expect(planned.log).toContain(line);
  const promoted = await l.act('promote', { image: b });
  expect([promoted.errors, promoted.outputs['outcome'], promoted.outputs['previous-ami-id']]).toEqual([[], 'done', a]);
  expect([await l.state(), l.key(), l.changeSets()]).toEqual([l.ran(b), '/ami/web/stage', []]);
  expect(promoted.log.indexOf(early)).toBeLessThan(promoted.log.indexOf(`Write ${b} to /ami/web/stage/candidate`));
  const back = await l.act('rollback', {});
  expect([back.errors, back.outputs['ami-id'], await l.state(), l.key()]).toEqual([[], a, l.ran(a), '/ami/web/stage']);
  expect(l.steps(mark)).toEqual([
    ...['CreateChangeSet', 'DeleteChangeSet', 'CreateChangeSet', 'DeleteChangeSet', `pointer ${b}`, 'CreateChangeSet', 'ExecuteChangeSet'],
    ...['CreateChangeSet', 'DeleteChangeSet', `pointer ${a}`, 'CreateChangeSet', 'ExecuteChangeSet'],
  ]);
});
