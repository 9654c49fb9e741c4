import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inheritedVerdict, mayPass, shortHash, signedText, type Verdict, verdictOf, verdictValue } from '../../src/model/verdict.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const checks = shortHash('checks of web');
const at = new Date('2026-05-01T12:00:00.789Z');
const passed: Verdict = { result: 'passed', checks, at };
const image = (id: string, verdict?: string) => ({ id, tags: verdict === undefined ? {} : { 'ami-action:verdict': verdict } });

describe('the verdict on an image', () => {
  test('what validate writes is what the others read', () => {
    const judged = verdictOf(image('ami-1', verdictValue('ami-1', passed)), scheme);
    expect(judged).toMatchObject({ result: 'passed', verdict: { checks, at: new Date('2026-05-01T12:00:00Z') } });
    expect(judged.reason).toBe('passed validation at 2026-05-01T12:00:00Z');
    expect(verdictOf(image('ami-1', verdictValue('ami-1', { ...passed, result: 'failed' })), scheme).result).toBe('failed');
  });

  test.each([
    ['no tag', undefined, 'none', 'never validated'],
    ['an empty tag', '', 'none', 'never validated'],
    ['a word', 'passed', 'foreign', 'not written by mode validate'],
    ['a word and a hash', `passed ${checks}`, 'foreign', 'not written by mode validate'],
    ['a verdict of another image', verdictValue('ami-2', passed), 'foreign', 'belongs to another image'],
    [
      'a failed one that was edited',
      verdictValue('ami-1', { ...passed, result: 'failed' }).replace('failed', 'passed'),
      'foreign',
      'belongs to another',
    ],
    ['other checks edited in', verdictValue('ami-1', passed).replace(checks, shortHash('nothing')), 'foreign', 'belongs to another image'],
    ['a time that is none', verdictValue('ami-1', passed).replace('05-01', '99-99'), 'foreign', 'belongs to another image'],
    ['trailing text', `${verdictValue('ami-1', passed)} `, 'foreign', 'not written by mode validate'],
  ])('%s does not pass', (_, value, result, reason) => {
    const judged = verdictOf(image('ami-1', value), scheme);
    expect(judged.result).toBe(result);
    expect(judged.reason).toContain(reason);
    expect(mayPass(image('ami-1', value), scheme).ok).toBe(false);
  });

  test('it is read from the prefix that the team chose', () => {
    const mine = { id: 'ami-1', tags: { 'team/verdict': verdictValue('ami-1', passed) } };
    expect(verdictOf(mine, { prefix: 'team/', commitKey: 'commit' }).result).toBe('passed');
    expect(verdictOf(mine, scheme).result).toBe('none');
  });

  test('a verdict over other checks than required does not pass', () => {
    const validated = image('ami-1', verdictValue('ami-1', passed));
    expect(mayPass(validated, scheme, checks).ok).toBe(true);
    expect(mayPass(validated, scheme, shortHash('stricter'))).toEqual({ ok: false, reason: expect.stringContaining('with other checks') });
  });
});

describe('a copy of a passed image', () => {
  const source = image('ami-0123456789abcdef0', verdictValue('ami-0123456789abcdef0', passed));

  test('inherits a verdict only on request', () => {
    const tags = source.tags;
    expect(verdictOf({ id: 'ami-copy', tags }, scheme).result).toBe('foreign');
    const judged = verdictOf(image('ami-copy', inheritedVerdict('ami-copy', source, scheme)), scheme);
    expect(judged).toMatchObject({ result: 'passed', verdict: { source: 'ami-0123456789abcdef0', checks } });
    expect(judged.reason).toContain(', as a copy of ami-0123456789abcdef0');
  });

  test('of a copy still names the image that was validated', () => {
    const copy = {
      id: 'ami-0000000000000000c',
      tags: { 'ami-action:verdict': inheritedVerdict('ami-0000000000000000c', source, scheme) as string },
    };
    expect(inheritedVerdict('ami-1', copy, scheme)).toContain('source:ami-0123456789abcdef0 ');
  });

  test.each([
    ['no verdict', image('ami-9')],
    ['a foreign one', image('ami-9', verdictValue('ami-8', passed))],
  ])('inherits nothing from a source with %s', (_, nothing) => {
    expect(inheritedVerdict('ami-copy', nothing, scheme)).toBeUndefined();
  });
});

test('any verdict fits a tag, uses only what tags allow, and is read back unchanged', () => {
  const day = fc.date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true });
  const hex = fc.stringMatching(/^[0-9a-f]{17}$/);
  fc.assert(
    fc.property(hex, fc.string(), day, fc.option(hex, { nil: undefined }), fc.boolean(), (id, text, when, from, good) => {
      const verdict: Verdict = { result: good ? 'passed' : 'failed', checks: shortHash(text), at: when, source: from && `ami-${from}` };
      const value = verdictValue(`ami-${id}`, verdict);
      expect(value.length).toBeLessThanOrEqual(256);
      expect(value).toMatch(/^[\w .:/=+@-]+$/);
      expect(verdictOf(image(`ami-${id}`, value), scheme)).toMatchObject({
        result: verdict.result,
        verdict: { checks: verdict.checks, source: verdict.source },
      });
    }),
  );
});

test('a signature covers the image, its verdict and every tag of its identity', () => {
  const keys = ['family', 'version', 'commit', 'ref', 'repository', 'fingerprint', 'base-ami', 'created-at'];
  const tags = Object.fromEntries(keys.map(key => [`ami-action:${key}`, `a ${key}`]));
  const signed = signedText({ id: 'ami-1', tags }, passed, scheme);
  for (const key of keys)
    expect([key, signedText({ id: 'ami-1', tags: { ...tags, [`ami-action:${key}`]: 'forged' } }, passed, scheme) === signed]).toEqual([
      key,
      false,
    ]);
  expect(signedText({ id: 'ami-2', tags }, passed, scheme)).not.toBe(signed);
  expect(signedText({ id: 'ami-1', tags }, { ...passed, result: 'failed' }, scheme)).not.toBe(signed);
  // Two tags that are moved between two keys are another text.
  const moved = { ...tags, 'ami-action:version': 'a commit', 'ami-action:commit': 'a version' };
  expect(signedText({ id: 'ami-1', tags: moved }, passed, scheme)).not.toBe(signed);
  expect(verdictValue('ami-1', { ...passed, mac: `${'A'.repeat(43)}=` })).toMatch(/ mac:A{43}=$/);
  expect(verdictOf(image('ami-1', verdictValue('ami-1', { ...passed, mac: `${'A'.repeat(43)}=` })), scheme).verdict?.mac).toBe(
    `${'A'.repeat(43)}=`,
  );
});
