import { describe, expect, test } from '@jest/globals';
import { UsageError } from '../../src/kit/errors.ts';
import { peakOf, preferenceProblems, preferencesOf, replacedAtATime, throwIfUnfit } from '../../src/rollout/rules/preferences.ts';
import { settings } from './roll-world.ts';

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
    ['ten alarms', { bake: 60, rollTimeout: 7200, alarms: Array.from({ length: 10 }, (_, i) => `a${i}`) }, undefined],
    ['a delay at a shift', { bake: 60, rollTimeout: 7200, checkpointDelay: 60, shiftAt: 'arn' }, undefined],
    ['one checkpoint', { bake: 60, rollTimeout: 7200, checkpoints: [100], checkpointDelay: 60 }, undefined],
    ['a fast pace', { bake: 60, rollTimeout: 7200, pace: 'fast' }, undefined],
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

test('without a setting AWS takes the maintenance policy, else 90 percent', () => {
  const policy = { desired: 10, maintenance: { minHealthy: 50, maxHealthy: 150 } };
  const none = { minHealthy: undefined, maxHealthy: undefined };
  expect([
    replacedAtATime(policy, none),
    replacedAtATime(policy, { ...none, minHealthy: 80 }),
    replacedAtATime({ desired: 10 }, none),
  ]).toEqual([10, 2, 1]);
  expect([peakOf(policy, none), peakOf(policy, { ...none, minHealthy: 80 }), peakOf(policy, { ...none, minHealthy: 100 })]).toEqual([
    15, 10, 11,
  ]);
  const preferences = preferencesOf({ bake: 60, rollTimeout: 7200, batchSize: 2 }, { desired: 10 });
  expect([preferences.minHealthy, preferences.maxHealthy, preferences.alarms]).toEqual([80, undefined, []]);
  expect(preferencesOf({ bake: 60, rollTimeout: 7200, alarms: ['a'] }, { desired: 10 }).alarms).toEqual(['a']);
});

describe('settings that do not fit', () => {
  const fits = { ...settings, regions: [] };
  const PAIR = '"strategy: two-groups" takes "groups" in pairs, such as "groups: web-blue, web-green", and no "group-tags": got';
  const EMPTY = '"groups" is missing: name the groups that run the image, or set "strategy: none" to move the pointer only';
  const ONLY_POINTER =
    '"strategy: none" moves the pointer only, but "groups" or "group-tags" name groups: remove them (under "with:", "groups: []" overrides the file), or set "strategy: rolling"';
  const nodeGroups = [{ cluster: 'main', name: 'blue' }];
  const pair = { strategy: 'two-groups' as const, groups: ['web-blue', 'web-green'] };
  const stack = { stack: 'web', stackParameter: 'ImageId', groups: undefined };
  const SHIFT_PAIR = '"shift-at" takes one pair of groups and no "group-tags": got a, b, c, d';
  test.each<[string, object, string | undefined]>([
    ['groups', {}, undefined],
    ['tags alone', { groups: undefined, groupTags: { a: 'b' } }, undefined],
    ['node groups alone', { groups: undefined, nodeGroups }, undefined],
    ['a stack alone', stack, undefined],
    ['nothing', { groups: undefined }, EMPTY],
    ['a stack and node groups', { ...stack, nodeGroups }, '"stack" and "node-groups" cannot be combined: promote them one after another'],
    ['none', { strategy: 'none', groups: undefined }, undefined],
    ['none, with groups', { strategy: 'none' }, ONLY_POINTER],
    ['none, with node groups', { strategy: 'none', groups: undefined, nodeGroups }, ONLY_POINTER],
    ['hold', { hold: true }, '"hold" needs "strategy: blue-green" or "strategy: two-groups"'],
    ['hold, blue-green', { hold: true, strategy: 'blue-green' }, undefined],
    ['hold, two groups', { hold: true, ...pair }, undefined],
    [
      'one by one, without waiting',
      { wait: false, order: 'one-by-one' },
      '"wait: false" starts all groups at once: remove it, or remove "order: one-by-one"',
    ],
    ['in parallel, without waiting', { wait: false }, undefined],
    ['one by one', { order: 'one-by-one' }, undefined],
    ['a pair', pair, undefined],
    ['a pair and tags', { ...pair, groupTags: { a: 'b' } }, `${PAIR} web-blue, web-green`],
    ['half a pair', { ...pair, groups: ['web-blue'] }, `${PAIR} web-blue`],
    ['one group twice', { ...pair, groups: ['web-blue', 'web-blue'] }, `${PAIR} web-blue, web-blue`],
    ['a shift of a pair', { ...pair, shiftAt: 'arn' }, undefined],
    ['a shift of two pairs', { ...pair, groups: ['a', 'b', 'c', 'd'], shiftAt: 'arn' }, SHIFT_PAIR],
    [
      'a shift of tags',
      { strategy: 'blue-green', groupTags: { a: 'b' }, shiftAt: 'arn' },
      '"shift-at" takes one group and no "group-tags": got web',
    ],
    ['eight steps', { strategy: 'blue-green', shiftAt: 'arn', shift: [1, 2, 3, 4, 5, 6, 7, 100] }, undefined],
    [
      'a step twice',
      { strategy: 'blue-green', shiftAt: 'arn', shift: [10, 10, 100] },
      '"shift" must be ascending without repeats, got 10, 10, 100',
    ],
    [
      'a step of nothing',
      { strategy: 'blue-green', shiftAt: 'arn', shift: [0, 100] },
      '"shift" must be ascending without repeats, got 0, 100',
    ],
  ])('%s', (_, change, problem) => {
    const check = () => throwIfUnfit({ ...fits, ...change } as Parameters<typeof throwIfUnfit>[0]);
    if (problem === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(new UsageError([problem]));
  });
});
