import { describe, expect, test } from '@jest/globals';
import { marked } from 'marked';
import type { Image } from '../../src/model/image.ts';
import type { CheckResult } from '../../src/validation/rules/checks-report.ts';
import { conclude, countOf, endedInstances, type TestRun, toJson, toJUnit, type Validation } from '../../src/validation/rules/conclude.ts';
import { brokenGates } from '../../src/validation/rules/gates.ts';
import { titleOf, validationPage } from '../../src/validation/rules/report-page.ts';

const check = (name: string, ending: CheckResult['ending'], output = ''): CheckResult => ({
  ...{ name, ending, reason: ending === 'passed' ? 'passed' : 'ended with exit code 1', seconds: 1.5, tries: 1, output },
  bytes: Buffer.byteLength(output),
});
const testRun = (result: TestRun['result'], over: Partial<TestRun> = {}): TestRun => ({
  ...{ instanceType: 't3.micro', instanceId: 'i-1', result, reason: `it ${result}`, checks: [], complete: true },
  ...{
    timeline: [{ name: 'launch', seconds: 2 }],
    console: undefined,
    failure: undefined,
    leftovers: [],
    leaked: false,
    kept: false,
    ...over,
  },
});
const validation = (...testRuns: TestRun[]): Validation => ({
  imageId: 'ami-1',
  family: 'web',
  checks: 'c'.repeat(32),
  testRuns,
  ...conclude(testRuns),
});

describe('several instances, one verdict', () => {
  test.each([
    [['passed'], 'passed'],
    [['passed', 'passed'], 'passed'],
    [['passed', 'failed'], 'failed'],
    [['passed', 'inconclusive'], 'inconclusive'],
    [['inconclusive', 'failed'], 'failed'],
    [[], 'inconclusive'],
  ] as const)('%j is %s', (results, verdict) => {
    expect(conclude(results.map(result => testRun(result))).result).toBe(verdict);
  });

  test('names the instance type', () => {
    expect(conclude([testRun('passed'), testRun('failed', { instanceType: 'c7g.large' })]).reason).toBe('on c7g.large: it failed');
    expect(conclude([testRun('failed')]).reason).toBe('it failed');
  });

  test('counts over all instances, and lists the terminated ones', () => {
    const testRuns = [
      testRun('passed', { checks: [check('a', 'passed')] }),
      testRun('failed', { checks: [check('a', 'failed')], leftovers: ['kept'], instanceId: 'i-2' }),
    ];
    expect([countOf(testRuns, 'passed'), countOf(testRuns, 'failed'), countOf(testRuns, 'warned')]).toEqual([1, 1, 0]);
    expect(endedInstances(testRuns)).toEqual(['i-1']);
  });
});

const hostile = '</failure>]]>&amp; \u001b[31m\u0000 <script>alert(1)</script> ``` | x |\n::add-mask::ami';
const bad = validation(
  testRun('failed', {
    checks: [check('good', 'passed'), check(hostile, 'failed', hostile), check('meh', 'warned')],
    console: hostile,
    leftovers: [hostile],
  }),
);

describe('the report', () => {
  test('as JUnit: a suite per instance, a case per check, text that stays text', () => {
    const xml = toJUnit(bad);
    expect(xml).toContain('<testsuite name="ami-1 on t3.micro" tests="3" failures="1" errors="0">');
    expect(xml).toContain('<testcase classname="ami-action" name="good" time="1.5"/>');
    expect(xml).toContain('&lt;/failure&gt;]]&gt;&amp;amp; [31m &lt;script&gt;');
    expect(xml).not.toMatch(/[^\P{C}\n]|<script/u);
    expect(toJUnit(validation(testRun('inconclusive')))).toContain('<error message="it inconclusive">');
  });

  test('as JSON: only the file has the output of instances', () => {
    expect(JSON.stringify(toJson(bad, false).instances[0])).not.toMatch(/"(output|console)"/);
    expect(toJson(bad, true).instances[0]).toMatchObject({ console: hostile, checks: [{}, { output: hostile }, {}] });
  });

  test('as a page: output of an instance never becomes markup', async () => {
    const html = await marked(validationPage(bad));
    expect(html).not.toMatch(/<script|<td>x<\/td>/);
    expect(html).toContain('<td>good</td>');
    expect(titleOf(bad)).toMatch(/ failed validation: \d of 3 checks failed$/);
    expect(html).not.toContain('<h3');
  });

  test('as a page: what failed first, and many that passed out of the way', () => {
    const many = Array.from({ length: 13 }, (_, i) => check(`p${i}`, 'passed'));
    const page = validationPage(validation(testRun('failed', { checks: [...many, check('dead', 'failed'), check('late', 'not run')] })));
    const places = ['| dead |', '| late |', '<details><summary>13 checks passed</summary>', '| p0 |'].map(part => page.indexOf(part));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    expect(validationPage(validation(testRun('passed', { checks: [check('only', 'passed')] })))).toContain('|  | Check | Took |\n');
  });

  test('as a page that fits, however much was printed', () => {
    const loud = validation(
      testRun('failed', { checks: Array.from({ length: 200 }, (_, i) => check(`c${i}`, 'failed', 'x'.repeat(3000))) }),
    );
    expect(Buffer.byteLength(validationPage(loud))).toBeLessThan(300_000);
  });
});

describe('gates', () => {
  const now = Date.parse('2026-05-01');
  const image = { public: false, encrypted: true, imdsV2: true, ena: true } as Image;
  const base = { id: 'ami-base', createdAt: new Date('2026-04-01') } as Image;
  const all = { require: ['private', 'encrypted', 'imds-v2', 'ena'], baseMaxAge: undefined };

  test.each([
    [{}, []],
    [{ public: true }, ['it is public']],
    [{ encrypted: false }, ['not all of its volumes are encrypted']],
    [{ imdsV2: false }, ['it does not require IMDSv2']],
    [{ ena: false }, ['it has no ENA support']],
    [{ public: true, ena: false }, ['it is public', 'it has no ENA support']],
  ])('%j', (over, broken) => {
    const found = brokenGates({ ...image, ...over }, all, undefined, now);
    expect(found.map((reason, i) => reason.startsWith(broken[i] ?? '?'))).toEqual(broken.map(() => true));
    expect(brokenGates({ ...image, ...over }, { ...all, require: [] }, undefined, now)).toEqual([]);
  });

  test('the age of the base image; an unknown age is refused', () => {
    const within = (days: number) => ({ require: [], baseMaxAge: days * 86_400 });
    expect(brokenGates(image, within(31), base, now)).toEqual([]);
    expect(brokenGates(image, within(29), base, now)).toEqual(['its base image ami-base is 30d old, "base-max-age" is 29d']);
    expect(brokenGates(image, within(29), undefined, now)[0]).toContain('is unknown');
  });
});
