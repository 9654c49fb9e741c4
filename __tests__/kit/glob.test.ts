import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { matchesGlob } from '../../src/kit/glob.ts';

test.each([
  ['*', '', true],
  ['web-*', 'web-1', true],
  ['web-*', 'my-web-1', false],
  ['*-prod', 'web-prod-prod', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a.c', 'abc', false],
  ['refs/heads/release/*', 'refs/heads/release/1/2', true],
])('%s on %s: %s', (pattern, text, expected) => {
  expect(matchesGlob(pattern, text)).toBe(expected);
});

test('a question mark is itself where it is not a wildcard', () => {
  expect(matchesGlob('a?c', 'abc', { questionMark: false })).toBe(false);
  expect(matchesGlob('a?*', 'a?c', { questionMark: false })).toBe(true);
});

test('it agrees with the regular expression that the pattern means', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), maxLength: 12 });
  fc.assert(
    fc.property(letters, letters, (pattern, text) => {
      const meant = new RegExp(`^${pattern.replaceAll('.', '\\.').replace(/\*+/g, '.*').replaceAll('?', '.')}$`, 's');
      expect(matchesGlob(pattern, text)).toBe(meant.test(text));
    }),
  );
});

test('many stars on a long text take no time', () => {
  const started = performance.now();
  expect(matchesGlob(`${'*a'.repeat(40)}*b`, 'a'.repeat(4000))).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
});
