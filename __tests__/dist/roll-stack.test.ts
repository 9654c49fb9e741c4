import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POLICIES, type StackLab, stackLab } from './stack-lab.ts';

/** Groups of a CloudFormation stack: the section "AutoScale Update Policy" of the Ansible guide, for every update policy. */

let l: StackLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const state = async () => ({
  runs: [...new Set(l.fleet())],
  parameter: l.parameter(),
  pointer: l.pointer(),
  candidate: l.candidate(),
  status: await l.status(),
});
const ran = (image: string, pointer = image, status = 'UPDATE_COMPLETE') => ({
  ...{ runs: [image], parameter: image, pointer, candidate: false, status },
});

describe('promoted and rolled back', () => {
  test.each([
    [
      'rolling update, as in the guide',
      { launch: 'configuration' as const },
      /rolling update: 2 instances, 1 at a time; at least 1 in service/,
    ],
    ['rolling update', {}, /rolling update: 2 instances, 1 at a time; at least 1 in service/],
    ['replacing update', { policy: POLICIES.replacing }, /replacing update: a second group with 2 instances next to it, 4 at the peak/],
    ['instance refresh', { policy: POLICIES.refresh }, /instance refresh: 2 instances, 1 at a time, at least 100 % healthy, 3 at the peak/],
  ])('%s', async (_, options, capacity) => {
    l = await stackLab(options);
    const { a, b } = l;
    const promoted = await l.act('promote', { image: b });
    expect([promoted.errors, promoted.outputs['outcome'], promoted.outputs['previous-ami-id']]).toEqual([[], 'done', a]);
    expect(await state()).toEqual(ran(b));
    // Other parameters and the tags keep their values, and no change set is left.
    expect([l.parameter('Size'), l.stack().tags, l.changeSets(), l.groupNames()]).toEqual([
      ...['2', [{ Key: 'team', Value: 'web' }], [], [expect.stringMatching(/^web-Group-/)]],
    ]);
    expect(promoted.log).toMatch(capacity);
    expect(promoted.log).toMatch(
      /on failure: CloudFormation rolls the stack back; after a complete update, a second one sets ImageId to ami-/,
    );
    const back = await l.act('rollback', {});
    expect([back.errors, back.outputs['ami-id'], l.tags(b)['ami-action:vetoed-in']]).toEqual([[], a, 'stage']);
    expect(await state()).toEqual(ran(a));
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
