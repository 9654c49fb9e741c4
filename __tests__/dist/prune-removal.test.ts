import type { ChildProcess } from 'node:child_process';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { removeWorkspaces } from '../harness.ts';
import { familyOfFive, type PruneLab, pruneLab, REAL } from './prune-lab.ts';

/** The removal of images with their snapshots, and the list of what remains. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

describe('snapshots', () => {
  test('scenario 71: one that another image uses, too, is kept without an error', async () => {
    await stage();
    l.image('twin', { daysOld: 5, snapshotOf: 'd50' });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there(), l.orphans()]).toEqual([0, 'done', ['d40', 'd10', 'twin'], []]);
  });

  test.each(['missing-permissions', 'internal-error', 'client-error'] as const)(
    'scenario 71: %s fails the job, and the list of what remains is complete',
    async code => {
      await stage();
      const snapshotId = `snap-${l.id('d50').slice('ami-'.length)}`;
      mishaps(l.home).snapshotDeletion.set(snapshotId, code);
      const ran = await l.act('prune', REAL);
      expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed']]).toEqual([
        1,
        code === 'missing-permissions' ? 'access' : 'rejected',
        '2',
      ]);
      expect([l.there(), l.orphans()]).toEqual([['d40', 'd20', 'd10'], [snapshotId]]);
      expect(ran.errors[0]).toContain(`2 of 2 images were removed; 1 action is incomplete.`);
      expect(ran.errors[0]).toContain(`- snapshot ${snapshotId} of ${l.id('d50')} (${code})`);
      expect(ran.errors[0]).toContain(`Next: aws ec2 delete-snapshot --snapshot-id ${snapshotId}`);
    },
  );
});

describe('scenario 77: an image that was already removed is no error', () => {
  test.each(['InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable'])('%s is a success', async error => {
    await stage();
    const gone = () => {
      l.labImage('d50').state = 'deregistered';
    };
    l.lab.faults.add({
      operation: 'DeregisterImage',
      when: ({ input }) => input['ImageId'] === l.id('d50'),
      action: { run: gone, at: 'before' },
    });
    l.lab.faults.add({ operation: 'DeregisterImage', when: ({ input }) => input['ImageId'] === l.id('d50'), action: { error } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], ran.errors]).toEqual([0, 'done', '2', []]);
    expect(l.named(ran.log)).toContain('d50 was already removed.');
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });
});

test('cancelled in the middle, it finishes what it has begun and reports what remains', async () => {
  l = await pruneLab();
  for (let n = 0; n < 20; n++) l.image(`d${n}`, { daysOld: 10 + n });
  await l.parameter('/ami/web/prod', l.id('d0'));
  let child: ChildProcess | undefined;
  const cancel = async () => {
    child?.kill('SIGINT');
    await new Promise(done => setTimeout(done, 200));
  };
  l.lab.faults.add({ operation: 'DeregisterImage', nth: 3, action: { run: cancel, at: 'before' } });
  const onStart = (started: ChildProcess) => {
    child = started;
  };
  const ran = await l.act('prune', REAL, { onStart });
  const removed = Number(ran.outputs['removed']);
  expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'cancelled', 20 - removed]);
  expect([removed >= 3, removed < 16, l.orphans()]).toEqual([true, true, []]);
  expect(ran.errors[0]?.split('\n').filter(line => line.startsWith('- image ')).length).toBe(16 - removed);
  await l.act('prune', { ...REAL, 'max-share': '100' });
  expect(l.there()).toHaveLength(2);
});

test('an image that cannot be removed does not stop the others, and the job fails', async () => {
  await stage();
  l.lab.faults.add({
    operation: 'DeregisterImage',
    when: ({ input }) => input['ImageId'] === l.id('d30'),
    action: { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 },
  });
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there()]).toEqual([
    1,
    'access',
    '1',
    ['d40', 'd30', 'd20', 'd10'],
  ]);
  expect(l.named(ran.errors[0] ?? '')).toContain(
    '1 of 2 images were removed; 1 action is incomplete.\nLeft behind:\n- image d30: Not allowed to deregister d30',
  );
});
