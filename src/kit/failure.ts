import { ActionError, type Outcome } from './errors.ts';
import { block, code, details, table, text } from './markdown.ts';
import type { GivenSetting } from './settings.ts';

const WHO: Partial<Record<Outcome, string>> = {
  usage: 'the author of the workflow',
  access: 'the admin of the AWS account',
  rejected: 'the owner of the image',
  timeout: 'no one yet: it may still finish on its own',
  cancelled: 'no one: the run was cancelled',
  unknown: 'no one yet: re-run the job, it finds what it started',
};

/** The heading of a failure that has none of its own. */
const TITLES: Partial<Record<Outcome, string>> = {
  usage: 'the settings need a fix',
  access: 'no access to AWS',
  rejected: 'failed',
  timeout: 'not finished in time',
  cancelled: 'cancelled',
  unknown: 'the result is not known yet',
};

/** Outcomes that are not failures yet. */
const MARK: Partial<Record<Outcome, string>> = { timeout: '⏱️', cancelled: '🚫', unknown: '⏳' };

const UNCHANGED = 'No changes were made.';

/** How a failure reads in the log and as an annotation. */
export function explain(failure: unknown): string {
  if (!(failure instanceof ActionError)) {
    const stack = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    return `This is a bug in ami-action, please report it with the lines below.\n${stack}`;
  }
  const { message, unchanged, leftovers, heading = 'Left behind', next } = failure;
  return [
    message,
    ...(unchanged ? [UNCHANGED] : []),
    ...(leftovers.length === 0 ? [] : [`${heading}:`, ...leftovers.map(line => `- ${line}`)]),
    ...(next === undefined ? [] : [`Next: ${next}`]),
  ].join('\n');
}

/** The same for the job summary, in lines that wrap. */
export function failureCard(mode: string, failure: unknown): string {
  if (!(failure instanceof ActionError))
    return card('❌', `${mode}: a bug in ami-action`, [block(explain(failure))], 'us: please report it');
  const { title, message, unchanged, leftovers, heading = 'Left behind', next, outcome } = failure;
  const body = [
    paragraphs(message),
    ...(unchanged ? [UNCHANGED] : []),
    ...(leftovers.length === 0 ? [] : [`**${heading}**\n\n${list(leftovers)}`]),
    ...(next === undefined ? [] : [`**Next:** ${text(next)}`]),
  ];
  return card(MARK[outcome] ?? '❌', title ?? `${mode}: ${TITLES[outcome]}`, body, WHO[outcome] ?? 'us: please report it');
}

const card = (mark: string, title: string, body: readonly string[], who: string): string =>
  [`### ${mark} ${text(title)}`, ...body, `**Who must act:** ${who}.`].join('\n\n');

const list = (items: readonly string[]): string => items.map(item => `- ${text(item)}`).join('\n');

const isItem = (line: string | undefined): boolean => line?.startsWith('- ') === true;

/** Items stay items, other lines stay below each other, and a line after a list does not join its last item. */
const paragraphs = (message: string): string =>
  message
    .split('\n')
    .map((line, n, all) => (isItem(line) ? list([line.slice(2)]) : `${isItem(all[n - 1]) ? '\n' : ''}${text(line)}  `))
    .join('\n')
    .trimEnd();

/** Which place decided is what a reader asks first when a run did something else than expected. */
export const settingsTable = (given: readonly GivenSetting[]): string =>
  details(
    'Settings of this run, and where each was set',
    table(
      ['Setting', 'Value', 'Set in'],
      given.map(({ name, value, where }) => [code(name), code(value), text(where)]),
    ),
  );
