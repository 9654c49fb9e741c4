import { describe, expect, test } from '@jest/globals';
import { preferenceProblems, preferencesOf, replacedAtATime } from '../../src/rollout/rules/preferences.ts';

describe('scenario 62: preferences that AWS would refuse', () => {
  test.each<[string, Parameters<typeof preferenceProblems>[0], RegExp | undefined]>([
    ['max without min', { bake: 60, rollTimeout: 7200, maxHealthy: 110 }, /"max-healthy" needs "min-healthy"/],
    [
      'more than 100 apart',
      { bake: 60, rollTimeout: 7200, minHealthy: 50, maxHealthy: 200 },
      /at most 100 above "min-healthy", got 200 and 50/,
    ],
    [
      'falling checkpoints',
      { bake: 60, rollTimeout: 7200, checkpoints: [50, 20, 100], checkpointDelay: 60 },
      /must be ascending without repeats, got 50, 20, 100/,
    ],
    [
      'the same checkpoint twice',
      { bake: 60, rollTimeout: 7200, checkpoints: [20, 20, 100], checkpointDelay: 60 },
      /must be ascending without repeats/,
    ],
    ['checkpoints that end before 100', { bake: 60, rollTimeout: 7200, checkpoints: [20, 50], checkpointDelay: 60 }, /must end with 100/],
    ['checkpoints without a delay', { bake: 60, rollTimeout: 7200, checkpoints: [100] }, /AWS waits an hour/],
    ['a delay without checkpoints', { bake: 60, rollTimeout: 7200, checkpointDelay: 60 }, /"checkpoint-delay" needs "checkpoints"/],
    ['eleven alarms', { bake: 60, rollTimeout: 7200, alarms: Array.from({ length: 11 }, (_, i) => `a${i}`) }, /at most 10 alarms, got 11/],
    ['a timeout shorter than the bake', { bake: 7200, rollTimeout: 3600 }, /"roll-timeout" \(1h\) must be longer than "bake"/],
    [
      'checks that may outlast the pause at a checkpoint',
      { bake: 600, rollTimeout: 7200, checkpoints: [20, 100], checkpointDelay: 240, checksSeconds: 240 },
      /"checkpoint-delay" \(4m\) must be longer than "checks-timeout" \(4m\): AWS continues after the delay/,
    ],
    [
      'checks that may outlast the bake',
      { bake: 240, rollTimeout: 7200, checksSeconds: 240 },
      /"bake" \(4m\) must be longer than "checks-timeout" \(4m\)/,
    ],
    ['batches and a minimum', { bake: 60, rollTimeout: 7200, batchSize: 2, minHealthy: 50 }, /"batch-size" replaces "min-healthy"/],
    [
      'a fast pace and a minimum',
      { bake: 60, rollTimeout: 7200, pace: 'fast', minHealthy: 50 },
      /"pace: fast" replaces all instances in one batch/,
    ],
    [
      'batches and both percentages',
      { bake: 60, rollTimeout: 7200, batchSize: 2, minHealthy: 100, maxHealthy: 150 },
      /"batch-size" replaces "min-healthy" and "max-healthy": set one or the other/,
    ],
    [
      'pauses that take all the time there is',
      { bake: 60, rollTimeout: 660, checkpoints: [20, 40, 100], checkpointDelay: 300 },
      /"roll-timeout" \(11m\) must be longer than "bake" and the pauses at "checkpoints" together \(11m\)/,
    ],
    [
      'checks that end in time',
      { bake: 241, rollTimeout: 7200, checkpoints: [20, 100], checkpointDelay: 241, checksSeconds: 240, batchSize: 2 },
      undefined,
    ],
    [
      'what is right',
      { bake: 60, rollTimeout: 7200, minHealthy: 100, maxHealthy: 200, checkpoints: [20, 100], checkpointDelay: 60 },
      undefined,
    ],
  ])('%s', (_, preferences, says) => {
    const problems = preferenceProblems(preferences);
    if (says === undefined) expect(problems).toEqual([]);
    else expect(problems).toEqual([expect.stringMatching(says)]);
  });

  test('AWS is never left to wait an hour unasked, always rolls back, and replaces nothing twice', () => {
    expect(preferencesOf({ bake: 60, rollTimeout: 7200 }, { desired: 2 })).toMatchObject({
      protectedInstances: 'ignore',
      standbyInstances: 'ignore',
      autoRollback: true,
      skipMatching: true,
      bakeSeconds: 60,
    });
  });
});

describe('instances at a time, in whole percents', () => {
  const perBatch = (batchSize: number, desired: number) => {
    const preferences = preferencesOf({ bake: 60, rollTimeout: 7200, batchSize }, { desired });
    return { percent: preferences.minHealthy, atATime: replacedAtATime({ desired }, preferences) };
  };
  test.each([
    [1, 300, { percent: 100, atATime: 1 }],
    [2, 300, { percent: 100, atATime: 1 }],
    [3, 300, { percent: 99, atATime: 3 }],
    [290, 300, { percent: 4, atATime: 288 }],
    [1, 10, { percent: 90, atATime: 1 }],
    [2, 7, { percent: 71, atATime: 2 }],
    [2, 2, { percent: 0, atATime: 2 }],
    [5, 2, { percent: 0, atATime: 2 }],
    [1, 1, { percent: 0, atATime: 1 }],
  ])('%d of %d', (batchSize, desired, wanted) => {
    expect(perBatch(batchSize, desired)).toEqual(wanted);
  });

  test('never more than was said, and where a percent fits, exactly that', () => {
    for (let desired = 1; desired <= 400; desired += 3) {
      for (const batchSize of [1, 2, 3, 7, 50].filter(size => size <= desired)) {
        const { atATime } = perBatch(batchSize, desired);
        expect([batchSize, desired, atATime <= batchSize]).toEqual([batchSize, desired, true]);
        if (desired <= 100) expect([batchSize, desired, atATime]).toEqual([batchSize, desired, batchSize]);
      }
    }
  });
});
