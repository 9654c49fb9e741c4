import { describe, expect, test } from '@jest/globals';
import { distanceOf, overdue, planIncrement } from '../../src/image-build/rules/increment.ts';
import type { Image } from '../../src/model/image.ts';

const SCHEME = { prefix: 'x:', commitKey: 'x:commit' };
const NOW = Date.parse('2026-11-30T00:00:00.000Z');
const DAY = 86_400;
const policy = { scheme: SCHEME, foundation: 'f', fullEverySeconds: 7 * DAY, now: NOW };
const image = (id: string, daysAgo: number, tags: Record<string, string> = {}, state: Image['state'] = 'available') =>
  ({
    ...{ id, state, createdAt: new Date(NOW - daysAgo * DAY * 1000) },
    tags: { 'x:foundation': 'f', 'x:full-at': '2026-11-25T00:00:00.000Z', 'x:increment': '0', 'x:siblings': '1', ...tags },
  }) as unknown as Image;

describe('an image is built', () => {
  test('on the newest of its family', () => {
    expect(planIncrement([image('ami-1', 3), image('ami-2', 2, { 'x:increment': '1' })], policy)).toEqual({
      on: expect.objectContaining({ id: 'ami-2' }),
      reason:
        'incremental build on ami-2, 2 increments after the full build of 2026-11-25 00:00:00 UTC; the next push after 2026-12-02 00:00:00 UTC makes a full build',
      tags: { 'x:foundation': 'f', 'x:full-at': '2026-11-25T00:00:00.000Z', 'x:increment': '2' },
    });
  });

  test('on the one before, if the newest failed or cannot be used', () => {
    const bad = [image('ami-2', 2, { 'x:vetoed-in': 'prod' }), image('ami-3', 1, {}, 'pending')];
    expect(planIncrement([image('ami-1', 3), ...bad], policy).on?.id).toBe('ami-1');
  });

  test.each<[string, readonly Image[], string]>([
    ['the first time', [], 'the family has no usable image'],
    ['after builds without "app-paths"', [image('ami-1', 1, { 'x:full-at': '' })], 'ami-1 was built without "app-paths"'],
    [
      'when the base or another file has changed',
      [image('ami-1', 1, { 'x:foundation': 'g' })],
      'more than "app-paths" has changed since ami-1, or the base image has',
    ],
    ['after a build with several images', [image('ami-1', 1, { 'x:siblings': '2' })], 'the build of ami-1 made several images'],
    [
      'every "full-every"',
      [image('ami-1', 1, { 'x:full-at': '2026-11-23T00:00:00.000Z' })],
      'the last one, of 2026-11-23 00:00:00 UTC, is older than "full-every"',
    ],
  ])('in full %s', (_, family, because) => {
    expect(planIncrement(family, policy)).toEqual({
      ...{ on: undefined, reason: `full build, because ${because}` },
      tags: { 'x:foundation': 'f', 'x:full-at': '2026-11-30T00:00:00.000Z', 'x:increment': '0' },
    });
  });
});

test('an unchanged push takes an image until its full build is due; a full build itself is never overdue', () => {
  const old = { 'x:full-at': '2026-11-01T00:00:00.000Z' };
  expect(overdue(image('ami-1', 1, { ...old, 'x:increment': '1' }), policy)).toBe(true);
  expect(overdue(image('ami-1', 1, { 'x:increment': '1' }), policy)).toBe(false);
  expect(overdue(image('ami-1', 1, old), policy)).toBe(false);
  expect(distanceOf(image('ami-1', 1), policy)).toBe('a full build');
  expect(distanceOf(image('ami-1', 1, { 'x:increment': '1' }), policy)).toContain('1 increment after the full build of 2026-11-25');
  expect(distanceOf({ tags: {} }, policy)).toBeUndefined();
});
