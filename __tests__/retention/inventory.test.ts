import { expect, test } from '@jest/globals';
import { formatAge, formatImage, identityCells, shortAccounts, sizeOf } from '../../src/retention/rules/inventory.ts';
import { image } from '../rollout/roll-world.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const NOW = Date.parse('2026-05-02T00:00:00Z');
const known = {
  ...image('ami-1'),
  createdAt: new Date('2026-05-01T00:00:00Z'),
  tags: { 'ami-action:version': '1.2|3', 'ami-action:commit': '0123456789' },
};
const bare = { ...image('ami-2'), createdAt: undefined, tags: {} };

test('an image in lines and cells', () => {
  expect([formatImage(known, scheme), formatImage(bare, scheme)]).toEqual(['1.2|3 (ami-1)', 'ami-2']);
  expect(identityCells(known, scheme)).toEqual(['1.2\\|3', '`0123456`', '`ami-1`', 'x86_64']);
  expect(identityCells(bare, scheme)).toEqual(['', '', '`ami-2`', 'x86_64']);
});

test('its age, also where the clock of the runner is behind', () => {
  expect([formatAge(known, scheme, NOW), formatAge(known, scheme, 0), formatAge(bare, scheme, NOW)]).toEqual(['1d', '0s', '?']);
});

test('what images cost at most', () => {
  expect(sizeOf([{ sizeGiB: 8 }, { sizeGiB: 30 }], 0.0531)).toEqual({ gib: 38, perMonth: 2.02 });
  expect(sizeOf([], 0.05)).toEqual({ gib: 0, perMonth: 0 });
});

test('no output has the ID of an account', () => {
  expect(shortAccounts('shared with 111122223333, and ami-0111122223333')).toBe('shared with …3333, and ami-0111122223333');
});
