import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { dies, IS_FULL, KILL_TIMEOUT } from './kill-points.ts';
import { type Kind, type Pairing, type ShiftLab, shiftLab } from './shift-lab.ts';

/** A cut-over by weights, killed at every call, and answers that get lost: the next run ends it, and visitors are always answered. */

let s: ShiftLab;
afterEach(() => s.l.lab.close());
afterAll(removeWorkspaces);

const promote = (image: string, more: Parameters<ShiftLab['l']['act']>[2] = {}) => s.l.act('promote', { ...s.settings, image }, more);

const diesAt = (image: string, nth: number, of?: string) =>
  dies(s.l.lab, nth, onStart => promote(image, { onStart }), of === undefined ? undefined : ({ operation }) => operation === of);

/** One image runs, all traffic goes to it, and no tag of a pair is left. */
function expectSettled(image: string, nth: number): void {
  const { runs, weights, pointer, candidate, tags } = s.state();
  expect({ nth, runs: Object.values(runs).filter(run => run !== ''), pointer, candidate, tags }).toEqual({
    ...{ nth, runs: [image], pointer: image, candidate: false, tags: [] },
  });
  expect(weights).toMatch(/^(1|100)\/0$|^0\/100$/);
}

const answered = (shares: readonly string[]) => expect(shares.filter(share => /none/.test(share))).toEqual([]);

/** What carries the weights makes no difference to most calls: `npm run kills` runs every kind. */
const OTHERS: readonly [Kind, Pairing][] = [
  ['network', 'temporary'],
  ['records', 'temporary'],
  ['classic', 'temporary'],
];
describe.each<[Kind, Pairing]>([['rule', 'temporary'], ['rule', 'permanent'], ...(IS_FULL ? OTHERS : [])])('%s, %s', (kind, pairing) => {
  test(
    'killed at every call, and run again',
    async () => {
      s = await shiftLab(kind, pairing, { speed: 480 });
      const shares = s.visit();
      const [b, c] = [s.b, s.c];
      let deaths = 0;
      for (let nth = 1, died = true; died; nth += 1) {
        const image = s.l.pointer() === b ? c : b;
        died = await diesAt(image, nth);
        if (died) expect((await promote(image)).errors).toEqual([]);
        expectSettled(image, nth);
        deaths += died ? 1 : 0;
      }
      expect(deaths).toBeGreaterThan(12);
      answered(shares);
    },
    KILL_TIMEOUT,
  );

  test(
    'killed at every call, and rolled back',
    async () => {
      s = await shiftLab(kind, pairing, { speed: 480 });
      const shares = s.visit();
      for (let nth = 1, died = true; died; nth += 1) {
        const before = s.l.pointer() ?? '';
        const image = s.l.image(`web-${nth}`);
        died = await diesAt(image, nth);
        if (!died || s.l.pointer() !== before) break;
        const back = await s.l.act('rollback', { ...s.settings, shift: '100' });
        // Before the candidate was written there is nothing to roll back.
        if (back.exitCode === 0) expectSettled(before, nth);
        else expect(back.errors.join()).toContain('No image to roll back to');
      }
      answered(shares);
    },
    KILL_TIMEOUT,
  );
});

test.each<[Kind, string]>([
  ['rule', 'ModifyRule'],
  ['network', 'ModifyListener'],
  ['records', 'ChangeResourceRecordSets'],
])('%s: the answer to a change of weights gets lost: the run goes on', async (kind, operation) => {
  s = await shiftLab(kind, 'temporary');
  const shares = s.visit();
  for (const nth of [1, 3]) s.l.lab.faults.add({ operation, nth, action: { reset: 'after' } });
  expect((await promote(s.b)).errors).toEqual([]);
  expectSettled(s.b, 0);
  answered(shares);
});

test(
  'records, killed after a change of weights: the next run ends it',
  async () => {
    s = await shiftLab('records', 'permanent', { speed: 480 });
    const shares = s.visit();
    const [b, c] = [s.b, s.c];
    for (const nth of [1, 2, 3]) {
      const image = s.l.pointer() === b ? c : b;
      expect(await diesAt(image, nth, 'ChangeResourceRecordSets')).toBe(true);
      expect((await promote(image)).errors).toEqual([]);
      expectSettled(image, nth);
    }
    answered(shares);
  },
  KILL_TIMEOUT,
);
