import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { isOwn, OWN_TAG } from '../acceptance/cloud.ts';
import { estimate, instanceHours } from '../acceptance/cost.ts';
import { NOT_ASKED, POINTS } from '../acceptance/points.ts';
import { toMarkdown } from '../acceptance/report.ts';
import { assumable } from '../acceptance/scene.ts';
import { steps, usesOfRun } from '../acceptance/steps.ts';
import { parseTemplate } from '../lab/iam/template.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

test('a run of two and a half hours costs less than a dollar, at most', () => {
  const all = steps({ Subject: '', RepositoryId: '', Branch: '' });
  const builds = all.flatMap(({ uses }) => uses?.(0.25) ?? []);
  expect(builds.map(({ what }) => what)).toEqual(expect.arrayContaining(['t3.small', 't3.micro']));
  const { dollars } = estimate([...builds, ...usesOfRun(2.5)]);
  expect(dollars).toBeGreaterThan(0.1);
  expect(dollars).toBeLessThan(1);
});

test('an instance costs its hours, its volume and its address', () => {
  const { lines, dollars } = estimate([...instanceHours('t3.nano', 2, 3), ...instanceHours('t3.nano', 1, 4)]);
  expect(lines.map(({ what, hours }) => [what, hours])).toEqual([
    ['t3.nano', 10],
    ['GB of volume', 80],
    ['public IPv4 address', 10],
  ]);
  expect(dollars).toBeCloseTo(10 * 0.0052 + (80 * 0.08) / 730 + 10 * 0.005, 6);
});

test('a thing is the own one by tag and value, whatever the server has filtered', () => {
  expect([isOwn([{ Key: 'a', Value: 'b' }, OWN_TAG]), isOwn([{ ...OWN_TAG, Value: 'acme/web' }]), isOwn([]), isOwn()]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test.each([
  ['examples/delivery-role.yml', 2],
  ['examples/environment-role.yml', 1],
])('the roles for GitHub in %s may be assumed by the account, and nothing else changes', (path, count) => {
  const template = read(path);
  const added = assumable(template);
  expect(added.split(':root').length - template.split(':root').length).toBe(count);
  expect(added.split('\n').filter(line => !template.includes(line))).toEqual(
    Array(count).fill("            Principal: { AWS: !Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:root' }"),
  );
  expect(Object.keys(parseTemplate(added).Resources)).toEqual(Object.keys(parseTemplate(template).Resources));
});

test('every suspected point is asked, or the report has the reason why not', () => {
  const ids = [...POINTS.map(({ id }) => id), ...NOT_ASKED.map(({ id }) => id)].join(', ');
  for (let n = 1; n <= 9; n += 1) expect(ids).toContain(`ec2-s${n}`);
  for (let n = 1; n <= 7; n += 1) expect(ids).toContain(`asg-${n}`);
  for (const { reason } of NOT_ASKED) expect(reason).toMatch(/\.$/);
});

test.each(POINTS.map(({ id, fits }) => [id, fits] as const))('%s: what is no answer is not as assumed', (_, fits) => {
  for (const text of ['not seen', 'no answer: socket hang up', 'AccessDenied', 'ThrottlingException', 'not found in 30 looks'])
    expect([text, fits.test(text)]).toEqual([text, false]);
});

test('the report has a row for each step and answer, and says that the cost is an estimate', () => {
  const text = toMarkdown({
    ...{ account: '111122223333', regions: ['us-east-1', 'us-west-2'], endpoint: 'AWS', startedAt: '2026-11-30', minutes: 9, ok: false },
    ...{ foundAtStart: ['stack x in us-east-1'], removed: [], left: [], notAsked: NOT_ASKED },
    steps: [{ title: 'Build', result: 'failed', seconds: 3, text: 'a|b\nc' }],
    answers: [{ id: 'x', question: 'Why?', assumed: 'y', answered: 'z', asAssumed: false }],
    cost: { lines: [{ what: 't3.nano', hours: 1, dollars: 0.5 }], dollars: 0.5 },
  });
  expect(text).toContain('# Acceptance: failed\n');
  expect(text).toContain('| Build | failed | 3 | a\\|b c |');
  expect(text).toContain('| x | Why? | y | z | NO |');
  expect(text).toContain('An estimate from hours and public prices, at most: $0.50.');
  expect(text).toContain('- stack x in us-east-1');
});
