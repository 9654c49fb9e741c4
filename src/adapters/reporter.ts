import * as core from '@actions/core';
import { formatDuration } from '../kit/format.ts';
import { table, text } from '../kit/markdown.ts';
import type { Clock, Reporter } from '../ports/deps.ts';
import { printForeign } from './github.ts';

// The runner throws a summary of more than 1 MiB away as a whole.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const MOST_BYTES = 1024 * 1024 - 16 * 1024;

interface Phase {
  readonly title: string;
  readonly seconds: number;
  readonly ended: 'ok' | 'failed';
}

export interface RunnerReporter extends Reporter {
  /** Writes the job summary: what the modes said, then a timeline of the steps. Call it once, at the end. */
  flush(): Promise<void>;
}

/** Steps are groups of the log and lines of the timeline; warnings become annotations. */
export function runnerReporter(clock: Clock): RunnerReporter {
  const parts: string[] = [];
  const phases: Phase[] = [];
  // Groups of the log do not nest: an inner step is a line.
  let depth = 0;
  const secrets = new Set<string>();
  // The runner masks them too; but what it never gets cannot slip through.
  const hide = (line: string) => [...secrets].reduce((shown, secret) => shown.replaceAll(secret, '***'), line);
  return {
    async step(title, work) {
      const startedAt = clock.now();
      const ended = (how: Phase['ended']) => phases.push({ title, seconds: (clock.now() - startedAt) / 1000, ended: how });
      if (depth === 0) core.startGroup(title);
      else printForeign([title]);
      depth += 1;
      try {
        const value = await work();
        ended('ok');
        return value;
      } catch (failure) {
        ended('failed');
        throw failure;
      } finally {
        depth -= 1;
        if (depth === 0) core.endGroup();
      }
    },
    // It may carry what others say, such as a reason of AWS or a tag: no line of it is a command.
    info: message => printForeign(message.split(/\r?\n|\r/)),
    warn: message => core.warning(message),
    debug: message => core.debug(message),
    untrusted: line => printForeign(hide(line).split(/\r?\n|\r/)),
    summary: (markdown, where) => void (where === 'above' ? parts.unshift(markdown) : parts.push(markdown)),
    mask(secret) {
      // The runner warns of an empty one, which is what a fork gets for a secret.
      if (secret.trim() !== '') core.setSecret(secret);
      for (const part of [secret, ...secret.split('\n')]) if (part.trim() !== '') secrets.add(part);
    },
    async flush() {
      const whole = [...parts, timeline(phases)].filter(part => part !== '').join('\n\n');
      if (whole === '' || process.env.GITHUB_STEP_SUMMARY === undefined) return;
      await core.summary.addRaw(cut(whole), true).write();
    },
  };
}

const timeline = (phases: readonly Phase[]): string =>
  phases.length === 0
    ? ''
    : [
        '<details><summary>Timeline</summary>\n',
        table(
          ['Step', 'Took', ''],
          phases.map(({ title, seconds, ended }) => [text(title), formatDuration(seconds), ended === 'ok' ? '' : '❌']),
        ),
        '\n</details>',
      ].join('\n');

function cut(markdown: string): string {
  const bytes = Buffer.from(markdown);
  if (bytes.length <= MOST_BYTES) return markdown;
  const kept = bytes
    .subarray(0, MOST_BYTES)
    .toString()
    .replace(/\n[^\n]*$/, '');
  return `${kept}\n\n**Cut here:** GitHub takes at most 1 MiB. The whole of it is in the log.`;
}
