import { AccessError, ActionError, CancelledError, type ErrorDetails, RejectedError, wrapError } from '../kit/errors.ts';
import type { ImageVerdict } from '../model/verdict.ts';
import type { Deps, Files } from '../ports/deps.ts';
import type { CheckResult } from './rules/checks-report.ts';
import { AGENT_PHASE, countOf, type TestRun, toJson, toJUnit, type Validation } from './rules/conclude.ts';
import { formatOutputTitle, titleOf, validationPage } from './rules/report-page.ts';

/** The report of a validation: log, page, files, outputs, and the error that fails the job. */

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
  if (junit !== undefined) await files.write(junit, toJUnit(validation));
  if (json !== undefined) await files.write(json, `${JSON.stringify(toJson(validation, true), null, 2)}\n`);
}

export const validationOutputs = (validation: Validation) => ({
  verdict: validation.result,
  amiId: validation.imageId,
  passed: countOf(validation.testRuns, 'passed'),
  failed: countOf(validation.testRuns, 'failed'),
  checks: validation.checks,
  instanceId: validation.testRuns.map(({ instanceId }) => instanceId).find(id => id !== undefined),
  report: toJson(validation, false),
});

const MOST_LISTED = 20;

/**
 * The error of a validation; undefined where it passed and no instance remains. `earlier`: the verdict before; `imageReport`: what was done with a failed image;
 * `notStored`: why the verdict could not be stored.
 */
export function validationError(
  validation: Validation,
  earlier: ImageVerdict,
  imageReport?: string,
  notStored?: ActionError,
): ActionError | undefined {
  const { imageId, result, testRuns } = validation;
  const leftovers = [...testRuns.flatMap(testRun => testRun.leftovers), ...verdictLeftovers(validation, earlier, notStored)];
  const title = result === 'passed' ? undefined : titleOf(validation);
  const details = { title, leftovers, outputs: validationOutputs(validation) };
  if (testRuns.some(({ failure }) => failure instanceof CancelledError))
    return new CancelledError(`Validation of ${imageId} was cancelled. It has no new verdict.`, details);
  if (notStored instanceof CancelledError)
    return wrapError(
      notStored,
      `Cancelled while the verdict "${result}" was stored on ${imageId}: it may not be visible to other runs.`,
      details,
    );
  if (result === 'passed' && notStored !== undefined)
    return wrapError(notStored, `${imageId} passed, but its verdict could not be stored: ${notStored.message}`, details);
  if (result === 'passed') {
    if (!testRuns.some(({ leaked }) => leaked)) return undefined;
    const next = 'Allow ec2:TerminateInstances for the role, and turn off termination protection.';
    return new AccessError(`${imageId} passed validation, but its test instance could not be terminated.`, { ...details, next });
  }
  if (result === 'inconclusive') return inconclusive(validation, details);
  const message = `${imageId} failed validation: ${sentence(validation.reason)}${formatFailedChecks(testRuns)}`;
  return new RejectedError([message, imageReport].filter(Boolean).join('\n'), { ...details, next: nextStep(validation) });
}

/** Without a new verdict the earlier one still counts. */
function verdictLeftovers({ imageId, result }: Validation, earlier: ImageVerdict, notStored: ActionError | undefined): readonly string[] {
  if (notStored !== undefined) return [`${imageId} may still have an older verdict: ${notStored.message}`];
  if (result !== 'inconclusive' || earlier.verdict === undefined) return [];
  return [`${imageId} keeps its earlier verdict: ${earlier.reason}`];
}

/** What to do about a failed validation: by where it stopped, and whether the instance is there to look at. */
function nextStep({ testRuns, result }: Validation): string {
  if (testRuns.some(({ kept }) => kept)) return 'Debug on the instance with the command above, fix the image, and build it again.';
  if (testRuns.some(({ checks }) => checks.length > 0))
    return 'Fix the image and build it again. The log and the job summary have the output of each check. To debug on the instance, set "keep-on-failure: 1h" and re-run the job.';
  if (result === 'failed' && testRuns.some(({ timeline }) => timeline.at(-1)?.name === AGENT_PHASE))
    return 'Install and enable amazon-ssm-agent in the template: packer/scripts/install.sh shows how.';
  return 'See the job summary for the details.';
}

function inconclusive(validation: Validation, details: ErrorDetails): ActionError {
  const { imageId, reason, testRuns } = validation;
  const failure = testRuns.map(testRun => testRun.failure).find(known => known !== undefined);
  const next = (failure instanceof ActionError ? failure.next : undefined) ?? nextStep(validation);
  return wrapError(failure, `${imageId} could not be validated and has not passed: ${sentence(reason)}`, { ...details, next });
}

function formatFailedChecks(testRuns: readonly TestRun[]): string {
  const failed = testRuns.flatMap(({ checks }) => checks.filter(({ ending }) => ending === 'failed'));
  const lines = failed.slice(0, MOST_LISTED).map(({ name, reason, output }) => `\n- ${oneLine(name)}: ${reason}${lastOutputLine(output)}`);
  return lines.join('') + (failed.length > MOST_LISTED ? `\n- and ${failed.length - MOST_LISTED} more` : '');
}

/** The last line of a check's output usually names the cause. */
const lastOutputLine = (output: string): string => {
  const line = oneLine(output.trim().split('\n').at(-1) ?? '');
  return line === '' ? '' : `: ${line.length > 300 ? `${line.slice(0, 297)}...` : line}`;
};

const sentence = (text: string): string => (text.endsWith('.') ? text : `${text}.`);

const oneLine = (raw: string): string => raw.replace(/\p{C}+/gu, ' ').trim();
