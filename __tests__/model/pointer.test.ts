import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import {
  candidateName,
  environmentPointer,
  findWayBack,
  fullReason,
  imageSequence,
  parseDescription,
  pointerDescription,
  pointerName,
} from '../../src/model/pointer.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { isVetoed, liftedTags, vetoTags } from '../../src/model/veto.ts';
import { settings } from '../../src/rollout/promote.ts';
import { imageRefusals, pointerRefusals } from '../../src/rollout/rules/admission.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const [A, B, C] = ['ami-aaaaaaaa', 'ami-bbbbbbbb', 'ami-cccccccc'] as const;
const parsed = (operation: 'promote' | 'rollback', was: string | undefined) =>
  pointerDescription(operation, { was, commit: 'abc', run: 'https://github.com/acme/web/actions/runs/1' });

/** "promote A", "rollback B", "by hand C": one version each. */
function history(...versions: (readonly ['promote' | 'rollback' | 'by hand', string])[]) {
  return versions
    .map(([operation, value], i) => ({
      version: i + 1,
      value,
      labels: [],
      description: operation === 'by hand' ? 'terraform' : parsed(operation, versions[i - 1]?.[1]),
    }))
    .reverse();
}

test('any naming scheme fits, and the candidate stands below it', () => {
  expect(pointerName('/deploy_ex/{environment}/{family}/latest_ami', { family: 'web', environment: 'prod' })).toBe(
    '/deploy_ex/prod/web/latest_ami',
  );
  expect(pointerName('/ami/{family}/{environment}/{architecture}', { family: 'web', environment: 'prod', architecture: 'arm64' })).toBe(
    '/ami/web/prod/arm64',
  );
  expect(candidateName('/ami/web/prod')).toBe('/ami/web/prod/candidate');
});

describe('a pointer that cannot be one', () => {
  test('an architecture that is not known', () => {
    const of = { family: 'web', environment: 'prod', pointer: '/ami/{family}/{environment}/{architecture}' };
    expect(() => environmentPointer(of)).toThrow('"architecture" is required: "pointer" contains {architecture}');
    expect(environmentPointer({ ...of, architecture: 'arm64' })).toBe('/ami/web/prod/arm64');
    expect(environmentPointer({ ...of, pointer: '/ami/{family}' })).toBe('/ami/web');
  });

  test.each([
    [
      'a family that ends where a candidate begins',
      { family: 'web/stage', environment: 'candidate', pointer: '/ami/{family}/{environment}' },
      '/ami/web/stage',
    ],
    [
      'a template that ends in it',
      { family: 'web', environment: 'stage', pointer: '/ami/{family}/{environment}/candidate' },
      '/ami/web/stage',
    ],
    ['a family of that name', { family: 'candidate', environment: 'stage', pointer: '/ami/{environment}/{family}' }, '/ami/stage'],
  ])('scenario F13: %s', (_, of, other) => {
    expect(() => environmentPointer(of)).toThrow(
      `"pointer" is ${other}/candidate, which is the candidate of the pointer ${other}: choose another "pointer", "family" or "environment"`,
    );
  });

  test.each([
    ['/deploy_ex/{env}/{family}', false],
    ['/ami/{Family}', false],
    ['/ami/{family', false],
    ['/ami/{}', false],
    ['/', false],
    [`/${'a'.repeat(501)}`, false],
    ['/deploy_ex/{environment}/{family}/latest_ami', true],
    ['/ami/{family}/{environment}/{architecture}', true],
  ])('%s is a template: %s', (template, fits) => {
    expect(settings.pointer.schema().safeParse(template).success).toBe(fits);
  });
});

test('a description of the action can be parsed; any other cannot', () => {
  expect(parseDescription(parsed('rollback', C))).toEqual({ operation: 'rollback', was: C });
  expect(parseDescription(parsed('promote', undefined))).toEqual({ operation: 'promote', was: undefined });
  expect(parseDescription('managed by terraform')).toBeUndefined();
  expect(parsed('promote', A)).toContain('commit abc, run https://github.com/acme/web/actions/runs/1');
});

describe('what an environment ran', () => {
  test.each([
    ['promoted in turn', history(['promote', A], ['promote', B], ['promote', C]), [A, B, C]],
    ['rolled back once', history(['promote', A], ['promote', B], ['promote', C], ['rollback', B]), [A, B]],
    ['rolled back twice', history(['promote', A], ['promote', B], ['promote', C], ['rollback', B], ['rollback', A]), [A]],
    ['promoted again after a rollback', history(['promote', A], ['promote', B], ['rollback', A], ['promote', C]), [A, C]],
    ['rolled back by two at once', history(['promote', A], ['promote', B], ['promote', C], ['rollback', A]), [A]],
    ['promoted back to an older one', history(['promote', A], ['promote', B], ['promote', A]), [A, B, A]],
    ['rolled back to one that it never ran', history(['promote', A], ['promote', B], ['rollback', C]), [A, C]],
    [
      'rolled back to one that it never ran, written twice',
      history(['promote', A], ['promote', B], ['rollback', C], ['rollback', C]),
      [A, C],
    ],
    ['a rollback that failed', history(['promote', A], ['promote', B], ['promote', C], ['rollback', B], ['rollback', C]), [A, B, C]],
    [
      'a rollback that failed, and one that succeeded',
      history(['promote', A], ['promote', B], ['promote', C], ['rollback', B], ['rollback', C], ['rollback', B]),
      [A, B],
    ],
    ['written by hand', history(['by hand', A], ['by hand', A], ['by hand', B]), [A, B]],
    ['nothing', [], []],
    ['promoted for the first time, over what the groups launched', [{ version: 1, value: B, description: parsed('promote', A) }], [A, B]],
    ['rolled back from its first promotion', [{ version: 1, value: A, description: parsed('rollback', B) }], [A]],
  ])('%s', (_, versions, turns) => {
    expect(imageSequence(versions)).toEqual(turns);
  });
});

describe('the way back', () => {
  const three = history(['promote', A], ['promote', B], ['promote', C]);
  const candidate = (operation: 'promote' | 'rollback', value: string, was: string) => ({ value, description: parsed(operation, was) });
  test.each([
    ['to the image before', { current: { value: C }, history: three, candidate: undefined }, { to: B, replaces: C }],
    [
      'one further back the second time',
      {
        current: { value: B },
        history: [...history(['promote', A], ['promote', B], ['promote', C], ['rollback', B])],
        candidate: undefined,
      },
      { to: A, replaces: B },
    ],
    [
      'to the end of one that was lost before the pointer moved',
      { current: { value: C }, history: three, candidate: candidate('rollback', B, C) },
      { to: B, replaces: C },
    ],
    [
      'to the end of one that was lost after the pointer moved',
      {
        current: { value: B },
        history: history(['promote', A], ['promote', B], ['promote', C], ['rollback', B]),
        candidate: candidate('rollback', B, C),
      },
      { to: B, replaces: C },
    ],
    [
      'to the start of a promotion that is under way',
      { current: { value: B }, history: history(['promote', A], ['promote', B]), candidate: candidate('promote', C, B) },
      { to: B, replaces: C },
    ],
    [
      'past an announcement that is out of date',
      { current: { value: C }, history: three, candidate: candidate('rollback', A, B) },
      { to: B, replaces: C },
    ],
    [
      'past a promotion that has moved the pointer',
      { current: { value: C }, history: three, candidate: candidate('promote', C, A) },
      { to: B, replaces: C, reason: `what stage ran before ${C}` },
    ],
    [
      'past a promotion of what runs',
      { current: { value: C }, history: three, candidate: candidate('promote', C, C) },
      { to: B, replaces: C, reason: `what stage ran before ${C}` },
    ],
    [
      'past a candidate that another process wrote',
      { current: { value: C }, history: three, candidate: { value: A, description: 'terraform' } },
      { to: B, replaces: C },
    ],
    [
      'to the start of a first promotion, which has no pointer yet',
      { current: undefined, history: [], candidate: candidate('promote', B, A) },
      { to: A, replaces: B, reason: `the promotion of ${B} is unfinished` },
    ],
    [
      'nowhere, where nothing ran before',
      { current: { value: A }, history: history(['promote', A]), candidate: undefined },
      { to: undefined, reason: `stage runs ${A}, and its pointer shows no image before it` },
    ],
    [
      'nowhere from a first promotion, where nothing was launched before',
      { current: undefined, history: [], candidate: { value: B, description: parsed('promote', undefined) } },
      { to: undefined, reason: 'stage has no pointer, so no image was promoted to it' },
    ],
    [
      'nowhere without a pointer',
      { current: undefined, history: [], candidate: undefined },
      { to: undefined, reason: 'stage has no pointer, so no image was promoted to it' },
    ],
  ])('%s', (_, facts, leads) => {
    expect(findWayBack(facts, 'stage')).toMatchObject(leads);
  });
});

describe('a veto', () => {
  test('is a list of environments on the image, and goes one by one', () => {
    const image = { tags: vetoTags({ tags: vetoTags({ tags: {} }, scheme, 'stage') }, scheme, 'prod') };
    expect(image.tags).toEqual({ 'ami-action:vetoed-in': 'prod stage' });
    expect([isVetoed(image, scheme, 'prod'), isVetoed(image, scheme, 'pro')]).toEqual([true, false]);
    expect(liftedTags(image, scheme, 'prod')).toEqual({ 'ami-action:vetoed-in': 'stage' });
    expect(liftedTags({ tags: vetoTags({ tags: {} }, scheme, 'prod') }, scheme, 'prod')).toBeUndefined();
  });
});

describe('scenario 43: an image that may not become current', () => {
  const passed = verdictValue(B, { result: 'passed', checks: '0'.repeat(32), at: new Date('2026-05-01T12:00:00Z') });
  const image = (change: Partial<Image>, tags: Record<string, string> = {}) =>
    ({
      id: B,
      state: 'available',
      stateReason: '',
      ownerId: '111122223333',
      ...change,
      tags: { 'ami-action:family': 'web', 'ami-action:verdict': passed, ...tags },
    }) as Image;
  const admission = { scheme, family: 'web', environment: 'stage', liftVeto: false };
  test.each([
    ['nothing forbids', image({}), []],
    [
      'never validated',
      image({}, { 'ami-action:verdict': '' }),
      [expect.stringMatching(/no passed verdict here \(never validated\): run "validate"/)],
    ],
    [
      'failed validation',
      image({}, { 'ami-action:verdict': verdictValue(B, { result: 'failed', checks: '0'.repeat(32), at: new Date(0) }) }),
      [
        `${B} has no passed verdict here (failed validation at 1970-01-01T00:00:00Z): fix it and build a new image, or run "validate" again if the checks were wrong`,
      ],
    ],
    ['with the verdict of another image', image({ id: C }), [expect.stringMatching(/belongs to another image/)]],
    ['of another family', image({}, { 'ami-action:family': 'api' }), [`${B} belongs to family "api", not to "web"`]],
    ['deregistered', image({ state: 'deregistered' }), [expect.stringMatching(/cannot be launched, it is deregistered/)]],
    ['still pending', image({ state: 'pending' }), [`${B} is still pending: wait until it is available`]],
    [
      'vetoed here',
      image({}, { 'ami-action:vetoed-in': 'prod stage' }),
      [expect.stringMatching(/rolled back in stage and is vetoed there.*lift-veto: true/)],
    ],
    ['vetoed elsewhere', image({}, { 'ami-action:vetoed-in': 'prod' }), []],
  ])('%s', (_, of, refusals) => {
    expect(imageRefusals(of, admission)).toEqual(refusals);
  });

  test('owned by another account and unknown here', () => {
    const stranger = { ...image({ ownerId: '999900001111' }), tags: {} };
    expect(imageRefusals(stranger, admission)).toEqual([
      `${B} (owner 999900001111) is not in family "web": it has no tag ami-action:family in this account. Built without ami-action? Run: aws ec2 create-tags --resources ${B} --tags Key=ami-action:family,Value=web, then mode "validate". Shared from another account? Run mode "share" there with "target-role"`,
    ]);
  });

  test('a veto can be lifted', () => {
    expect(imageRefusals(image({}, { 'ami-action:vetoed-in': 'stage' }), { ...admission, liftVeto: true })).toEqual([]);
  });
});

describe('scenario 39: a pointer that AWS gives no further version', () => {
  const full = (labels: string[]) => Array.from({ length: 100 }, (_, i) => ({ version: 110 - i, labels: i === 99 ? labels : [] }));
  test('is refused before the rollout, with version and label', () => {
    expect(fullReason(full(['golden']))).toBe(
      'it has 100 versions, and the oldest (11) carries the label golden, so AWS refuses another version',
    );
    expect(pointerRefusals('/ami/web/stage', { type: 'String' }, full(['golden']))).toEqual([
      expect.stringMatching(
        /cannot be moved: .*label golden.*aws ssm unlabel-parameter-version --name \/ami\/web\/stage --parameter-version 11 --labels golden/,
      ),
    ]);
  });

  test('a label on a newer version, or fewer versions, are allowed', () => {
    expect(fullReason(full([]))).toBeUndefined();
    expect(fullReason(full(['golden']).slice(1))).toBeUndefined();
  });
});
