import { ActionError, type Outcome } from './errors.ts';
import { block, text } from './markdown.ts';

const WHO: Partial<Record<Outcome, string>> = {
  usage: 'the author of the workflow',
  access: 'the admin of the AWS account',
  rejected: 'the owner of the image',
  timeout: 'no one yet: it may still finish on its own',
  cancelled: 'no one: the run was cancelled',
  unknown: 'no one yet: re-run the job, it finds what it started',
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
  const { message, unchanged, leftovers, next } = failure;
  return [
    message,
    ...(unchanged ? [UNCHANGED] : []),
    ...(leftovers.length === 0 ? [] : ['Left behind:', ...leftovers.map(line => `- ${line}`)]),
    ...(next === undefined ? [] : [`Next: ${next}`]),
  ].join('\n');
}

/** The same for the job summary, in lines that wrap. */
export function failureCard(mode: string, failure: unknown): string {
  if (!(failure instanceof ActionError)) return card(mode, 'bug', [block(explain(failure))], 'us: please report it');
  const { message, unchanged, leftovers, next, outcome } = failure;
  const body = [
    paragraphs(message),
    ...(unchanged ? [UNCHANGED] : []),
    ...(leftovers.length === 0 ? [] : [`**Left behind**\n\n${list(leftovers)}`]),
    ...(next === undefined ? [] : [`**Next:** ${text(next)}`]),
  ];
  return card(mode, outcome, body, WHO[outcome] ?? 'us: please report it');
}

const card = (mode: string, outcome: Outcome, body: readonly string[], who: string): string =>
  [`### ${MARK[outcome] ?? '❌'} ${text(mode)}: ${outcome}`, ...body, `**Who must act:** ${who}.`].join('\n\n');

const list = (items: readonly string[]): string => items.map(item => `- ${text(item)}`).join('\n');

const isItem = (line: string | undefined): boolean => line?.startsWith('- ') === true;

/** Items stay items, other lines stay below each other, and a line after a list does not join its last item. */
const paragraphs = (message: string): string =>
  message
    .split('\n')
    .map((line, n, all) => (isItem(line) ? list([line.slice(2)]) : `${isItem(all[n - 1]) ? '\n' : ''}${text(line)}  `))
    .join('\n')
    .trimEnd();
