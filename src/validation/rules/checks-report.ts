import type { Poll } from '../../kit/wait.ts';
import type { Check } from './checks.ts';
import { TOO_EARLY } from './checks-script.ts';

/** What became of one check on one machine. */
export interface CheckResult {
  readonly name: string;
  readonly ending: 'passed' | 'warned' | 'failed' | 'not run';
  /** Why, as the end of a sentence that begins with its name. */
  readonly reason: string;
  readonly seconds: number;
  readonly tries: number;
  /** The end of what it printed: untrusted. */
  readonly output: string;
  /** How much it printed. */
  readonly bytes: number;
}

/** `inconclusive` is never passed: we did not see the checks fail, and did not see them pass. */
export interface Judgement {
  readonly result: 'passed' | 'failed' | 'inconclusive';
  readonly reason: string;
  readonly checks: readonly CheckResult[];
  /** False where the report was cut: results may be missing, the judgement is not. */
  readonly complete: boolean;
  /** The name of this boot: another after a reboot. */
  readonly boot: string | undefined;
  /** The machine has not rebooted yet: nothing was checked. */
  readonly tooEarly: boolean;
  /** The machine or its agent went away: nobody knows what the checks would have said. */
  readonly lost: boolean;
}

interface Report extends Pick<Judgement, 'checks' | 'complete' | 'boot'> {
  readonly begun: boolean;
}

/** What Run Command says, whatever the API calls it. */
export interface CommandStatus {
  readonly status: string;
  readonly detail: string;
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
const IN_PROGRESS: ReadonlySet<string> = new Set(['Pending', 'InProgress', 'Delayed', 'Cancelling']);

// No answer came, or nobody was there to take the command.
const LOST: ReadonlySet<string> = new Set(['DeliveryTimedOut', 'Undeliverable']);

/** Of our own script: it found no room to work in. */
const COULD_NOT_START = 90;

/** Status and response code decide; the report only tells which checks it was. */
export function judgeChecks(seen: CommandStatus | undefined, checks: readonly Check[], nonce: string): Poll<Judgement> {
  if (seen === undefined) return { state: 'waiting', note: 'Systems Manager does not know the command yet' };
  if (IN_PROGRESS.has(seen.status)) return { state: 'waiting', note: formatStatus(seen) };
  const report = parseReport(seen.output, checks, nonce);
  const { checks: results, complete, boot } = report;
  const { result, reason } = conclude(seen, report);
  const lost = LOST.has(detailOf(seen));
  return { state: 'done', value: { result, reason, checks: results, complete, boot, tooEarly: seen.exitCode === TOO_EARLY, lost } };
}

function conclude(seen: CommandStatus, report: Report): Pick<Judgement, 'result' | 'reason'> {
  const failed = report.checks.filter(({ ending }) => ending === 'failed').length;
  if (seen.status === 'Cancelled')
    return {
      result: 'inconclusive',
      reason: `Run Command says ${formatStatus(seen)}: somebody cancelled the command while the checks ran`,
    };
  if (detailOf(seen) === 'ExecutionTimedOut') {
    const reason = 'the checks did not end in time, and the agent killed them: one of them cannot be ended, or the machine is far too slow';
    return { result: 'failed', reason };
  }
  if (seen.status === 'TimedOut' || LOST.has(detailOf(seen))) {
    return {
      result: 'inconclusive',
      reason: `Run Command says ${formatStatus(seen)}: the machine or its agent was lost before the checks ended`,
    };
  }
  if (seen.exitCode === COULD_NOT_START)
    return { result: 'failed', reason: `the checks could not even start: ${lastLine(seen.errors) || 'no reason given'}` };
  if (failed > 0) return { result: 'failed', reason: `${failed} of ${report.checks.length} checks failed` };
  if (seen.status === 'Success' && seen.exitCode === 0) {
    if (!report.begun)
      return {
        result: 'inconclusive',
        reason: 'Run Command says Success, but nothing of our report came back: something else than the checks ran',
      };
    if (!report.complete) return { result: 'passed', reason: 'exit code 0; the report was cut, so not every check is listed' };
    return { result: 'passed', reason: allPassed(report.checks) };
  }
  if (report.begun && seen.exitCode === 1)
    return { result: 'failed', reason: 'exit code 1; the report was cut, so the failed check may not be listed' };
  return {
    result: 'inconclusive',
    reason: `Run Command says ${formatStatus(seen)}, exit code ${seen.exitCode}: the checks did not run to their end${reason(seen)}`,
  };
}

function allPassed(checks: readonly CheckResult[]): string {
  const warned = checks.filter(({ ending }) => ending === 'warned').length;
  if (checks.length === 1 && warned === 0) return 'the check passed';
  return warned === 0
    ? `all ${checks.length} checks passed`
    : `${checks.length - warned} of ${checks.length} checks passed, the others only warn`;
}

const reason = ({ errors }: CommandStatus): string => (lastLine(errors) === '' ? '' : `: ${lastLine(errors)}`);
const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
/** Written with and without spaces, by page and API. */
const detailOf = ({ detail }: CommandStatus): string => detail.replaceAll(' ', '');
const formatStatus = ({ status, detail }: CommandStatus): string =>
  detail === '' || detail.replaceAll(' ', '') === status ? status : `${status} (${detail})`;

const BEGIN = /^begin \d+ ([0-9a-f-]+)$/;
const RECORD = /^(\d+) (ok|code|time|expect|forbid|skipped) (-?\d+) (\d+) (\d+) (\d+) ([A-Za-z0-9+/]+=*|-)$/;

/** Reads only lines that begin with the nonce, from the last beginning on: ours is written when every check has ended. Of each check the first record counts. */
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
    checks: checks.map((check, index) => asResult(check, records.get(index))),
  };
}

function asResult(check: Check, record: RegExpExecArray | undefined): CheckResult {
  const { name } = check;
  if (record === undefined) return { name, ending: 'not run', reason: 'was not reported', seconds: 0, tries: 0, output: '', bytes: 0 };
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
  ok: ({ exitCode }) => (exitCode === 0 ? 'passed' : `ended with exit code ${exitCode}, as wanted`),
  code: ({ exitCode }, code) => `ended with exit code ${code}${exitCode === 0 ? '' : `, not ${exitCode}`}${WELL_KNOWN[code] ?? ''}`,
  time: ({ timeLimitSeconds }) => `was ended after its time limit of ${timeLimitSeconds} s`,
  expect: ({ expect }) => `printed nothing that matches ${expect}`,
  forbid: ({ forbid }) => `printed what matches ${forbid}`,
  skipped: () => 'was not run: the time for all checks was used up',
};

const WELL_KNOWN: Readonly<Record<number, string>> = {
  126: ' (not executable)',
  127: ' (command not found)',
  137: ' (killed, perhaps out of memory)',
  139: ' (segmentation fault)',
};
