import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { type ValidateLab, validateLab } from './validate-lab.ts';

/** A runner whose clock is wrong. In real time: the answers of the lab have real dates. */

let l: ValidateLab;
beforeAll(async () => {
  l = await validateLab({ speed: 1, timings: { boot: 1, agent: 1, delivery: 0.2, shutdown: 1 } });
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const skewed = (hours: number) => {
  const code = `const now=Date.now;Date.now=()=>now()+${hours * 3_600_000}`;
  return { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` } };
};
const alive = () => l.alive().map(({ id }) => id);

test('by two hours: the time of AWS decides when a test instance terminates itself, and which one has expired', async () => {
  const image = l.base('x86_64');
  const open = { require: 'imds-v2' };
  const kept = await l.validate(
    image,
    { ...open, checks: '- command: exit 1', 'keep-on-failure': '30m' },
    { env: { GITHUB_RUN_ID: '900' } },
  );
  const other = kept.outputs['instance-id'] ?? '';
  expect(alive()).toEqual([other]);
  for (const [hours, skew] of [
    [-2, '2h behind AWS'],
    [2, '2h ahead of AWS'],
  ] as const) {
    const ran = await l.validate(image, open, skewed(hours));
    expect([ran.errors, ran.outputs['verdict']]).toEqual([[], 'passed']);
    expect(ran.warnings.join()).toContain(`The clock of the runner is ${skew}. The time of AWS is used.`);
    const endsAt = Date.parse(l.tagsOf(ran.outputs['instance-id'] ?? '')['ami-action:expires-at'] ?? '');
    // The limits of all phases add up to 70 minutes.
    expect(Math.abs(endsAt - Date.now() - 70 * 60_000)).toBeLessThan(5 * 60_000);
    expect(alive()).toEqual([other]);
  }
});
