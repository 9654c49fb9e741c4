import { expect, test } from '@jest/globals';
import { concurrently } from '../../src/kit/concurrently.ts';

test('after a failure nothing further is started, and what is under way is waited for', async () => {
  const ended: number[] = [];
  const work = async (item: number) => {
    if (item === 2) throw new Error('two');
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
    ended.push(item);
    return item;
  };
  await expect(concurrently([1, 2, 3, 4, 5], 3, work)).rejects.toThrow('two');
  expect(ended).toEqual([1, 3]);
});

test('answers in the order of the items', async () => {
  expect(await concurrently([3, 1, 2], 2, async item => item * 2)).toEqual([6, 2, 4]);
});
