import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../../src/domain/image.ts';
import { imageRefusals } from '../../../src/domain/roll/admission.ts';
import { type Guards, guardRefusals } from '../../../src/domain/roll/guards.ts';
import { verdictValue } from '../../../src/domain/verdict.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const [A, B] = ['ami-aaaaaaaa', 'ami-bbbbbbbb'];
const image = {
  id: B,
  state: 'available',
  tags: { 'ami-action:ref': 'refs/heads/release/1.2', 'ami-action:family': 'web' },
} as unknown as Image;
const at = (hour: number) => new Date(Date.UTC(2026, 0, 1, hour));
const NOON = at(12).getTime();
const ran = (...turns: (readonly [string, number])[]) => turns.map(([value, hour], i) => ({ value, version: i + 1, writtenAt: at(hour) }));
const soak = (history: ReturnType<typeof ran>) => ({ soak: { environment: 'stage', seconds: 4 * 3600, history } });

describe('what an environment demands', () => {
  test.each<[string, Guards, readonly unknown[]]>([
    ['nothing', {}, []],
    ['a ref that fits', { allowedRefs: ['main', 'release/*'] }, []],
    ['a ref by its whole name', { allowedRefs: ['refs/heads/release/1.2'] }, []],
    [
      'another ref',
      { allowedRefs: ['main', 'refs/tags/v*'] },
      [`${B} was built from refs/heads/release/1.2, and "allowed-refs" allows main, refs/tags/v*`],
    ],
    ['a dot is a dot', { allowedRefs: ['release/1x2', 'release.1.2'] }, [expect.stringMatching(/allowed-refs/)]],
    ['another image', { pin: A }, [`"pin" keeps this environment on ${A}: take it out, or promote that one`]],
    ['this image', { pin: B }, []],
    ['time in stage, and it still runs there', soak(ran([A, 1], [B, 8])), []],
    ['time in stage, and it came just now', soak(ran([A, 1], [B, 9])), [`${B} has run only 3h in stage, and "soak-time" demands 4h`]],
    ['time in stage, where it ran before', soak(ran([B, 1], [A, 6])), []],
    ['time in stage, in pieces', soak(ran([B, 1], [A, 4], [B, 6], [A, 9])), [expect.stringMatching(/only 3h/)]],
    ['time in stage, written twice without a break', soak(ran([B, 7], [B, 10])), []],
    ['time in stage, where it never was', soak(ran([A, 1])), [`${B} has run never in stage, and "soak-time" demands 4h`]],
  ])('%s', (_, guards, refusals) => {
    expect(guardRefusals(image, guards, scheme, NOON)).toEqual(refusals);
  });

  test('the checks that the verdict must be about', () => {
    const verdict = verdictValue(B, { result: 'passed', checks: '1'.repeat(32), at: new Date(0) });
    const passed = { ...image, tags: { ...image.tags, 'ami-action:verdict': verdict } };
    const admission = { scheme, family: 'web', environment: 'prod', liftVeto: false };
    expect(imageRefusals(passed, { ...admission, requireChecks: '1'.repeat(32) })).toEqual([]);
    expect(imageRefusals(passed, { ...admission, requireChecks: '2'.repeat(32) })).toEqual([
      expect.stringMatching(/over other checks \(1+\) than are required \(2+\)/),
    ]);
    expect(imageRefusals(passed, { ...admission, guards: { pin: A } })).toEqual([expect.stringMatching(/"pin" keeps/)]);
  });
});
