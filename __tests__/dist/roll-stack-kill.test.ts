import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { dies, IS_FULL, KILL_TIMEOUT } from './kill-points.ts';
import { POLICIES, READS, type StackLab, type StackOptions, stackLab } from './stack-lab.ts';

/** A rollout of a stack that is killed at every call, and run again, or rolled back. */

let l: StackLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const diesAt = (mode: 'promote' | 'rollback', wanted: Record<string, string>, nth: number) =>
  dies(l.lab, nth, onStart => l.act(mode, wanted, { onStart }));

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

const WAYS: readonly (readonly [name: string, options: StackOptions])[] = [
  ['rolling update', {}],
  ['replacing update', { policy: POLICIES.replacing }],
  ['instance refresh', { policy: POLICIES.refresh }],
  ['a stack that reads the pointer', READS],
];

// The calls are the same for all update policies, so CI takes some of them.
const AGAIN = IS_FULL ? WAYS : WAYS.filter(([, { policy }]) => policy !== POLICIES.refresh);
const BACK = IS_FULL ? WAYS : WAYS.filter(([, { policy }]) => policy === undefined);

describe.each(AGAIN)('%s, killed at every call', (_, options) => {
  test(
    'and run again: one update to each image',
    async () => {
      l = await stackLab(options);
      let deaths = 0;
      for (let died = true, nth = 1; died; nth += 1) {
        const image = l.image(`web-${nth}`);
        died = await diesAt('promote', { image }, nth);
        if (died) expect({ nth, errors: (await l.act('promote', { image })).errors }).toEqual({ nth, errors: [] });
        expect([nth, await state(), updates()]).toEqual([nth, on(image), nth]);
        deaths += died ? 1 : 0;
      }
      expect(deaths).toBeGreaterThanOrEqual(7);
    },
    KILL_TIMEOUT,
  );
});

describe.each(BACK)('%s, killed at every call', (_, options) => {
  test(
    'and rolled back instead: the image before, whatever had begun',
    async () => {
      l = await stackLab(options);
      let deaths = 0;
      for (let died = true, nth = 1; died; nth += 1) {
        died = await diesAt('promote', { image: l.image(`web-${nth}`) }, nth);
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
    },
    KILL_TIMEOUT,
  );
});

test.each([
  ['', {}],
  [' of a stack that reads the pointer', READS],
])(
  'a rollback%s that is killed at every call, and run again: back once and not twice',
  async (_, options) => {
    l = await stackLab(options);
    await l.act('promote', { image: l.b });
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      await l.act('promote', { image: l.c, 'lift-veto': 'true' });
      died = await diesAt('rollback', {}, nth);
      const isOver = !died || (!l.candidate() && l.pointer() === l.b);
      if (!isOver) expect({ nth, errors: (await l.act('rollback', {})).errors }).toEqual({ nth, errors: [] });
      expect([nth, (await state()).slice(0, 4)]).toEqual([nth, on(l.b).slice(0, 4)]);
      deaths += died ? 1 : 0;
    }
    expect(deaths).toBeGreaterThanOrEqual(7);
  },
  KILL_TIMEOUT,
);
