import { expect, test } from '@jest/globals';
import { withGroupNames } from '../../src/rollout/rules/group-names.ts';

test('{architecture} in a group name stands for the setting', () => {
  expect(withGroupNames({ groups: ['edge-{architecture}', 'plain'], architecture: 'arm64' }).groups).toEqual(['edge-arm64', 'plain']);
});

test('names without it need no architecture', () => {
  expect(withGroupNames({ groups: ['plain'] }).groups).toEqual(['plain']);
  expect(withGroupNames<{ groups?: readonly string[] }>({}).groups).toBeUndefined();
});

test('a name with it and no architecture is refused with the fix', () => {
  expect(() => withGroupNames({ groups: ['edge-{architecture}'] })).toThrow('"groups" has {architecture} in a name: set "architecture"');
});
