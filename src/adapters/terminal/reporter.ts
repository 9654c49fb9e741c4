import { formatDuration } from '../../kit/format.ts';
import type { Clock, Reporter } from '../../ports/deps.ts';

/** Where the program writes: progress and errors to `err`, results to `out`. */
export interface Streams {
  out(text: string): void;
  err(text: string): void;
}

interface Shown {
  readonly debug: boolean;
  /** Where a mode prints lines with text from outside. */
  readonly untrusted: (line: string) => void;
}

/** Steps are lines with their duration. Untrusted text keeps its words and loses control characters. The summary is for runners only. */
export function terminalReporter(clock: Clock, { err }: Streams, { debug, untrusted }: Shown): Reporter {
  const secrets = new Set<string>();
  const hide = (line: string): string => [...secrets].reduce((shown, secret) => shown.replaceAll(secret, '***'), line);
  const print = (prefix: string, message: string, to = err): void => {
    for (const line of hide(message).split(/\r?\n|\r/)) to(`${prefix}${printable(line)}`);
  };
  let depth = 0;
  const indent = () => '  '.repeat(depth);
  return {
    async step(title, work) {
      const startedAt = clock.now();
      print(indent(), `${title} ...`);
      depth += 1;
      try {
        const value = await work();
        depth -= 1;
        print(indent(), `✓ ${title} (${formatDuration((clock.now() - startedAt) / 1000)})`);
        return value;
      } catch (failure) {
        depth -= 1;
        print(indent(), `✗ ${title}`);
        throw failure;
      }
    },
    info: message => print(indent(), message),
    warn: message => print(`${indent()}! `, message),
    debug: message => debug && print(`${indent()}debug: `, message),
    untrusted: line => print(indent(), line, untrusted),
    summary: () => {},
    mask(secret) {
      for (const part of [secret, ...secret.split('\n')]) if (part.trim() !== '') secrets.add(part);
    },
  };
}

/** A terminal executes escape sequences; output of instances and Packer must not. */
const printable = (line: string): string =>
  line.replace(/[^\t\x20-\x7e\u00a0-\uffff]/g, character => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
