import { formatCount } from '../../kit/format.ts';
import type { Poll } from '../../kit/wait.ts';
import type { Check } from './checks.ts';
import { TOO_EARLY } from './checks-script.ts';

/** The result of one check on one instance. */
export interface CheckResult {
  readonly name: string;
  readonly ending: 'passed' | 'warned' | 'failed' | 'not run';
  /** The end of a sentence that begins with its name. */
  readonly reason: string;
  readonly seconds: number;
  readonly tries: number;
  /** The end of what it printed: untrusted. */
  readonly output: string;
  /** Size of its whole output. */
  readonly bytes: number;
}

/** `inconclusive` is not passed: the checks were neither seen to pass nor to fail. */
export interface ChecksEvaluation {
  readonly result: 'passed' | 'failed' | 'inconclusive';
  readonly reason: string;
  readonly checks: readonly CheckResult[];
  /** False where the report was cut: results may be missing, the evaluation is not. */
  readonly complete: boolean;
  /** Identifies this boot, and after `@` says when the first one began. */
  readonly boot: string | undefined;
  /** The instance has not rebooted yet: nothing was checked. */
  readonly tooEarly: boolean;
  /** Instance or agent stopped answering: the result is unknown. */
  readonly lost: boolean;
}

interface Report extends Pick<ChecksEvaluation, 'checks' | 'complete' | 'boot'> {
  readonly begun: boolean;
}

/** The state of a command as Run Command returns it. */
export interface CommandStatus {
  readonly status: string;
  readonly detail: string;
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
const IN_PROGRESS: ReadonlySet<string> = new Set(['Pending', 'InProgress', 'Delayed', 'Cancelling']);

// The command was not delivered.
const LOST: ReadonlySet<string> = new Set(['DeliveryTimedOut', 'Undeliverable']);

/** Exit code of our script when it can write no file. */
const COULD_NOT_START = 90;

/** Status and exit code decide; the report only names the checks. */
export function evaluateChecks(seen: CommandStatus | undefined, checks: readonly Check[], nonce: string): Poll<ChecksEvaluation> {
  if (seen === undefined) return { state: 'waiting', note: 'Systems Manager does not show the command yet' };
  if (IN_PROGRESS.has(seen.status)) return { state: 'waiting', note: formatStatus(seen) };
  const report = parseReport(seen.output, checks, nonce);
  const { checks: results, complete, boot } = report;
  const { result, reason } = conclude(seen, report);
  const lost = LOST.has(detailOf(seen));
  return { state: 'done', value: { result, reason, checks: results, complete, boot, tooEarly: seen.exitCode === TOO_EARLY, lost } };
}

function conclude(seen: CommandStatus, report: Report): Pick<ChecksEvaluation, 'result' | 'reason'> {
  const failed = report.checks.filter(({ ending }) => ending === 'failed').length;
  if (seen.status === 'Cancelled')
    return {
      result: 'inconclusive',
      reason: `the command is ${formatStatus(seen)}: a user or another process cancelled it`,
    };
  if (detailOf(seen) === 'ExecutionTimedOut') {
    const reason = 'the checks did not end in time and the agent killed them. Increase "checks-timeout", or fix a check that blocks';
    return { result: 'failed', reason };
  }
  if (seen.status === 'TimedOut' || LOST.has(detailOf(seen))) {
    return {
      result: 'inconclusive',
      reason: `the command is ${formatStatus(seen)}: the instance or its agent stopped answering before the checks ended`,
    };
  }
  if (seen.exitCode === COULD_NOT_START)
    return { result: 'failed', reason: `the checks could not start: ${lastLine(seen.errors) || 'no reason given'}` };
  if (failed > 0) return { result: 'failed', reason: `${failed} of ${formatCount(report.checks.length, 'check')} failed` };
  if (seen.status === 'Success' && seen.exitCode === 0) {
    if (!report.begun)
      return {
        result: 'inconclusive',
        reason: 'the command succeeded without the report of the checks: another script ran',
      };
    if (!report.complete)
      return { result: 'passed', reason: 'all checks passed (exit code 0). The report was cut, so some are not listed' };
    return { result: 'passed', reason: allPassed(report.checks) };
  }
  if (report.begun && seen.exitCode === 1)
    return { result: 'failed', reason: 'a check failed (exit code 1). The report was cut, so it may not be listed' };
  return {
    result: 'inconclusive',
    reason: `the command is ${formatStatus(seen)} with exit code ${seen.exitCode}: the checks did not run to their end${reason(seen)}`,
  };
}

function allPassed(checks: readonly CheckResult[]): string {
  const warned = checks.filter(({ ending }) => ending === 'warned').length;
  if (checks.length === 1 && warned === 0) return 'the check passed';
  return warned === 0
    ? `all ${checks.length} checks passed`
    : `${checks.length - warned} of ${formatCount(checks.length, 'check')} passed, the others are warnings`;
}

const reason = ({ errors }: CommandStatus): string => (lastLine(errors) === '' ? '' : `: ${lastLine(errors)}`);
const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
/** AWS writes it with and without spaces. */
const detailOf = ({ detail }: CommandStatus): string => detail.replaceAll(' ', '');
const formatStatus = ({ status, detail }: CommandStatus): string =>
  detail === '' || detail.replaceAll(' ', '') === status ? status : `${status} (${detail})`;

const BEGIN = /^begin \d+ ([0-9a-f-]+@\d+)$/;
const RECORD = /^(\d+) (ok|code|time|expect|forbid|skipped) (-?\d+) (\d+) (\d+) (\d+) ([A-Za-z0-9+/]+=*|-)$/;

/** Reads only lines that begin with the nonce, from the last `begin` on, which is written after every check has ended. The first record of a check counts. */
function parseReport(output: string, checks: readonly Check[], nonce: string): Report {
  const all = output.split('\n').flatMap(line => (line.startsWith(`${nonce} `) ? [line.slice(nonce.length + 1)] : []));
  const beginning = all.findLastIndex(line => BEGIN.test(line));
  const lines = beginning < 0 ? [] : all.slice(beginning);
  const records = new Map<number, RegExpExecArray>();
  for (const line of lines) {
    const record = RECORD.exec(line);
    if (record !== null && !records.has(Number(record[1]))) records.set(Number(record[1]), record);
  }
  return {
    begun: beginning >= 0,
    complete: records.size === checks.length && lines.some(line => /^end \d+$/.test(line)),
    boot: BEGIN.exec(lines[0] ?? '')?.[1],
    checks: checks.map((check, index) => toResult(check, records.get(index))),
  };
}

function toResult(check: Check, record: RegExpExecArray | undefined): CheckResult {
  const { name } = check;
  if (record === undefined) return { name, ending: 'not run', reason: 'is not in the report', seconds: 0, tries: 0, output: '', bytes: 0 };
  const [, , how = '', code = '', centiseconds = '', tries = '', bytes = '', excerpt = ''] = record;
  return {
    name,
    ending: how === 'ok' ? 'passed' : check.severity === 'warn' ? 'warned' : 'failed',
    reason: REASONS[how]?.(check, Number(code)) ?? how,
    seconds: Number(centiseconds) / 100,
    tries: Number(tries),
    output: excerpt === '-' ? '' : Buffer.from(excerpt, 'base64').toString('utf8'),
    bytes: Number(bytes),
  };
}

const REASONS: Readonly<Record<string, (check: Check, code: number) => string>> = {
  ok: ({ exitCode }) => (exitCode === 0 ? 'passed' : `ended with exit code ${exitCode}, as expected`),
  code: ({ exitCode }, code) => `ended with exit code ${code}${exitCode === 0 ? '' : `, not ${exitCode}`}${WELL_KNOWN[code] ?? ''}`,
  time: ({ timeLimitSeconds }) => `exceeded its time limit of ${timeLimitSeconds} s`,
  expect: ({ expect }) => `printed no line that matches ${expect}`,
  forbid: ({ forbid }) => `printed a line that matches ${forbid}`,
  skipped: () => 'was not run: "checks-timeout" was reached',
};

const WELL_KNOWN: Readonly<Record<number, string>> = {
  126: ' (not executable)',
  127: ' (command not found)',
  137: ' (killed, possibly out of memory)',
  139: ' (segmentation fault)',
};
