import { ActionError, type Outcome } from './errors.ts';
import { block, text } from './markdown.ts';

const WHO: Partial<Record<Outcome, string>> = {
  usage: 'the author of the workflow',
  access: 'the admin of the AWS account',
  rejected: 'the owner of the image',
  timeout: 'nobody yet: it may still finish on its own',
  cancelled: 'nobody: somebody cancelled it',
  unknown: 'nobody yet: run the job again, it finds what it started',
};

/** Endings by which nothing has failed yet. */
const MARK: Partial<Record<Outcome, string>> = { timeout: '⏱️', cancelled: '🚫', unknown: '⏳' };

const NOTHING = 'nothing was touched';

/** The one place that decides how a failure reads in the log and as an annotation. */
export function explain(failure: unknown): string {
  if (!(failure instanceof ActionError)) {
    const stack = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    return `This is a bug in ami-action, please report it with the lines below.\n${stack}`;
  }
  const left = failure.leftovers.length === 0 ? [] : ['Left behind:', ...failure.leftovers.map(line => `- ${line}`)];
  const next = failure.next === undefined ? [] : [`Next: ${failure.next}`];
  return [failure.message, ...left, ...next].join('\n');
}

/** The same for the job summary: lines that wrap, because nobody scrolls sideways to learn why. */
export function failureCard(mode: string, failure: unknown): string {
  if (!(failure instanceof ActionError)) return card(mode, 'bug', [block(explain(failure))], 'us: please report it');
  const { message, leftovers, next, outcome } = failure;
  const told = [
    paragraphs(message),
    ...(leftovers.length === 0 ? [] : [leftovers.join() === NOTHING ? 'Nothing was touched.' : `**Left behind**\n\n${list(leftovers)}`]),
  ];
  return card(mode, outcome, next === undefined ? told : [...told, `**Next:** ${text(next)}`], WHO[outcome] ?? 'us: please report it');
}

const card = (mode: string, outcome: Outcome, told: readonly string[], who: string): string =>
  [`### ${MARK[outcome] ?? '❌'} ${text(mode)}: ${outcome}`, ...told, `**Who must act:** ${who}.`].join('\n\n');

const list = (items: readonly string[]): string => items.map(item => `- ${text(item)}`).join('\n');

const isItem = (line: string | undefined): boolean => line?.startsWith('- ') === true;

/** A message's own lines: items stay items, the others stand below each other, and one after a list is none of its items. */
const paragraphs = (message: string): string =>
  message
    .split('\n')
    .map((line, n, all) => (isItem(line) ? list([line.slice(2)]) : `${isItem(all[n - 1]) ? '\n' : ''}${text(line)}  `))
    .join('\n')
    .trimEnd();
