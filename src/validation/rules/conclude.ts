import type { CheckResult, Judgement } from './checks-report.ts';

/** What the machines of one validation found, taken together. */

export interface Phase {
  readonly name: string;
  readonly seconds: number;
}

/** What became of one machine. */
export interface Trial {
  readonly instanceType: string;
  readonly instanceId: string | undefined;
  readonly result: Judgement['result'];
  readonly reason: string;
  readonly checks: readonly CheckResult[];
  /** False where the report was cut: results may be missing, the judgement is not. */
  readonly complete: boolean;
  readonly timeline: readonly Phase[];
  /** Untrusted: the end of its console. */
  readonly console: string | undefined;
  /** Why it went no further, where it was not the checks. */
  readonly failure: unknown;
  /** A line each: what still runs, whether by accident or on purpose. */
  readonly left: readonly string[];
  /** Left by accident: the job must be red. */
  readonly leaked: boolean;
}

export interface Validation {
  readonly imageId: string;
  readonly family: string;
  readonly result: Judgement['result'];
  readonly reason: string;
  /** Hash of what was asked. */
  readonly checks: string;
  readonly trials: readonly Trial[];
}

/** Passed only where every machine passed; one that failed counts more than one that told nothing. */
export function conclude(trials: readonly Trial[]): Pick<Validation, 'result' | 'reason'> {
  const many = trials.length > 1;
  const said = (trial: Trial) => (many ? `on ${trial.instanceType}: ${trial.reason}` : trial.reason);
  for (const result of ['failed', 'inconclusive'] as const) {
    const these = trials.filter(trial => trial.result === result);
    if (these.length > 0) return { result, reason: these.map(said).join('; ') };
  }
  if (trials.length === 0) return { result: 'inconclusive', reason: 'nothing was tried' };
  return {
    result: 'passed',
    reason: many ? `all checks passed on ${trials.map(({ instanceType }) => instanceType).join(', ')}` : (trials[0] as Trial).reason,
  };
}

/** IDs of the machines that are on their way out: not kept, not left. */
export const machinesEnded = (trials: readonly Trial[]): readonly string[] =>
  trials.flatMap(({ instanceId, left }) => (instanceId === undefined || left.length > 0 ? [] : [instanceId]));

export const countOf = (trials: readonly Trial[], ending: CheckResult['ending']): number =>
  trials.flatMap(({ checks }) => checks).filter(check => check.ending === ending).length;

/** The output `report` and the file `report-json`: the same, but the file has what checks printed too. */
export const asData = (validation: Validation, withOutput: boolean) => ({
  image: validation.imageId,
  family: validation.family,
  verdict: validation.result,
  reason: validation.reason,
  checks: validation.checks,
  instances: validation.trials.map(({ instanceType, instanceId, result, reason, timeline, checks, complete, left, console }) => ({
    ...{ instanceType, instanceId, result, reason, timeline, complete, left },
    checks: checks.map(({ output, ...check }) => (withOutput && output !== '' ? { ...check, output } : check)),
    ...(withOutput && console !== undefined ? { console } : {}),
  })),
});

/** For test reporters: a suite per machine, a case per check. https://github.com/testmoapp/junitxml */
export function asJUnit({ imageId, trials }: Validation): string {
  const suites = trials.map(trial => {
    const cases = trial.checks.length > 0 ? trial.checks.map(caseOf) : [lone(trial)];
    const failures = Math.max(
      trial.checks.filter(({ ending }) => ending === 'failed').length,
      trial.checks.length === 0 && trial.result === 'failed' ? 1 : 0,
    );
    const errors = trial.result === 'inconclusive' ? 1 : 0;
    const name = `${imageId} on ${trial.instanceType}`;
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

function lone({ result, reason, timeline, console }: Trial): string {
  const seconds = timeline.reduce((sum, phase) => sum + phase.seconds, 0);
  const tag = result === 'failed' ? 'failure' : 'error';
  const body = result === 'passed' ? '' : `<${tag} message=${xml(reason)}>${xmlText(console ?? '')}</${tag}>`;
  return `    <testcase classname="ami-action" name="the machine comes up" time="${seconds}">${body}</testcase>`;
}

// XML 1.0 has no way to write most control characters. https://www.w3.org/TR/xml/#charsets
const xmlText = (raw: string): string =>
  raw
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;');
const xml = (raw: string): string => `"${xmlText(raw).replace(/"/g, '&quot;').replace(/\s+/g, ' ')}"`;
