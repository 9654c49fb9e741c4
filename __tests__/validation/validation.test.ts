import { describe, expect, test } from '@jest/globals';
import { marked } from 'marked';
import type { Image } from '../../src/model/image.ts';
import type { CheckResult } from '../../src/validation/rules/checks-report.ts';
import { conclude, countOf, endedInstances, type TestRun, toJson, toJUnit, type Validation } from '../../src/validation/rules/conclude.ts';
import { brokenGates } from '../../src/validation/rules/gates.ts';
import { formatOutputTitle, titleOf, validationPage } from '../../src/validation/rules/report-page.ts';

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
    expect(conclude([testRun('inconclusive', { instanceType: 'a' }), testRun('passed'), testRun('inconclusive')]).reason).toBe(
      'on a: it inconclusive; on t3.micro: it inconclusive',
    );
    expect(conclude([testRun('passed'), testRun('passed', { instanceType: 'c7g.large' })]).reason).toBe(
      'all checks passed on t3.micro, c7g.large',
    );
    expect([conclude([testRun('passed')]).reason, conclude([]).reason]).toEqual(['it passed', 'no test was run']);
  });

  test('counts over all instances, and lists the terminated ones', () => {
    const testRuns = [
      testRun('passed', { checks: [check('a', 'passed')] }),
      testRun('failed', { checks: [check('a', 'failed')], leftovers: ['kept'], instanceId: 'i-2' }),
    ];
    expect([countOf(testRuns, 'passed'), countOf(testRuns, 'failed'), countOf(testRuns, 'warned')]).toEqual([1, 1, 0]);
    expect(endedInstances([...testRuns, testRun('inconclusive', { instanceId: undefined })])).toStrictEqual(['i-1']);
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

  test('as JUnit: an instance without checks has one case, that it boots', () => {
    const timeline = [
      { name: 'launch', seconds: 2 },
      { name: 'agent online', seconds: 3 },
    ];
    const suite = (...of: Parameters<typeof testRun>) =>
      toJUnit(validation(testRun(of[0], { timeline, ...of[1] })))
        .split('\n')
        .slice(2, 4);
    const head = (failures: number, errors: number) =>
      `  <testsuite name="ami-1 on t3.micro" tests="1" failures="${failures}" errors="${errors}">`;
    const open = '    <testcase classname="ami-action" name="the instance boots" time="5">';
    expect([suite('failed', { console: 'a < b' }), suite('inconclusive', { reason: 'say "no"\nmore' }), suite('passed')]).toEqual([
      [head(1, 0), `${open}<failure message="it failed">a &lt; b</failure></testcase>`],
      [head(0, 1), `${open}<error message="say &quot;no&quot; more"></error></testcase>`],
      [head(0, 0), `${open}</testcase>`],
    ]);
  });

  test('as JUnit: what failed is a failure with its output, what warned or did not run is skipped', () => {
    const checks = [check('a', 'failed', 'out'), check('b', 'warned', 'out'), check('c', 'not run'), check('d', 'passed')];
    const open = (name: string) => `    <testcase classname="ami-action" name="${name}" time="1.5"`;
    const twice = validation(testRun('failed', { checks }), testRun('inconclusive', { checks: [check('d', 'passed')] }));
    expect(toJUnit(twice)).toBe(
      [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<testsuites>',
        '  <testsuite name="ami-1 on t3.micro" tests="4" failures="1" errors="0">',
        `${open('a')}><failure message="ended with exit code 1">out</failure></testcase>`,
        `${open('b')}><skipped message="warned: ended with exit code 1"/></testcase>`,
        `${open('c')}><skipped message="not run: ended with exit code 1"/></testcase>`,
        `${open('d')}/>`,
        '  </testsuite>',
        '  <testsuite name="ami-1 on t3.micro" tests="1" failures="0" errors="1">',
        `${open('d')}/>`,
        '  </testsuite>',
        '</testsuites>',
        '',
      ].join('\n'),
    );
    expect(toJUnit(validation(testRun('failed', { checks: [check('d', 'passed')] })))).toContain('failures="0" errors="0"');
  });

  test('as JSON: whole', () => {
    const of = validation(testRun('failed', { checks: [check('a', 'failed', 'out'), check('b', 'passed')], leftovers: ['kept'] }));
    const [a, b] = of.testRuns[0]?.checks ?? [];
    const { output: _, ...bare } = { ...b, output: '' };
    const instance = { instanceType: 't3.micro', instanceId: 'i-1', result: 'failed', reason: 'it failed', complete: true, left: ['kept'] };
    expect(toJson(of, true)).toStrictEqual({
      ...{ image: 'ami-1', family: 'web', verdict: 'failed', reason: 'it failed', checks: 'c'.repeat(32) },
      instances: [{ ...instance, timeline: [{ name: 'launch', seconds: 2 }], checks: [a, bare] }],
    });
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

  test('as a page: a passed one, whole', () => {
    const slow = { ...check('slow', 'passed'), tries: 3 };
    const one = testRun('passed', { checks: [slow, check('only', 'passed')], leftovers: ['i-1 is kept'] });
    expect(validationPage({ ...validation(one), version: '1.1.0', reason: 'all checks passed' })).toBe(
      [
        '### ✅ web 1.1.0 passed validation: 2 of 2 checks passed',
        '`ami-1`: All checks passed.',
        '| Type | Instance |  | launch |\n| --- | --- | --- | --- |\n| `t3.micro` | `i-1` | ✅ | 2s |',
        '|  | Check | Took |\n| --- | --- | --- |\n| ✅ | slow | 1.5s (3 tries) |\n| ✅ | only | 1.5s |',
        '> ⚠️ i-1 is kept',
      ].join('\n\n'),
    );
  });

  test('as a page: a failed one of several, whole', () => {
    const first = testRun('failed', {
      ...{
        checks: [
          check('late', 'not run', 'never shown'),
          check('meh', 'warned', 'w'),
          check('mute', 'failed', ' \n'),
          check('dead', 'failed', '1\n2\n3\n4\n5\n6\n'),
        ],
      },
      ...{ complete: false, console: 'tty' },
    });
    const timeline = [
      { name: 'launch', seconds: 2 },
      { name: 'checks', seconds: 60 },
      { name: 'checks', seconds: 5 },
    ];
    const none = testRun('inconclusive', { instanceType: 'c7g.large', instanceId: undefined, timeline, console: 'tty2' });
    const folded = (title: string, output: string) => `<details><summary>${title}</summary>\n\n\`\`\`text\n${output}\n\`\`\`\n\n</details>`;
    expect(validationPage(validation(first, none))).toBe(
      [
        '**dead** ended with exit code 1:',
        '```text\n2\n3\n4\n5\n6\n```',
        '| Type | Instance |  | launch | checks |\n| --- | --- | --- | --- | --- |\n| `t3.micro` | `i-1` | ❌ | 2s |  |\n| `c7g.large` |  | ❔ | 2s | 1m, 5s |',
        '**t3.micro**',
        '|  | Check | Took | Reason |\n| --- | --- | --- | --- |\n| ❌ | mute | 1.5s | ended with exit code 1 |\n| ❌ | dead | 1.5s | ended with exit code 1 |\n| ❔ | late | 1.5s | ended with exit code 1 |\n| ⚠️ | meh | 1.5s | ended with exit code 1 |',
        'The report was cut: some results are missing.',
        folded('meh: output', 'w'),
        folded('dead: output', '1\n2\n3\n4\n5\n6\n'),
        folded('End of the console of i-1', 'tty'),
        folded('End of the console of c7g.large', 'tty2'),
      ].join('\n\n'),
    );
  });

  test('as a page: of several, each has its name; twelve that passed are shown, more are folded', () => {
    const passed = (count: number) => Array.from({ length: count }, (_, i) => check(`p${i}`, 'passed', 'never shown'));
    const page = validationPage(
      validation(testRun('passed', { checks: passed(12) }), testRun('passed', { instanceType: 'b', checks: passed(13) })),
    );
    expect(page.split('\n').filter(line => /^(\*\*|<)/.test(line))).toEqual([
      '**t3.micro**',
      '**b**',
      '<details><summary>13 checks passed</summary>',
      '</details>',
    ]);
    expect(page).not.toMatch(/never shown|Reason/);
  });

  test('the title counts what was checked', () => {
    const title = (result: TestRun['result'], ...checks: CheckResult[]) => titleOf(validation(testRun(result, { checks })));
    const [good, meh, dead] = [check('a', 'passed'), check('b', 'warned'), check('c', 'failed')];
    expect([
      title('passed', good, meh),
      title('failed', good, dead),
      title('failed', good),
      title('failed'),
      title('passed'),
      title('inconclusive', good),
    ]).toEqual([
      'web passed validation: 2 of 2 checks passed',
      'web failed validation: 1 of 2 checks failed',
      'web failed validation',
      'web failed validation',
      'web passed validation',
      'web could not be validated',
    ]);
  });

  test('a reason is a sentence, and ends as it does', () => {
    const said = (reason: string) => validationPage({ ...validation(testRun('passed')), reason }).split('\n\n')[1];
    expect(['it works', 'It works.', 'does it?'].map(said)).toEqual(['`ami-1`: It works.', '`ami-1`: It works.', '`ami-1`: Does it?']);
  });

  test('an output says whether it is complete, and the page takes the end of what is too long', () => {
    expect([formatOutputTitle('äb', 3), formatOutputTitle('äb', 4), formatOutputTitle('ab', 1)]).toEqual([
      'output',
      'output, truncated: the last 3 of 4 bytes',
      'output',
    ]);
    const page = (...outputs: string[]) =>
      validationPage(validation(testRun('failed', { checks: outputs.map(output => check('c', 'failed', output)) })));
    const two = page('x'.repeat(199_998), 'tail', 'rest');
    expect(two.match(/<details>/g)?.length).toBe(2);
    expect(two).toContain('```text\nil\n```');
    expect(two).toContain(`**c** ended with exit code 1:\n\n\`\`\`text\n${'x'.repeat(2000)}\n\`\`\``);
    expect(page(`lost${'x'.repeat(200_000)}`, 'rest')).not.toMatch(/lost|rest/);
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
