import type { CheckResult, ChecksEvaluation } from './checks-report.ts';

/** What the test runs of one validation found, taken together. */

export interface Phase {
  readonly name: string;
  readonly seconds: number;
}

/** The phase in which the SSM agent is awaited. */
export const AGENT_PHASE = 'agent online';

/** The result of one test instance. */
export interface TestRun {
  readonly instanceType: string;
  readonly instanceId: string | undefined;
  readonly result: ChecksEvaluation['result'];
  readonly reason: string;
  readonly checks: readonly CheckResult[];
  /** False where the report was cut: results may be missing, the evaluation is not. */
  readonly complete: boolean;
  readonly timeline: readonly Phase[];
  /** Untrusted: the end of its console. */
  readonly console: string | undefined;
  /** The error that ended the test run, where it was not the checks. */
  readonly failure: unknown;
  /** A line each about an instance that still runs, unintended or on purpose. */
  readonly leftovers: readonly string[];
  /** A leftover is unintended: the job fails. */
  readonly leaked: boolean;
  /** The instance is kept for debugging. */
  readonly kept: boolean;
}

export interface Validation {
  readonly imageId: string;
  readonly family: string;
  readonly version?: string | undefined;
  readonly result: ChecksEvaluation['result'];
  readonly reason: string;
  /** Hash of the checks. */
  readonly checks: string;
  readonly testRuns: readonly TestRun[];
}

/** Passed only if every test run passed; a failed one counts more than an inconclusive one. */
export function conclude(testRuns: readonly TestRun[]): Pick<Validation, 'result' | 'reason'> {
  const many = testRuns.length > 1;
  const format = (testRun: TestRun) => (many ? `on ${testRun.instanceType}: ${testRun.reason}` : testRun.reason);
  for (const result of ['failed', 'inconclusive'] as const) {
    const these = testRuns.filter(testRun => testRun.result === result);
    if (these.length > 0) return { result, reason: these.map(format).join('; ') };
  }
  if (testRuns.length === 0) return { result: 'inconclusive', reason: 'no test was run' };
  return {
    result: 'passed',
    reason: many ? `all checks passed on ${testRuns.map(({ instanceType }) => instanceType).join(', ')}` : (testRuns[0] as TestRun).reason,
  };
}

/** IDs of the test instances that are being terminated. */
export const endedInstances = (testRuns: readonly TestRun[]): readonly string[] =>
  testRuns.flatMap(({ instanceId, leftovers }) => (instanceId === undefined || leftovers.length > 0 ? [] : [instanceId]));

export const countOf = (testRuns: readonly TestRun[], ending: CheckResult['ending']): number =>
  testRuns.flatMap(({ checks }) => checks).filter(check => check.ending === ending).length;

/** The output `report`, and the file of setting `json`, which also has what the checks printed. */
export const toJson = (validation: Validation, withOutput: boolean) => ({
  image: validation.imageId,
  family: validation.family,
  verdict: validation.result,
  reason: validation.reason,
  checks: validation.checks,
  instances: validation.testRuns.map(({ instanceType, instanceId, result, reason, timeline, checks, complete, leftovers, console }) => ({
    ...{ instanceType, instanceId, result, reason, timeline, complete, left: leftovers },
    checks: checks.map(({ output, ...check }) => (withOutput && output !== '' ? { ...check, output } : check)),
    ...(withOutput && console !== undefined ? { console } : {}),
  })),
});

/** For test reporters: a suite per test instance, a case per check. https://github.com/testmoapp/junitxml */
export function toJUnit({ imageId, testRuns }: Validation): string {
  const suites = testRuns.map(testRun => {
    const cases = testRun.checks.length > 0 ? testRun.checks.map(caseOf) : [bootCase(testRun)];
    const failures = Math.max(
      testRun.checks.filter(({ ending }) => ending === 'failed').length,
      testRun.checks.length === 0 && testRun.result === 'failed' ? 1 : 0,
    );
    const errors = testRun.result === 'inconclusive' ? 1 : 0;
    const name = `${imageId} on ${testRun.instanceType}`;
    return `  <testsuite name=${xml(name)} tests="${cases.length}" failures="${failures}" errors="${errors}">\n${cases.join('\n')}\n  </testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('\n')}\n</testsuites>\n`;
}

function caseOf({ name, ending, reason, seconds, output }: CheckResult): string {
  const open = `    <testcase classname="ami-action" name=${xml(name)} time="${seconds}"`;
  if (ending === 'passed') return `${open}/>`;
  const body =
    ending === 'failed'
      ? `<failure message=${xml(reason)}>${xmlText(output)}</failure>`
      : `<skipped message=${xml(`${ending}: ${reason}`)}/>`;
  return `${open}>${body}</testcase>`;
}

function bootCase({ result, reason, timeline, console }: TestRun): string {
  const seconds = timeline.reduce((sum, phase) => sum + phase.seconds, 0);
  const tag = result === 'failed' ? 'failure' : 'error';
  const body = result === 'passed' ? '' : `<${tag} message=${xml(reason)}>${xmlText(console ?? '')}</${tag}>`;
  return `    <testcase classname="ami-action" name="the instance boots" time="${seconds}">${body}</testcase>`;
}

// XML 1.0 has no way to write most control characters. https://www.w3.org/TR/xml/#charsets
const xmlText = (raw: string): string =>
  raw
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;');
const xml = (raw: string): string => `"${xmlText(raw).replace(/"/g, '&quot;').replace(/\s+/g, ' ')}"`;
