import { Expected, type Outcome } from './errors.ts';
import { block, text } from './markdown.ts';

const WHO: Partial<Record<Outcome, string>> = {
  usage: 'the author of the workflow',
  access: 'the admin of the AWS account',
  rejected: 'the owner of the image',
  timeout: 'nobody yet: it may still finish on its own',
  cancelled: 'nobody: somebody cancelled it',
  unknown: 'nobody yet: run the job again, it finds what it started',
};

/** The one place that decides how a failure reads in the log and as an annotation. */
export function explain(failure: unknown): string {
  if (!(failure instanceof Expected)) {
    const stack = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    return `This is a bug in ami-action, please report it with the lines below.\n${stack}`;
  }
  const left = failure.left.length === 0 ? [] : ['Left behind:', ...failure.left.map(line => `- ${line}`)];
  const next = failure.next === undefined ? [] : [`Next: ${failure.next}`];
  return [failure.message, ...left, ...next].join('\n');
}

/** The same for the job summary. */
export function failureCard(mode: string, failure: unknown): string {
  const outcome = failure instanceof Expected ? failure.outcome : 'bug';
  const who = WHO[outcome] ?? 'us: please report it';
  return `### ❌ ${text(mode)}: ${outcome}\n\n${block(explain(failure))}\n\nWho must act: ${who}.`;
}
