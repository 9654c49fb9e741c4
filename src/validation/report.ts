import { AccessError, ActionError, CancelledError, type ErrorDetails, RejectedError, wrapError } from '../kit/errors.ts';
import type { JudgedChecks } from '../model/verdict.ts';
import type { Deps, Files } from '../ports/deps.ts';
import type { CheckResult } from './rules/checks-report.ts';
import { asData, asJUnit, countOf, type TestRun, type Validation } from './rules/conclude.ts';
import { formatOutputTitle, validationPage } from './rules/report-page.ts';

/** How a validation is told: log, page, files, outputs, and the error that makes the job red. */

export interface ReportFiles {
  readonly junit: string | undefined;
  readonly json: string | undefined;
}

export async function reportValidation(validation: Validation, to: ReportFiles, deps: Deps<never, 'files'>): Promise<void> {
  const { report, files } = deps;
  await report.step(`Report of ${validation.imageId}`, async () => {
    for (const testRun of validation.testRuns) reportTestRun(testRun, deps);
    report.info(`${validation.imageId}: ${sentence(validation.reason)}`);
    await writeFiles(validation, to, files);
  });
  report.summary(validationPage(validation));
}

const MARK: Readonly<Record<CheckResult['ending'], string>> = { passed: '✔', warned: '!', failed: '✘', 'not run': '?' };

function reportTestRun({ instanceType, instanceId, checks, console }: TestRun, { report }: Deps<never>): void {
  report.info(`${instanceType} ${instanceId ?? ''}`);
  for (const { name, ending, reason, seconds, output, bytes } of checks) {
    const suffix = ending === 'passed' ? '' : `: ${reason}`;
    report.info(`  ${MARK[ending]} ${oneLine(name)} (${seconds} s)${suffix}`);
    if (ending === 'warned') report.warn(`${oneLine(name)} ${reason}`);
    if (ending === 'passed' || output.trim() === '') continue;
    report.info(`    ${formatOutputTitle(output, bytes)}:`);
    report.untrusted(output.trimEnd());
  }
  if (console !== undefined) report.untrusted(console);
}

async function writeFiles(validation: Validation, { junit, json }: ReportFiles, files: Files): Promise<void> {
  if (junit !== undefined) await files.write(junit, asJUnit(validation));
  if (json !== undefined) await files.write(json, `${JSON.stringify(asData(validation, true), null, 2)}\n`);
}

export const validationOutputs = (validation: Validation) => ({
  verdict: validation.result,
  amiId: validation.imageId,
  passed: countOf(validation.testRuns, 'passed'),
  failed: countOf(validation.testRuns, 'failed'),
  checks: validation.checks,
  instanceId: validation.testRuns.map(({ instanceId }) => instanceId).find(id => id !== undefined),
  report: asData(validation, false),
});

const MOST_LISTED = 20;

/** Undefined where all is well: passed, and no machine left. `earlier`: what the image's tags said before. */
export function validationError(
  validation: Validation,
  earlier: JudgedChecks,
  fateReport?: string,
  notStored?: ActionError,
): ActionError | undefined {
  const { imageId, result, testRuns } = validation;
  const leftovers = [...testRuns.flatMap(testRun => testRun.leftovers), ...verdictLeftovers(validation, earlier, notStored)];
  const details = { leftovers: leftovers, outputs: validationOutputs(validation) };
  const cancelled = testRuns.find(({ failure }) => failure instanceof CancelledError);
  if (cancelled !== undefined) return new CancelledError(`Cancelled while ${imageId} was being validated; it has no new verdict.`, details);
  if (notStored instanceof CancelledError)
    return wrapError(notStored, `Cancelled while it was being stored on ${imageId} that it has ${result}: others may not know.`, details);
  if (result === 'passed' && notStored !== undefined)
    return wrapError(
      notStored,
      `${imageId} passed, but its verdict could not be stored, so nobody else knows: ${notStored.message}`,
      details,
    );
  if (result === 'passed') {
    if (!testRuns.some(({ leaked }) => leaked)) return undefined;
    const next = 'Allow ec2:TerminateInstances on what the action tags, and take termination protection off.';
    return new AccessError(`${imageId} passed validation, but its test machine could not be ended.`, { ...details, next });
  }
  if (result === 'failed')
    return new RejectedError(
      `${imageId} failed validation: ${sentence(validation.reason)}${formatFailedChecks(testRuns)}${fateReport === undefined ? '' : `\n${fateReport}`}`,
      {
        ...details,
        next: NEXT,
      },
    );
  return inconclusive(validation, details);
}

/** Without a new verdict the one before counts on, which may surprise. */
function verdictLeftovers({ imageId, result }: Validation, earlier: JudgedChecks, notStored: ActionError | undefined): readonly string[] {
  if (notStored !== undefined) return [`an older verdict of ${imageId} may still stand: ${notStored.message}`];
  if (result !== 'inconclusive' || earlier.verdict === undefined) return [];
  return [`the verdict that ${imageId} had before: ${earlier.reason}`];
}

const NEXT = 'The job summary has what each check printed. To look at the machine itself, set keep-on-failure: 1h and run the job again.';

function inconclusive({ imageId, reason, testRuns }: Validation, details: ErrorDetails): ActionError {
  const failure = testRuns.map(testRun => testRun.failure).find(known => known !== undefined);
  const next = (failure instanceof ActionError ? failure.next : undefined) ?? NEXT;
  // Who must act is whoever had to act for what went wrong first.
  return wrapError(failure, `${imageId} could not be validated, so it has not passed: ${sentence(reason)}`, { ...details, next });
}

function formatFailedChecks(testRuns: readonly TestRun[]): string {
  const failed = testRuns.flatMap(({ checks }) => checks.filter(({ ending }) => ending === 'failed'));
  const lines = failed.slice(0, MOST_LISTED).map(({ name, reason, output }) => `\n- ${oneLine(name)}: ${reason}${lastOutputLine(output)}`);
  return lines.join('') + (failed.length > MOST_LISTED ? `\n- and ${failed.length - MOST_LISTED} more` : '');
}

/** A check's last line mostly says what it saw. */
const lastOutputLine = (output: string): string => {
  const line = oneLine(output.trim().split('\n').at(-1) ?? '');
  return line === '' ? '' : `: ${line.length > 300 ? `${line.slice(0, 297)}...` : line}`;
};

const sentence = (text: string): string => (text.endsWith('.') ? text : `${text}.`);

const oneLine = (raw: string): string => raw.replace(/\p{C}+/gu, ' ').trim();
