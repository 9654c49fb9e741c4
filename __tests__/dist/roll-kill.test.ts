import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

/**
 * Killed after every call that changes anything, and run again with the same settings. Between two such calls it only looks, so the death
 * there leaves what the death after the earlier one leaves; promote.test.ts dies at the looks too, roll-blue-green.test.ts with two groups.
 */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const WEST = 'eu-west-1';
const quick = { bake: '1m', 'warm-up': '0s' };
const rolling = { ...quick, 'min-healthy': '0', groups: 'web, api, reads', 'parameter-templates': 'follow' };
const LOOKS = /^(Describe|Get|List|AssumeRole)/;

type Act = { readonly mode: 'promote' | 'rollback'; readonly wanted: Record<string, string> };

/** Dies after its nth change. False: it came to its end before. */
async function dies({ mode, wanted }: Act, nth: number): Promise<boolean> {
  const alive = { kill: () => {} };
  const disarm = l.lab.faults.add({
    when: ({ operation }) => !LOOKS.test(operation),
    nth,
    action: { kill: () => alive.kill(), at: 'after' },
  });
  const ran = await l.act(mode, wanted, { onStart: child => Object.assign(alive, { kill: () => child.kill('SIGKILL') }) });
  disarm();
  return ran.signal !== null;
}

/** Answers how many deaths it took until it came to its end. */
async function killedAtEveryChange(between: (nth: number) => Promise<Act>, judge: (nth: number) => void): Promise<number> {
  for (let nth = 1; ; nth += 1) {
    const act = await between(nth);
    const before = l.pointer();
    const died = await dies(act, nth);
    // A rollback that had come to its end is not run again: it would go one further back, as it should.
    const isOver = act.mode === 'rollback' && !l.candidate() && l.pointer() !== before;
    const again = isOver ? undefined : await l.act(act.mode, act.wanted);
    expect({ nth, errors: again?.errors ?? [], exitCode: again?.exitCode ?? 0 }).toEqual({ nth, errors: [], exitCode: 0 });
    judge(nth);
    if (!died) return nth - 1;
  }
}

const runs = (each: Pick<RollLab, 'runs'>, ...names: string[]) => names.map(name => [...new Set(each.runs(name))].join());
const fights = () => ['web', 'api', 'reads'].flatMap(l.refreshes).filter(status => status !== 'Successful' && status !== 'Cancelled');

async function stage() {
  // No refresh fails here. At this speed the lab's default patience is 0.2 seconds, and a machine that stalls once would fail one.
  const refreshPatience = 3600;
  l = await rollLab({ speed: 600, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1, refreshPatience } });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  return { a, b, c };
}

/** Two that name a version, of templates of their own, and one that reads the pointer. */
async function threeGroups() {
  const { a, b, c } = await stage();
  const one = { DesiredCapacity: 1 };
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' }, one);
  await l.group('api', { LaunchTemplateId: await l.template('api', { ImageId: a }), Version: '$Latest' }, one);
  await l.group('reads', { LaunchTemplateId: await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` }), Version: '1' }, one);
  return { a, b, c };
}

describe('killed after every change, and run again', () => {
  test('three groups of three kinds: one image everywhere, at most one new version each, no two refreshes fighting', async () => {
    await threeGroups();
    let to = '';
    const deaths = await killedAtEveryChange(
      async nth => {
        // One that no version names yet, and a group that is pinned first.
        to = l.image(`web-${nth}`);
        await l.relaunch('api', '$Latest');
        return { mode: 'promote', wanted: { ...rolling, bake: '15m', image: to } };
      },
      nth => {
        const versions = ['web', 'api', 'reads'].map(name => l.versions(name).length);
        expect([nth, runs(l, 'web', 'api', 'reads'), l.pointer(), l.candidate(), fights(), versions]).toEqual([
          ...[nth, [to, to, to], to, false, []],
          [nth + 1, nth + 1, 1],
        ]);
      },
    );
    expect(deaths).toBeGreaterThanOrEqual(9);
  }, 600_000);

  test('their rollback: it goes back once and not twice', async () => {
    const { b, c } = await threeGroups();
    const promoted = { ...rolling, 'lift-veto': 'true' };
    await l.act('promote', { ...promoted, image: b });
    const deaths = await killedAtEveryChange(
      async () => {
        await l.act('promote', { ...promoted, image: c });
        return { mode: 'rollback', wanted: { ...rolling } };
      },
      nth => expect([nth, runs(l, 'web', 'api', 'reads'), l.pointer(), l.candidate(), fights()]).toEqual([nth, [b, b, b], b, false, []]),
    );
    expect(deaths).toBeGreaterThan(6);
  }, 600_000);

  test('and rolled back instead: all run what they ran before, also where the owner of the refresh was unknown', async () => {
    const { a } = await threeGroups();
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      // So slow that the refresh of the one that reads still runs.
      died = await dies({ mode: 'promote', wanted: { ...rolling, 'warm-up': '15m', image: l.image(`web-${nth}`) } }, nth);
      const back = await l.act('rollback', rolling);
      expect({ nth, errors: back.errors }).toEqual({ nth, errors: [] });
      expect([nth, runs(l, 'web', 'api', 'reads'), l.pointer(), l.candidate()]).toEqual([nth, [a, a, a], a, false]);
      deaths += died ? 1 : 0;
    }
    expect(deaths).toBeGreaterThanOrEqual(8);
  }, 600_000);

  test('two regions: both run the same image, and both pointers name it', async () => {
    const { a, b } = await stage();
    const west = l.inRegion(WEST);
    const [a2, b2] = [west.image('web-a'), west.image('web-b')];
    for (const [id, there, letter] of [
      [a, a2, 'a'],
      [b, b2, 'b'],
    ] as const) {
      l.retag(id, { 'ami-action:commit': letter.repeat(40) });
      west.retag(there, { 'ami-action:commit': letter.repeat(40) });
    }
    await west.pointerTo(a2);
    const launch = async (each: Pick<RollLab, 'template'>, ImageId: string) => ({
      LaunchTemplateId: await each.template('web', { ImageId }),
      Version: '1',
    });
    await l.group('web', await launch(l, a), { DesiredCapacity: 1 });
    await west.group('web', await launch(west, a2), { DesiredCapacity: 1 });
    let to = a;
    const deaths = await killedAtEveryChange(
      async () => {
        to = to === a ? b : a;
        return { mode: 'promote', wanted: { ...quick, 'min-healthy': '0', groups: 'web', regions: WEST, image: to } };
      },
      nth => {
        const there = to === a ? a2 : b2;
        expect([nth, runs(l, 'web'), runs(west, 'web'), l.pointer(), west.pointer(), l.candidate(), west.candidate()]).toEqual([
          ...[nth, [to], [there], to, there, false, false],
        ]);
        expect([l.versions('web'), west.versions('web')]).toEqual([
          [1, 2],
          [1, 2],
        ]);
      },
    );
    expect(deaths).toBeGreaterThan(7);
  }, 600_000);
});
