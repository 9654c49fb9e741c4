import { describe, expect, test } from '@jest/globals';
import type { Group, Launching } from '../../src/model/group.ts';
import type { Tags } from '../../src/model/image.ts';
import { failedLaunches, newLaunchWatch } from '../../src/rollout/launch-failures.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { consecutiveFailures } from '../../src/rollout/rules/launches.ts';
import { A, B, C, failureOf, group, settings, stage } from './roll-world.ts';

const launching = (seconds: number, result: Launching['result'], message = ''): Launching => ({
  at: new Date(seconds * 1000),
  result,
  message,
});
const NO_GRANT = 'Client.InternalError: Client error on launch. KMS key is not accessible';

describe('launches that failed in a row', () => {
  const [failed, good, running] = [launching(30, 'failed', 'x'), launching(20, 'successful'), launching(40, 'pending')];
  test.each<[string, readonly Launching[], readonly Launching[]]>([
    ['none', [], []],
    ['all that failed', [failed, launching(25, 'failed')], [failed, launching(25, 'failed')]],
    ['not before the last good one', [failed, good, launching(15, 'failed')], [failed]],
    ['a launch that has not ended says nothing', [running, failed], [failed]],
    ['none from before the rollout', [launching(5, 'failed')], []],
  ])('%s', (_, launches, expected) => expect(consecutiveFailures(launches, 10_000)).toEqual(expected));
});

describe('a group whose launches fail', () => {
  const failing = () => {
    const l = stage({ script: ['InProgress'] });
    const reads: number[] = [];
    Object.assign(l.groups, {
      launches: async () => {
        reads.push(l.state.now / 1000);
        return reads.map(at => launching(at, 'failed', NO_GRANT));
      },
    });
    return { ...l, reads };
  };

  test('is reported within a minute, and the rollout fails after the third in a row, long before its time limit', async () => {
    const l = failing();
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe(`web: 3 launches in a row failed: ${NO_GRANT}`);
    expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
    expect(l.log.filter(line => line.startsWith('!'))).toEqual([`! web: a launch failed: ${NO_GRANT}`]);
    expect([l.reads, l.pointerNow()]).toEqual([[52, 102, 152], A]);
  });

  test('one that makes progress is not asked', async () => {
    const l = stage();
    Object.assign(l.groups, { launches: () => Promise.reject(new Error('asked')) });
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
  });
});

describe('whether launches may fail is asked', () => {
  const looks = async (...states: readonly (readonly string[])[]) => {
    let now = 0;
    const asked: number[] = [];
    const launches = async () => {
      asked.push(now / 1000);
      return [];
    };
    const context = { aws: { groups: { launches } }, deps: { clock: { now: () => now } } } as unknown as Parameters<
      typeof failedLaunches
    >[2];
    const watch = newLaunchWatch(now);
    for (const [i, all] of states.entries()) {
      now = i * 10_000;
      const members = all.flatMap((state, at) =>
        state === '' ? [] : [{ id: `i-${at}`, state, healthy: true, protected: false, template: undefined }],
      );
      await failedLaunches(group('web', { members }), watch, context);
    }
    return asked;
  };
  const during = (count: number, states: readonly string[]) => Array.from({ length: count }, () => states);

  test('within a minute, where some could not be launched while another one boots', async () => {
    expect(await looks(...during(7, ['Pending', '']))).toEqual([50]);
  });

  test('not yet, where all of them boot', async () => {
    expect(await looks(...during(12, ['Pending', 'Pending']))).toEqual([]);
  });

  test('at once, where one is gone that was never in service', async () => {
    expect(await looks(['Pending', 'Pending'], ['Pending', 'Terminating'], ['Pending', ''])).toEqual([10]);
    expect(await looks(['Pending', 'Pending'], ['InService', ''])).toEqual([10]);
  });
});

test('major M12: launches that fail in the new group of blue-green end the rollout, and the group goes', async () => {
  const l = stage();
  Object.assign(l.groups, {
    launches: async (name: string) => [0, 1, 2].map(() => launching(l.state.now / 1000, 'failed', `${name}: ${NO_GRANT}`)),
    create: async ({ from, as, tags }: { from: string; as: string; tags: Tags }) => {
      l.state.groups.set(as, { ...(l.state.groups.get(from) as Group), name: as, members: [], tags });
      return 'created';
    },
    remove: async (name: string) => void l.state.groups.delete(name),
  });
  const failure = await failureOf(promote({ ...settings, strategy: 'blue-green' }, l.world));
  expect(failure.message).toBe(`web-green: 3 launches in a row failed: web-green: ${NO_GRANT}`);
  expect([l.pointerNow(), [...l.state.groups.keys()], l.state.now < 120_000]).toEqual([A, ['web'], true]);
});

test('minor m16: AWS rolled back and left a new instance that is protected from scale-in: it is named, and the candidate stays', async () => {
  const l = stage({ script: ['InProgress', 'RollbackSuccessful'] });
  const { refresh } = l.groups;
  Object.assign(l.groups, {
    refresh: async (...which: Parameters<typeof refresh>) => {
      const seen = await refresh(...which);
      const web = l.state.groups.get('web');
      if (seen?.status === 'RollbackSuccessful' && web !== undefined) {
        const left = { id: 'i-left', state: 'InService', healthy: true, protected: true, template: undefined };
        l.state.runs.set(left.id, B);
        l.state.groups.set('web', { ...web, members: [...web.members.slice(0, 1), left] });
      }
      return seen;
    },
  });
  const failure = await failureOf(promote(settings, l.world));
  expect(failure.leftovers[0]).toBe(`web: 1 of 2 instances run ${B}, and the group launches lt-1:1`);
  expect([l.pointerNow(), l.candidate()]).toEqual([A, B]);
});

test('minor m15: an instance whose root volume was replaced runs the image of that volume', async () => {
  const l = stage();
  const web = l.state.groups.get('web');
  const members = (web?.members ?? []).map(member => ({ ...member, imageId: B }));
  if (web !== undefined) l.state.groups.set('web', { ...web, members });
  expect(await promote({ ...settings, image: C, dryRun: true }, l.world)).toMatchObject({ outcome: 'planned' });
  expect(l.log.join('\n')).toContain('2 of 2 instances in service run another image');
  expect(await promote({ ...settings, dryRun: true }, l.world)).toMatchObject({ outcome: 'planned' });
  expect(l.log.join('\n')).toContain('0 of 2 instances in service run another image');
});

test('a template version that is deleted in the bake time: the group could launch nothing, so it is no success', async () => {
  const l = stage();
  const { version } = l.launchTemplates;
  const deleted = async (use: Parameters<typeof version>[0]) => (use.version === '2' ? undefined : version(use));
  const { refresh } = l.groups;
  Object.assign(l.groups, {
    refresh: async (...which: Parameters<typeof refresh>) => {
      const seen = await refresh(...which);
      if (seen?.status === 'Baking') Object.assign(l.launchTemplates, { version: deleted });
      return seen;
    },
  });
  const failure = await failureOf(promote(settings, l.world));
  expect(failure.message).toBe('web: launch template version lt-1:2 no longer exists, so the group can launch nothing');
  expect([l.pointerNow(), [...l.state.runs.values()]]).toEqual([A, [A, A]]);
});
