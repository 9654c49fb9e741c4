import { describe, expect, test } from '@jest/globals';
import { expiredReason, isProven } from '../../src/image-build/rules/leftovers.ts';

const NOW = Date.parse('2026-10-01T00:00:00Z');
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const sweeper = { scheme, repository: 'acme/web', family: 'web' };

const build = {
  'ami-action:purpose': 'build',
  'ami-action:repository': 'acme/web',
  'ami-action:run': '7',
  'ami-action:expires-at': '2026-09-30T00:00:00.000Z',
};
const validation = { ...build, 'ami-action:purpose': 'validate', 'ami-action:family': 'web' };
const OF_BUILD = 'leftover of the build of run 7, which needed it until 2026-09-30T00:00:00.000Z';
const OF_VALIDATION = 'leftover of the validation of run 7, which needed it until 2026-09-30T00:00:00.000Z';

describe('a leftover of an interrupted run', () => {
  test.each<[string, string, Record<string, string>, string | undefined]>([
    ['an image of a build', 'image', build, OF_BUILD],
    ['its key pair', 'key-pair', build, OF_BUILD],
    ['a test instance', 'instance', validation, OF_VALIDATION],
    ['its volume', 'volume', validation, OF_VALIDATION],
    ['a snapshot of that volume, which a person made', 'snapshot', validation, undefined],
    ['an image of a test instance, which a person made', 'image', validation, undefined],
    ['one of a running build', 'image', { ...build, 'ami-action:expires-at': '2026-10-01T00:00:01.000Z' }, undefined],
    ['one of a running validation', 'instance', { ...validation, 'ami-action:expires-at': '2026-10-01T00:00:01.000Z' }, undefined],
    ['one with an unreadable time', 'image', { ...build, 'ami-action:expires-at': 'soon' }, undefined],
    ['one without a time', 'image', { 'ami-action:purpose': 'build', 'ami-action:repository': 'acme/web' }, undefined],
    ['one of another repository', 'image', { ...build, 'ami-action:repository': 'acme/api' }, undefined],
    ['an image that was adopted into a family', 'image', { ...build, 'ami-action:family': 'web' }, undefined],
    ['a test instance of another family', 'instance', { ...validation, 'ami-action:family': 'api' }, undefined],
    ['one of another purpose', 'instance', { ...validation, 'ami-action:purpose': 'demo' }, undefined],
    ['one without a run', 'image', { ...build, 'ami-action:run': undefined as never }, OF_BUILD.replace('run 7', 'run unknown')],
    ['one that a person keeps', 'image', { ...build, 'ami-action:keep': 'for debugging' }, undefined],
    ['one with the tags of another scheme', 'image', { ...build, 'ami-action:purpose': '', 'other:purpose': 'build' }, undefined],
  ])('%s', (_, kind, tags, reason) => {
    expect(expiredReason({ kind, tags }, sweeper, NOW)).toBe(reason);
  });

  const { 'ami-action:repository': _, ...saved } = { ...build, 'ami-action:for-family': 'web' };
  const anywhere = { ...sweeper, repository: '' };
  test.each([
    ['that saves itself, by prune outside a repository', saved, anywhere, OF_BUILD],
    ['of another family', { ...saved, 'ami-action:for-family': 'api' }, anywhere, undefined],
    ['by prune in a repository', saved, sweeper, undefined],
    ['by a build outside a repository', saved, { scheme, repository: '' }, undefined],
    ['without a family, by such a build', { ...saved, 'ami-action:for-family': undefined }, { scheme, repository: '' }, undefined],
    ['in the family by now', { ...saved, 'ami-action:family': 'web' }, anywhere, undefined],
  ])('of an instance %s', (_, tags, by, reason) => {
    expect(expiredReason({ kind: 'image', tags: tags as Record<string, string> }, by, NOW)).toBe(reason);
  });

  test('of a validation is not swept by a build', () => {
    expect(expiredReason({ kind: 'instance', tags: validation }, { scheme, repository: 'acme/web' }, NOW)).toBeUndefined();
  });
});

describe('an instance is a leftover by what EC2 recorded at its launch, not by tags alone', () => {
  test.each<[string, string, readonly string[] | undefined, boolean]>([
    ['a key pair of Packer', 'instance', ['packer_6564a1', 'default'], true],
    ['a security group of Packer', 'instance', ['web', 'packer_6564a1'], true],
    ['a client token of the action', 'instance', ['ami-action-0f'], true],
    ['names of others', 'instance', ['web', 'not-packer_1', 'my-ami-action-1'], false],
    ['nothing known', 'instance', undefined, false],
    ['a key pair itself', 'key-pair', undefined, true],
  ])('%s', (_, kind, names, proven) => {
    expect(isProven(names === undefined ? { kind } : { kind, launch: { names } })).toBe(proven);
  });
});
