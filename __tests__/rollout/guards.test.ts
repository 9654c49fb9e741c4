import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import { pointerDescription } from '../../src/model/pointer.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import {
  type Guards,
  guardRefusals,
  imageRefusals,
  memoryWarnings,
  pointerRefusals,
  ranWarnings,
  type Soak,
} from '../../src/rollout/rules/admission.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const [A, B] = ['ami-aaaaaaaa', 'ami-bbbbbbbb'];
const image = {
  id: B,
  state: 'available',
  tags: { 'ami-action:ref': 'refs/heads/release/1.2', 'ami-action:family': 'web' },
} as unknown as Image;
const at = (hour: number) => new Date(Date.UTC(2026, 0, 1, hour));
const NOON = at(12).getTime();
const ran = (...turns: (readonly [string, number])[]) =>
  turns.map(([value, hour], i) => ({ value, version: i + 1, writtenAt: at(hour), description: '' }));
const soak = (history: ReturnType<typeof ran>, there: Partial<Soak> = {}) => ({
  soak: { environment: 'stage', seconds: 4 * 3600, history, image: { id: B, vetoed: false }, ...there },
});

describe('what an environment requires', () => {
  test.each<[string, Guards, readonly unknown[]]>([
    ['nothing', {}, []],
    ['a ref that fits', { allowedRefs: ['main', 'release/*'] }, []],
    ['any branch', { allowedRefs: ['*'] }, []],
    ['a ref by its whole name', { allowedRefs: ['refs/heads/release/1.2'] }, []],
    [
      'another ref',
      { allowedRefs: ['main', 'refs/tags/v*'] },
      [`${B} was built from refs/heads/release/1.2, and "allowed-refs" allows main, refs/tags/v*: build it from one of these`],
    ],
    ['a dot is a dot', { allowedRefs: ['release/1x2', 'release.1.2'] }, [expect.stringMatching(/allowed-refs/)]],
    ['another image', { pin: A }, [`"pin" holds this environment on ${A}: remove "pin", or promote that image`]],
    ['this image', { pin: B }, []],
    ['a question mark is one', { allowedRefs: ['release/1?2'] }, [expect.stringMatching(/allowed-refs/)]],
    ['time in stage, listed newest first', soak([...ran([A, 1], [B, 8])].reverse()), []],
    ['time in stage, and it still runs there', soak(ran([A, 1], [B, 8])), []],
    ['time in stage, and it came just now', soak(ran([A, 1], [B, 9])), [`${B} has run only 3h in stage, and "soak-time" requires 4h`]],
    ['time in stage, where it ran before', soak(ran([B, 1], [A, 6])), []],
    ['time in stage, in pieces', soak(ran([B, 1], [A, 4], [B, 6], [A, 9])), [expect.stringMatching(/only 3h/)]],
    ['time in stage, under the ID that it has there', soak(ran([A, 1], ['ami-twin', 8]), { image: { id: 'ami-twin', vetoed: false } }), []],
    [
      'time in stage, where the image does not exist',
      soak(ran([B, 1]), { image: undefined }),
      [expect.stringMatching(/has never run in stage/)],
    ],
    [
      'time in stage, which has rolled it back since',
      soak(ran([B, 1], [A, 6]), { image: { id: B, vetoed: true } }),
      [
        `${B} was rolled back in stage and is vetoed there: fix it and build a new image, or promote it there with "lift-veto: true" if it was not the cause`,
      ],
    ],
    ['time in stage, written twice without a break', soak(ran([B, 7], [B, 10])), []],
    ['time in stage, where it never was', soak(ran([A, 1])), [`${B} has never run in stage, and "soak-time" requires 4h`]],
  ])('%s', (_, guards, refusals) => {
    expect(guardRefusals(image, guards, scheme, NOON)).toEqual(refusals);
  });

  test.each([
    ['refs/heads/main', 'main', true],
    ['refs/tags/main', 'main', false],
    ['refs/tags/v1', '*', false],
    ['refs/tags/v1', 'refs/tags/v*', true],
    ['refs/heads/tags/v1', 'refs/tags/v*', false],
    ['refs/pull/7/merge', 'pull/*', false],
    ['main', 'main', false],
  ])('an image from %s where %s is allowed: %s', (ref, pattern, allowed) => {
    const from = { ...image, tags: { ...image.tags, 'ami-action:ref': ref } };
    expect(guardRefusals(from, { allowedRefs: [pattern] }, scheme, NOON).length).toBe(allowed ? 0 : 1);
  });

  test('a veto names the rollback where the pointer shows it: when, who and in which run', () => {
    const vetoed = { ...image, tags: { ...image.tags, 'ami-action:vetoed-in': 'stage' } };
    const run = 'https://github.com/acme/web/actions/runs/7';
    const version = (operation: 'promote' | 'rollback', was: string, by: string, hour: number) => ({
      description: pointerDescription(operation, { was, commit: undefined, run: `${run} attempt 1${by}` }),
      writtenAt: at(hour),
    });
    const [old, other, unfinished] = [
      version('rollback', B, ' by octocat', 8),
      version('promote', B, ' by hubot', 9),
      version('rollback', B, '', 10),
    ];
    const refusal = (candidate: typeof old | undefined, history: readonly (typeof old)[]) =>
      imageRefusals(vetoed, { ...{ scheme, family: 'web', environment: 'stage', liftVeto: false }, pointer: { candidate, history } }).at(
        -1,
      );
    const says = (by: string) =>
      `${B} was rolled back in stage and is vetoed there${by}: fix it and build a new image, or set "lift-veto: true" if it was not the cause`;
    expect(refusal(undefined, [other, old])).toBe(says(` (at 2026-01-01 08:00:00 UTC, by octocat, ${run})`));
    expect(refusal(unfinished, [old])).toBe(says(` (at 2026-01-01 10:00:00 UTC, ${run})`));
    expect(refusal(undefined, [other])).toBe(says(''));
  });

  test('the checks that the verdict must be about', () => {
    const verdict = verdictValue(B, { result: 'passed', checks: '1'.repeat(32), at: new Date(0) });
    const passed = { ...image, tags: { ...image.tags, 'ami-action:verdict': verdict } };
    const admission = { scheme, family: 'web', environment: 'prod', liftVeto: false };
    expect(imageRefusals(passed, { ...admission, requireChecks: '1'.repeat(32) })).toEqual([]);
    expect(imageRefusals(passed, { ...admission, requireChecks: '2'.repeat(32) })).toEqual([
      expect.stringMatching(/with other checks \(1+\) than required \(2+\)/),
    ]);
    expect(imageRefusals(passed, { ...admission, guards: { pin: A } })).toEqual([expect.stringMatching(/"pin" holds/)]);
  });

  test('an image whose ref is not known fits no list', () => {
    const unknown = { ...image, tags: { 'ami-action:family': 'web' } };
    expect(guardRefusals(unknown, { allowedRefs: ['main'] }, scheme, NOON)).toEqual([
      `${B} was built from an unknown ref, and "allowed-refs" allows main: build it from one of these`,
    ]);
  });

  test('a verdict: none, one that failed, one without a signature; an image that ran here needs none of them', () => {
    const verdict = (result: 'passed' | 'failed') => verdictValue(B, { result, checks: '1'.repeat(32), at: new Date(0) });
    const judged = (result: 'passed' | 'failed') => ({ ...image, tags: { ...image.tags, 'ami-action:verdict': verdict(result) } });
    const admission = { scheme, family: 'web', environment: 'prod', liftVeto: false };
    const unsigned = 'the verdict has no signature';
    expect([
      imageRefusals(image, admission),
      imageRefusals(judged('failed'), admission),
      imageRefusals(judged('passed'), { ...admission, unsigned }),
      imageRefusals(judged('passed'), admission),
    ]).toEqual([
      [expect.stringMatching(/: run "validate" on it, or "share" if it was validated in another account$/)],
      [expect.stringMatching(/: fix it and build a new image, or run "validate" again if the checks were wrong$/)],
      [unsigned],
      [],
    ]);
    for (const candidate of [image, judged('failed'), { ...judged('passed'), tags: {} }])
      expect(imageRefusals(candidate, { ...admission, unsigned, ran: true })).toEqual([]);
    expect([ranWarnings(image, scheme), ranWarnings(judged('passed'), scheme)]).toEqual([
      [expect.stringMatching(/^ami-bbbbbbbb has no passed verdict \(.+\); it is rolled back to because it ran here$/)],
      [],
    ]);
  });
});

test('a pointer that cannot be moved is found before the rollout', () => {
  const full = Array.from({ length: 100 }, (_, i) => ({ version: 100 - i, labels: i === 99 ? ['live', 'eu'] : [] }));
  expect([pointerRefusals('/p', { type: 'SecureString' }, []), pointerRefusals('/p', { type: 'String' }, full)]).toEqual([
    ['/p is a SecureString, and an image ID must be a String: delete it, or choose another "pointer"'],
    [
      '/p cannot be moved: it has 100 versions, and the oldest (1) carries the label live, eu, so AWS refuses another version. Remove the label: aws ssm unlabel-parameter-version --name /p --parameter-version 1 --labels live eu',
    ],
  ]);
  expect([pointerRefusals('/p', { type: 'String' }, full.slice(1)), pointerRefusals('/p', undefined, [])]).toEqual([[], []]);
});

test('groups that launch different images have no single way back: said of a promotion only', () => {
  const launched = [A, B].map((id, i) => ({ group: `web-${i}`, id, image: undefined, idle: false }));
  const warned = (of: typeof launched, operation: 'promote' | 'rollback' = 'promote') =>
    memoryWarnings(of, { operation, environment: 'prod' });
  expect([warned(launched), warned(launched, 'rollback'), warned(launched.slice(1)), warned([])]).toEqual([
    [`the groups of prod launch different images (web-0 ${A}, web-1 ${B}): to go back, run "rollback" with "image" and "groups" for each`],
    [],
    [],
    [],
  ]);
});
