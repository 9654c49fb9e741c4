import { expect, test } from '@jest/globals';
import { formatCount, formatList } from '../../src/kit/format.ts';

test('a count agrees with its noun', () => {
  expect([formatCount(0, 'check'), formatCount(1, 'check'), formatCount(2, 'check')]).toEqual(['0 checks', '1 check', '2 checks']);
  expect([formatCount(1, 'copy', 'copies'), formatCount(3, 'copy', 'copies')]).toEqual(['1 copy', '3 copies']);
});

test('a long list is cut, and says how many more there are', () => {
  expect(formatList(['a', 'b'], 2)).toBe('a, b');
  expect(formatList(['a', 'b', 'c', 'd'], 2)).toBe('a, b and 2 more');
});
