import { expect, test } from '@jest/globals';
import { concurrently, inBatches } from '../../src/kit/concurrently.ts';

const soon = () => new Promise(done => setImmediate(done));

test('answers in the order of the items, whoever is done first', async () => {
  const slowFirst = async (n: number) => {
    for (let turns = 5 - n; turns > 0; turns -= 1) await soon();
    return n * 10;
  };
  expect(await concurrently([1, 2, 3, 4], 3, slowFirst)).toEqual([10, 20, 30, 40]);
});

test('works on no more at a time than it may', async () => {
  let now = 0;
  let most = 0;
  await concurrently(
    Array.from({ length: 20 }, (_, n) => n),
    4,
    async () => {
      now += 1;
      most = Math.max(most, now);
      await soon();
      now -= 1;
    },
  );
  expect(most).toBe(4);
});

test('after a failure nothing further is started', async () => {
  const started: number[] = [];
  const work = async (n: number) => {
    started.push(n);
    await soon();
    if (n === 2) throw new Error('no');
  };
  await expect(concurrently([1, 2, 3, 4, 5, 6, 7, 8], 2, work)).rejects.toThrow('no');
  await soon();
  await soon();
  expect(started.length).toBeLessThan(6);
});

test('no items are no work', async () => {
  expect(await concurrently([], 4, async () => 1)).toEqual([]);
});

test('batches hold so many, the last what is left', () => {
  expect(inBatches([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
  expect(inBatches([], 2)).toEqual([]);
});
