import { formatCount, formatDuration } from '../../kit/format.ts';
import { block, code, details, table, text } from '../../kit/markdown.ts';
import type { CheckResult } from './checks-report.ts';
import type { TestRun, Validation } from './conclude.ts';

/** The validation in the job summary. Output of instances is untrusted and goes through kit/markdown.ts. */

const MARK = { passed: '✅', failed: '❌', inconclusive: '❔' } as const;
const ENDING_MARK: Readonly<Record<CheckResult['ending'], string>> = { passed: '✅', warned: '⚠️', failed: '❌', 'not run': '❔' };

// The runner drops a whole summary of more than 1 MiB, and other steps write there too.
const MOST_OUTPUT_CHARACTERS = 200_000;

export function validationPage(validation: Validation): string {
  const { imageId, result, reason, testRuns } = validation;
  const failed = testRuns.flatMap(({ checks }) => checks).find(({ ending, output }) => ending === 'failed' && output.trim() !== '');
  return [
    // A failure has a card with this title and the reason.
    ...(result === 'passed' ? [`### ${MARK[result]} ${text(titleOf(validation))}`, `${code(imageId)}: ${text(sentence(reason))}`] : []),
    ...(failed === undefined ? [] : [`**${text(failed.name)}** ${text(failed.reason)}:`, block(lastLines(failed.output))]),
    instances(testRuns),
    ...testRuns.filter(({ checks }) => checks.length > 0).map(checksTable(testRuns.length > 1)),
    ...outputs(testRuns),
    ...testRuns.flatMap(({ leftovers }) => leftovers).map(line => `> ⚠️ ${text(line)}`),
  ].join('\n\n');
}

/** "web 1.1.0 failed validation: 2 of 4 checks failed". */
export function titleOf({ family, version, result, testRuns }: Validation): string {
  const checks = testRuns.flatMap(testRun => testRun.checks);
  const count = (of: readonly CheckResult['ending'][]) => checks.filter(({ ending }) => of.includes(ending)).length;
  const [failed, passed] = [count(['failed']), count(['passed', 'warned'])];
  const all = formatCount(checks.length, 'check');
  const counted = { passed: `: ${passed} of ${all} passed`, failed: `: ${failed} of ${all} failed`, inconclusive: '' }[result];
  const outcome = result === 'inconclusive' ? 'could not be validated' : `${result} validation`;
  return `${[family, version].filter(Boolean).join(' ')} ${outcome}${checks.length === 0 || (result === 'failed' && failed === 0) ? '' : counted}`;
}

const OPEN_LINES = 5;

const lastLines = (output: string): string => output.trimEnd().split('\n').slice(-OPEN_LINES).join('\n').slice(-2000);

const sentence = (reason: string): string => `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? '' : '.'}`;

function instances(testRuns: readonly TestRun[]): string {
  const phases = [...new Set(testRuns.flatMap(({ timeline }) => timeline.map(({ name }) => name)))];
  const rows = testRuns.map(({ instanceType, instanceId, result, timeline }) => [
    code(instanceType),
    code(instanceId ?? ''),
    MARK[result],
    ...phases.map(phase =>
      timeline
        .filter(({ name }) => name === phase)
        .map(({ seconds }) => formatDuration(seconds))
        .join(', '),
    ),
  ]);
  return table(['Type', 'Instance', '', ...phases.map(text)], rows);
}

/** Checks that need attention come first. */
const BAD = ['failed', 'not run', 'warned'] as const;
const MOST_PASSED = 12;

const rowsOf = (checks: readonly CheckResult[]): string =>
  table(
    ['', 'Check', 'Took', 'Reason'],
    checks.map(({ name, ending, reason, seconds, tries }) => [
      ENDING_MARK[ending],
      text(name),
      formatDuration(seconds) + (tries > 1 ? ` (${tries} tries)` : ''),
      ending === 'passed' ? '' : text(reason),
    ]),
  );

const checksTable =
  (many: boolean) =>
  ({ instanceType, checks, complete }: TestRun): string => {
    const bad = BAD.flatMap(ending => checks.filter(check => check.ending === ending));
    const good = checks.filter(({ ending }) => ending === 'passed');
    const [shown, folded] = good.length > MOST_PASSED ? [bad, good] : [[...bad, ...good], []];
    const title = many ? [`**${text(instanceType)}**`] : [];
    const cut = complete ? [] : ['The report was cut: some results are missing.'];
    const tables = [
      ...(shown.length === 0 ? [] : [rowsOf(shown)]),
      ...(folded.length === 0 ? [] : [details(`${formatCount(folded.length, 'check')} passed`, rowsOf(folded))]),
    ];
    return [...title, ...tables, ...cut].join('\n\n');
  };

function outputs(testRuns: readonly TestRun[]): string[] {
  let room = MOST_OUTPUT_CHARACTERS;
  const shown = (title: string, raw: string): string[] => {
    if (raw.trim() === '' || room <= 0) return [];
    const kept = raw.slice(-Math.min(raw.length, room));
    room -= kept.length;
    return [details(title, block(kept))];
  };
  return testRuns.flatMap(testRun => [
    ...testRun.checks
      .filter(({ ending }) => ending === 'failed' || ending === 'warned')
      .flatMap(({ name, output, bytes }) => shown(`${name}: ${formatOutputTitle(output, bytes)}`, output)),
    ...shown(`End of the console of ${testRun.instanceId ?? testRun.instanceType}`, testRun.console ?? ''),
  ]);
}

/** Says whether the output is complete. */
export const formatOutputTitle = (output: string, bytes: number): string =>
  Buffer.byteLength(output) >= bytes ? 'output' : `output, truncated: the last ${Buffer.byteLength(output)} of ${bytes} bytes`;
