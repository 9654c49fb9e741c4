import { describe, expect, test } from '@jest/globals';
import { CancelledError, RejectedError, TimeoutError, UnknownError } from '../../src/kit/errors.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { A, B, both, C, dieAt, HOME, NONE, POINTER, type Region, settings, twoRegions, WEST } from './regions-world.ts';
import { failureOf, gone } from './roll-world.ts';

/** A region that is no longer watched, while another one is done or fails. */

const CANDIDATE = `${POINTER}/candidate`;
const KEPT = `${CANDIDATE} keeps the image from being pruned until the rollout has finished`;
const RESUME = 'Re-run the job with the same settings: it finds the rollout, watches it and finishes it.';
const BACK = 'Run mode "rollback" with the same groups: it reverts the rest.';
const back = { ...settings, image: 'previous' };

type Two = ReturnType<typeof twoRegions>;
const begun = (l: Two) => l.log.filter(line => line.includes('start'));

/** From now on the groups there cannot be read. */
const unseen = (l: Two, region: Region) => {
  const { groups } = l.place(region);
  const { find } = groups;
  const blind = async (query: Parameters<typeof find>[0]) => (query.names === undefined ? find(query) : Promise.reject(gone));
  Object.assign(groups, { find: blind });
  return () => void Object.assign(groups, { find });
};

const cancelAt = (l: Two, nth: number) => {
  let sleeps = 0;
  const { sleep } = l.world.clock;
  const until = async (ms: number) => {
    sleeps += 1;
    return sleeps < nth ? sleep(ms) : Promise.reject(new CancelledError());
  };
  Object.assign(l.world.clock, { sleep: until });
  return () => void Object.assign(l.world.clock, { sleep });
};

describe('one after another, and the first is not seen to its end', () => {
  test.each(['time', 'cancel'])('%s: the second is not begun; run again, both finish', async how => {
    const l = twoRegions({ [HOME]: { script: ['InProgress'] } });
    const go = how === 'cancel' ? cancelAt(l, 3) : () => {};
    const failure = await failureOf(promote({ ...settings, order: 'one-by-one', rollTimeout: 300 }, l.world));
    expect(failure).toBeInstanceOf(how === 'cancel' ? CancelledError : TimeoutError);
    expect(begun(l)).toEqual([`${HOME}: start r-1 of web to lt-1:2`]);
    expect(failure.leftovers).toEqual([`${HOME}: refresh r-1 of web is in progress`, `${WEST}: not started`, KEPT]);
    expect(failure.next).toBe(RESUME);
    go();
    l.made[HOME].state.script.splice(0, 1, 'Baking', 'Successful');
    expect(await promote({ ...settings, order: 'one-by-one' }, l.world)).toMatchObject({ outcome: 'done' });
    expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(B), NONE, both(B)]);
  });
});

describe('cancelled, with "on-cancel: rollback"', () => {
  const cancelled = { ...settings, onCancel: 'rollback' as const };

  test('every region is rolled back by AWS, with nothing left to do', async () => {
    const l = twoRegions({ [HOME]: { script: ['InProgress'] }, [WEST]: { script: ['InProgress'] } });
    cancelAt(l, 4);
    const failure = await failureOf(promote(cancelled, l.world));
    expect(failure.leftovers).toEqual([
      `${HOME}: refresh r-1 of web is being rolled back by AWS`,
      `${WEST}: refresh r-1 of web is being rolled back by AWS`,
      KEPT,
    ]);
    expect(failure.next).toBe('Nothing: AWS returns the groups to the old image.');
  });

  test.each([[[WEST]], [[]]])('one that AWS cannot roll back goes on, so there is something to do (others: %j)', async regions => {
    const l = twoRegions({ [HOME]: { script: ['InProgress'] }, [WEST]: { script: ['InProgress'] } });
    Object.assign(l.place(regions[0] ?? HOME).groups, { rollBack: async () => 'impossible' });
    cancelAt(l, 4);
    const failure = await failureOf(promote({ ...cancelled, regions }, l.world));
    expect(failure.leftovers.join()).toContain('refresh r-1 of web cannot be rolled back by AWS and goes on');
    expect(failure.next).toBe(BACK);
  });

  test('one that was done already is not, so that is reported', async () => {
    const l = twoRegions({ [WEST]: { script: ['InProgress'] } });
    const go = cancelAt(l, 20);
    const failure = await failureOf(promote(cancelled, l.world));
    expect(failure.leftovers).toEqual([`${WEST}: refresh r-1 of web is being rolled back by AWS`, `${HOME}: web runs ${B[HOME]}`, KEPT]);
    expect(failure.next).toBe(BACK);
    go();
    expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done' });
    expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(A), NONE, both(A)]);
  });
});

describe('one region is out of reach', () => {
  test('before it was begun, and the other is done: how it ends is unknown, and no matter of the network alone', async () => {
    const l = twoRegions();
    l.hooks.before = call => {
      if (call.startsWith(`${WEST}: create`)) throw gone;
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure).toBeInstanceOf(UnknownError);
    expect(failure.next).toBe(
      `${RESUME} If that run cannot reach AWS either: Check region, network, proxy and certificates of the runner.`,
    );
    l.hooks.before = () => {};
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
    expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(B), NONE, both(B)]);
  });

  test('without waiting: what was begun in the other is not said to be done', async () => {
    const l = twoRegions();
    l.hooks.before = call => {
      if (call.startsWith(`${WEST}: create`)) throw gone;
    };
    const failure = await failureOf(promote({ ...settings, wait: false }, l.world));
    expect(failure.leftovers).toContain(`${HOME}: refresh r-1 of web is in progress`);
  });

  test.each(['all', 'failed'] as const)(
    'while the other fails, undo: %s: what was announced stays, and a rollback knows where this one started',
    async undo => {
      const late = [...Array.from({ length: 80 }, () => 'InProgress' as const), 'Failed' as const];
      const l = twoRegions({ [HOME]: { script: ['InProgress'] }, [WEST]: { script: late } });
      const seen = unseen(l, HOME);
      const failure = await failureOf(promote({ ...settings, undo }, l.world));
      expect(failure).toBeInstanceOf(RejectedError);
      expect(failure.leftovers).toEqual([
        `${WEST}: Reverted: every group launches and runs what it did before`,
        `${HOME}: Cannot reach AWS (look): ENOTFOUND`,
        `${HOME}: refresh r-1 of web is in progress`,
        `${CANDIDATE} is kept: it shows the next run where this one started`,
      ]);
      expect(failure.next).toBe(`${BACK} Or fix the cause and run the job again.`);
      seen();
      // It went on by itself.
      l.made[HOME].state.script.splice(0, 1, 'Successful');
      await l.place(HOME).groups.refresh('web', 'r-1');
      expect([l.candidates(), l.runs()[0]]).toEqual([both(B), [B[HOME]]]);
      expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done', outputs: { amiIds: A, replacedAmiId: B[HOME] } });
      expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([both(A), NONE, [A[HOME]]]);
    },
  );
});

test('what ran the image before is sick in one region: what the other one runs is reported', async () => {
  const l = twoRegions();
  await promote({ ...settings, region: WEST, regions: [], image: B[WEST] }, l.world);
  const { groups } = l.place(WEST);
  const { find } = groups;
  const sick = async (query: Parameters<typeof find>[0]) =>
    (await find(query)).map(group => (query.names === undefined ? group : { ...group, members: [] }));
  Object.assign(groups, { find: sick });
  const failure = await failureOf(promote(settings, l.world));
  expect(failure.message).toBe(`${WEST}: Instances that already run ${B[WEST]}: web: no instance is in service`);
  expect(failure.leftovers).toEqual([
    `${WEST}: the groups run ${B[WEST]}, and ${POINTER} names ${B[WEST]}`,
    `${HOME}: web runs ${B[HOME]}`,
  ]);
  Object.assign(groups, { find });
  expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done' });
  expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(A), NONE, both(A)]);
});

describe('lost, and what the other region runs by then falls', () => {
  /** What an instance runs there changed behind our back, and no refresh comes to its end. */
  const falls = (l: Two, region: Region, to: string) => {
    l.hooks.before = () => {};
    const { runs, script } = l.made[region].state;
    for (const id of runs.keys()) runs.set(id, to);
    script.splice(0, 9, 'Failed');
  };

  test.each([2, 3, 4])('a region that ran the image long before keeps it, killed at call %i', async nth => {
    const l = twoRegions({ [WEST]: { script: ['Failed'] } });
    await promote({ ...settings, regions: [] }, l.world);
    dieAt(l, nth);
    await promote(settings, l.world).catch(() => {});
    l.hooks.before = () => {};
    await failureOf(promote(settings, l.world));
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([[B[HOME], A[WEST]], NONE, [B[HOME]]]);
  });

  test('where every pointer had moved the image was proven, so they stay', async () => {
    const l = twoRegions();
    dieAt(l, 10);
    await promote(settings, l.world).catch(() => {});
    expect([l.pointers(), l.candidates()]).toEqual([both(B), [B[HOME], undefined]]);
    falls(l, WEST, A[WEST]);
    await failureOf(promote(settings, l.world));
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([both(B), NONE, [B[HOME]]]);
  });

  test('a rollback that is taken back so is not counted: the next one leads to the same image', async () => {
    const l = twoRegions();
    await promote(settings, l.world);
    await promote({ ...settings, image: C[HOME] }, l.world);
    dieAt(l, 8);
    await rollback(back, l.world).catch(() => {});
    expect(l.pointers()).toEqual([B[HOME], C[WEST]]);
    falls(l, WEST, C[WEST]);
    await failureOf(rollback(back, l.world));
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([both(C), NONE, [C[HOME]]]);
    l.made[WEST].state.script.splice(0, 1, 'Baking', 'Successful');
    expect(await rollback(back, l.world)).toMatchObject({ outputs: { amiIds: B, replacedAmiId: C[HOME] } });
  });
});
