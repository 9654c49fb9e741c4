import type { Clock, Reporter } from '../ports/deps.ts';
import { printForeign, writeSummary } from './github.ts';
import * as core from './runner.ts';
import { type Phase, timeline } from './timeline.ts';

// The runner drops a summary of more than 1 MiB.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const MOST_BYTES = 1024 * 1024 - 16 * 1024;

export interface RunnerReporter extends Reporter {
  /** Writes the job summary: what the modes reported, then a timeline of the steps. Called again, it replaces the summary. `interim` stands on top. */
  flush(interim?: string): Promise<void>;
  /** What the modes reported, without secrets. */
  reported(): string;
}

/** Steps are groups of the log and rows of the timeline; warnings are annotations. */
export function runnerReporter(clock: Clock): RunnerReporter {
  const parts: string[] = [];
  const phases: Phase[] = [];
  // Log groups do not nest: an inner step is a line.
  let depth = 0;
  const secrets = new Set<string>();
  // The runner masks them as well; this also covers lines that it would split.
  const hide = (line: string) => [...secrets].reduce((shown, secret) => shown.replaceAll(secret, '***'), line);
  return {
    async step(title, work) {
      const startedAt = clock.now();
      const ended = (how: Phase['ended']) => phases.push({ title, startedAt, seconds: (clock.now() - startedAt) / 1000, ended: how });
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
    // It may contain text of others, such as a tag: no line of it is a command.
    info: message => printForeign(message.split(/\r?\n|\r/)),
    warn: message => core.warning(message),
    // A run makes hundreds of calls: without debug logging no line is written for them.
    debug: message => core.isDebug() && core.debug(message),
    untrusted: line => printForeign(hide(line).split(/\r?\n|\r/)),
    summary: (markdown, where) => void (where === 'above' ? parts.unshift(markdown) : parts.push(markdown)),
    mask(secret) {
      // A fork gets empty secrets, and the runner warns of those.
      if (secret.trim() !== '') core.setSecret(secret);
      for (const part of [secret, ...secret.split('\n')]) if (part.trim() !== '') secrets.add(part);
    },
    async flush(interim = '') {
      const whole = [interim, ...parts, timeline(phases)].filter(part => part !== '').join('\n\n');
      if (whole === '') return;
      await writeSummary(cut(whole));
    },
    reported: () => hide(parts.filter(part => part !== '').join('\n\n')),
  };
}

function cut(markdown: string): string {
  const bytes = Buffer.from(markdown);
  if (bytes.length <= MOST_BYTES) return markdown;
  const kept = bytes
    .subarray(0, MOST_BYTES)
    .toString()
    .replace(/\n[^\n]*$/, '');
  return `${kept}\n\n**Truncated:** GitHub accepts at most 1 MiB. The log has everything.`;
}
