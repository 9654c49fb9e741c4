import { type ActionError, wrapError } from '../kit/errors.ts';
import { code, table, text } from '../kit/markdown.ts';
import type { Reporter } from '../ports/deps.ts';
import type { ShareResult } from './apply.ts';
import type { SharePlan } from './facts.ts';
import type { Line, Target } from './rules/plan.ts';

/** One table for all accounts and regions, and one error for all targets that failed. */

const ACTION_NAMES = { copy: 'copy', permit: 'share', tag: 'tag', withdraw: 'unshare' } as const;

const formatActions = ({ actions }: Line): string =>
  actions.length === 0 ? 'nothing' : actions.map(action => ACTION_NAMES[action]).join(', ');

const formatAccount = ({ who, kind }: Target): string => (kind === 'region' ? `${who} (own)` : who);

export function reportPlan({ home, lines, warnings }: SharePlan, report: Reporter): void {
  const rows = lines.map(line => [
    code(formatAccount(line.target)),
    code(line.target.region),
    line.failure === undefined ? formatActions(line) : '❌ skipped',
    text(line.reason),
  ]);
  const outside = formatUnchecked(lines);
  const notes = [...warnings.map(warning => `> ⚠️ ${text(warning)}`), ...outside.map(note => `> ${text(note)}`)];
  report.summary([`### Share ${code(home.id)}`, table(['Account', 'Region', 'Plan', 'Reason'], rows), ...notes].join('\n\n'));
  for (const line of lines)
    report.info(
      `${line.target.who} in ${line.target.region}: ${line.failure === undefined ? formatActions(line) : 'skipped'} (${line.reason})`,
    );
  for (const warning of warnings) report.warn(warning);
  for (const note of outside) report.info(note);
}

/** Accounts that may launch the image and are not read for lack of a role: one note for all of them. */
function formatUnchecked(lines: SharePlan['lines']): readonly string[] {
  const unseen = lines.filter(
    ({ target: { kind, role }, actions }) => kind === 'launch' && role === undefined && !actions.includes('withdraw'),
  );
  const who = [...new Set(unseen.map(({ target }) => target.who))];
  if (who.length === 0) return [];
  return [
    `Not checked in ${who.join(', ')}: Allowed AMIs, and the image has no tags there. To write tags and check, set "target-role" for accounts.`,
  ];
}

export function reportResults(results: readonly ShareResult[], report: Reporter): void {
  const rows = results.map(({ line, imageId, failure }) => [
    code(formatAccount(line.target)),
    code(line.target.region),
    code(imageId ?? ''),
    failure === undefined ? (line.actions.length === 0 ? 'unchanged' : `✅ ${formatActions(line)}`) : `❌ ${failure.outcome}`,
    text(failure?.message ?? ''),
  ]);
  report.summary(table(['Account', 'Region', 'Image', 'Outcome', 'Reason'], rows));
}

/** Of several failures, the outcome of the run: what stops all targets comes before what stops one. */
const WORST: readonly ActionError['outcome'][] = ['cancelled', 'unknown', 'access', 'usage', 'rejected', 'timeout'];

const RERUN = 'Run the job again.';

/** One error for all failed targets; undefined where none failed. */
export function failureOf(results: readonly ShareResult[], outputs: Readonly<Record<string, unknown>>): ActionError | undefined {
  const failed = results.flatMap(({ line, failure }) => (failure === undefined ? [] : [{ line, failure }]));
  const worst = WORST.flatMap(outcome => failed.find(({ failure }) => failure.outcome === outcome) ?? [])[0];
  if (worst === undefined) return undefined;
  const reasons = failed.map(({ line, failure }) => `- ${line.target.who} in ${line.target.region}: ${failure.message}`);
  // To run the job again is the last step of all.
  const steps = [...new Set(failed.flatMap(({ failure: { next = RERUN } }) => (next === RERUN ? [] : [next])))];
  const again = `${steps.length === 0 ? 'Re-run' : 'Then re-run'} the job: it does only what is missing.`;
  const next = [...steps, again].join(' ');
  const others = failed.length === results.length ? '' : ', the others are done';
  const message = `${failed.length} of ${results.length} ${results.length === 1 ? 'target' : 'targets'} failed${others}:\n${reasons.join('\n')}`;
  return wrapError(worst.failure, message, { next, outputs });
}
