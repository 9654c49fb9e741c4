import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isExpired, isRemovable } from '../../src/image-build/rules/leftovers.ts';
import { imageName, type NameFacts, timestamp } from '../../src/image-build/rules/name-template.ts';
import { identityTags, missingTags, tagProblems } from '../../src/model/identity.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const FACTS: NameFacts = {
  family: 'web',
  version: '1.2.0',
  timestamp: '20260131235959',
  environment: undefined,
  commit: 'a'.repeat(40),
  architecture: undefined,
};

describe('the name of an image', () => {
  test.each<[string, string]>([
    ['{family}-{version}-{timestamp}', 'web-1.2.0-20260131235959'],
    ['{family}/{commit}', `web/${'a'.repeat(40)}`],
    ['fixed name (1)', 'fixed name (1)'],
  ])('%s becomes %s', (template, name) => {
    expect(imageName(template, FACTS)).toEqual({ name });
  });

  test.each<[string, string]>([
    ['{family}-{colour}', '"name" contains {colour}, which is not one of {family}'],
    ['{family}-{environment}', 'set "environment"'],
    ['{family}-{architecture}', 'set "architecture"'],
    ['{family}#1', 'which AWS refuses'],
    ['ab', 'which AWS refuses'],
    [`{family}-${'x'.repeat(130)}`, 'which AWS refuses'],
    ['wéb-1', 'which AWS refuses'],
  ])('%s is refused before anything starts', (template, reason) => {
    expect(imageName(template, FACTS)).toEqual({ problem: expect.stringContaining(reason) });
  });

  test('is never one that AWS would refuse', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), template => {
        const named = imageName(template, FACTS);
        if ('name' in named) expect(named.name).toMatch(/^[A-Za-z0-9()[\] ./\-'@_]{3,128}$/);
      }),
    );
  });

  test('has a timestamp that sorts as text', () => {
    expect(timestamp(Date.parse('2026-01-31T23:59:59.999Z'))).toBe('20260131235959');
  });
});

describe('the tags of an image', () => {
  const origin = {
    ...{ family: 'web', version: '1.2.0', commit: 'c0ffee', ref: 'refs/heads/main', repository: 'acme/web', run: '1' },
    createdAt: new Date('2026-01-31T00:00:00Z'),
  };

  test('identify it, whatever tags a user adds', () => {
    expect(identityTags(origin, 'web-1', { team: 'a', Name: 'mine' }, scheme)).toEqual({
      Name: 'mine',
      ManagedBy: 'ami-action',
      team: 'a',
      'ami-action:family': 'web',
      'ami-action:version': '1.2.0',
      'ami-action:commit': 'c0ffee',
      'ami-action:ref': 'refs/heads/main',
      'ami-action:repository': 'acme/web',
      'ami-action:run': '1',
      'ami-action:created-at': '2026-01-31T00:00:00.000Z',
    });
  });

  test('follow the scheme of a team that has one', () => {
    const tags = identityTags(origin, 'web-1', {}, { prefix: 'acme/', commitKey: 'GitCommit' });
    expect(tags).toMatchObject({ 'acme/family': 'web', GitCommit: 'c0ffee' });
  });

  test('are never longer than AWS takes', () => {
    const tags = identityTags({ ...origin, ref: 'x'.repeat(1000) }, 'web-1', {}, scheme);
    for (const value of Object.values(tags)) expect(value.length).toBeLessThanOrEqual(256);
  });

  test.each<[Record<string, string>, string]>([
    [{ 'aws:x': '1' }, 'which is reserved by AWS'],
    [{ 'ami-action:family': 'x' }, 'is a tag of the action'],
    [{ ManagedBy: 'me' }, 'is a tag of the action'],
    [{ x: 'y'.repeat(257) }, 'at most 256'],
    [{ ['k'.repeat(129)]: 'y' }, '1 to 128 characters'],
    [Object.fromEntries(Array.from({ length: 26 }, (_, n) => [`k${n}`, 'v'])), 'at most 25'],
  ])('that a user may not set are refused: %j', (own, reason) => {
    expect(tagProblems(own, scheme).join()).toContain(reason);
  });

  test('that a user may set are not, up to what AWS takes', () => {
    const most = Object.fromEntries(Array.from({ length: 25 }, (_, n) => [`k${n}`, 'v']));
    for (const own of [most, { x: 'y'.repeat(256) }, { ['k'.repeat(128)]: '' }, {}]) expect(tagProblems(own, scheme)).toEqual([]);
    expect(tagProblems({ '': 'x', ['k'.repeat(129)]: '' }, scheme)).toEqual([
      '"tags." must be 1 to 128 characters',
      `"tags.${'k'.repeat(40)}" must be 1 to 128 characters`,
    ]);
    const team = { prefix: '', commitKey: 'GitCommit' };
    expect([tagProblems({ any: 'x' }, team), tagProblems({ GitCommit: 'x' }, team)]).toEqual([
      [],
      ['"tags.GitCommit" is a tag of the action: use another key'],
    ]);
  });

  test('of a build with a fingerprint name it and the base image; what is empty is left out', () => {
    const tags = identityTags({ ...origin, version: '', fingerprint: 'f'.repeat(64), baseAmi: 'ami-base' }, 'web-1', {}, scheme);
    expect(tags).toMatchObject({ 'ami-action:fingerprint': 'f'.repeat(64), 'ami-action:base-ami': 'ami-base' });
    expect(Object.keys(tags)).not.toContain('ami-action:version');
  });

  test('that cannot be read back are named', () => {
    expect(missingTags({ a: '1', b: '2' }, { a: '1', b: '3' })).toEqual(['b']);
  });
});

describe('a leftover', () => {
  const now = Date.parse('2026-05-01T12:00:00Z');

  test.each<[string | undefined, boolean]>([
    ['2026-05-01T11:59:59.000Z', true],
    ['2026-05-01T12:00:01.000Z', false],
    [undefined, false],
    ['', false],
    ['soon', false],
    ['0', false],
  ])('that expires at %j is expired: %s', (at, expired) => {
    expect(isExpired(at, now)).toBe(expired);
  });

  test('is no image of a family', () => {
    expect(isRemovable({ tags: { 'ami-action:family': 'web' } }, 'ami-action:family')).toBe(false);
    expect(isRemovable({ tags: {} }, 'ami-action:family')).toBe(true);
  });
});
