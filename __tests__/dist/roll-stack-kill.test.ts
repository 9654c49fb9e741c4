import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POLICIES, type StackLab, stackLab } from './stack-lab.ts';

/** A rollout of a stack that is killed after every change, and run again, or rolled back. */

let l: StackLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const LOOKS = /^(Describe|Get|List|AssumeRole)/;

/** Dies after its nth change. False: it came to its end before. */
async function dies(mode: 'promote' | 'rollback', wanted: Record<string, string>, nth: number): Promise<boolean> {
  const alive = { kill: () => {} };
  const action = { kill: () => alive.kill(), at: 'after' } as const;
  const disarm = l.lab.faults.add({ when: ({ operation }) => !LOOKS.test(operation), nth, action });
  const ran = await l.act(mode, wanted, { onStart: child => Object.assign(alive, { kill: () => child.kill('SIGKILL') }) });
  disarm();
  return ran.signal !== null;
}

const state = async () => [
  [...new Set(l.fleet())],
  l.parameter(),
  l.pointer(),
  l.candidate(),
  l.changeSets().length,
  l.groupNames().length,
];
const on = (image: string) => [[image], image, image, false, 0, 1];
const updates = () => l.events().filter(event => event === 'web UPDATE_IN_PROGRESS').length;

describe.each(['rolling', 'replacing', 'refresh'] as const)('%s update, killed after every change', policy => {
  test('and run again: one update to each image, and the pointer last', async () => {
    l = await stackLab({ policy: POLICIES[policy] });
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      const image = l.image(`web-${nth}`);
      died = await dies('promote', { image }, nth);
      if (died) expect({ nth, errors: (await l.act('promote', { image })).errors }).toEqual({ nth, errors: [] });
      expect([nth, await state(), updates()]).toEqual([nth, on(image), nth]);
      deaths += died ? 1 : 0;
    }
    expect(deaths).toBeGreaterThanOrEqual(7);
  }, 600_000);

  test('and rolled back instead: the image before, whatever had begun', async () => {
    l = await stackLab({ policy: POLICIES[policy] });
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      died = await dies('promote', { image: l.image(`web-${nth}`) }, nth);
      if (died) {
        const back = await l.act('rollback', {});
        // Nothing but a change set of the plan: the environment never left its image.
        const nothing = /^(No image to roll back to|Refused to roll back)/.test(back.errors[0] ?? '');
        expect({ nth, errors: nothing ? [] : back.errors }).toEqual({ nth, errors: [] });
        expect([nth, (await state()).slice(0, 4)]).toEqual([nth, on(l.a).slice(0, 4)]);
      }
      deaths += died ? 1 : 0;
    }
    expect(deaths).toBeGreaterThanOrEqual(7);
  }, 600_000);
});

test('a rollback that is killed after every change, and run again: back once and not twice', async () => {
  l = await stackLab();
  await l.act('promote', { image: l.b });
  let deaths = 0;
  for (let died = true, nth = 1; died; nth += 1) {
    await l.act('promote', { image: l.c, 'lift-veto': 'true' });
    died = await dies('rollback', {}, nth);
    const isOver = !died || (!l.candidate() && l.pointer() === l.b);
    if (!isOver) expect({ nth, errors: (await l.act('rollback', {})).errors }).toEqual({ nth, errors: [] });
    expect([nth, (await state()).slice(0, 4)]).toEqual([nth, on(l.b).slice(0, 4)]);
    deaths += died ? 1 : 0;
  }
  expect(deaths).toBeGreaterThanOrEqual(7);
}, 600_000);
