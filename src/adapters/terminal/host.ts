import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../../kit/errors.ts';
import type { Host } from '../../main.ts';
import type { CommandLine } from './arguments.ts';
import type { Streams } from './reporter.ts';

/** Exit codes by outcome. 1 is "the answer is no", as scripts expect; 70 is EX_SOFTWARE of sysexits.h. */
export const EXIT_CODES: Readonly<Record<Outcome, number>> = {
  done: 0,
  unchanged: 0,
  planned: 0,
  rejected: 1,
  usage: 2,
  access: 3,
  timeout: 4,
  unknown: 5,
  bug: 70,
  cancelled: 130,
};

export interface TerminalHost extends Host {
  readonly outputs: ReadonlyMap<string, string>;
  /** Prints the outputs. Returns the exit code. */
  finish(): number;
}

/** The mode itself prints its result as a table. */
export const isTable = ({ mode, json }: CommandLine): boolean => mode === 'list' && !json;

/** A terminal, as `main` sees it. Outputs are printed at the end: as a table, as JSON, or the image ID alone. */
export function terminalHost(commandLine: CommandLine, folder: string, { out, err }: Streams): TerminalHost {
  const outputs = new Map<string, string>();
  let failed = false;
  return {
    outputs,
    given: () => ({ mode: commandLine.mode, ...commandLine.given }),
    file: path => {
      const absolute = join(folder, path);
      return existsSync(absolute) ? readFileSync(absolute, 'utf8') : undefined;
    },
    environmentRegion: () => process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION,
    output: (name, value) => void outputs.set(name, value),
    fail(message) {
      failed = true;
      err(message);
    },
    summary: async () => {},
    debug: message => commandLine.debug && err(`debug: ${message}`),
    finish() {
      const outcome = (outputs.get('outcome') ?? 'bug') as Outcome;
      if (commandLine.json) out(JSON.stringify(Object.fromEntries([...outputs].map(([name, value]) => [name, parsed(value)]))));
      else if (commandLine.onlyId) outputs.get('ami-id') !== undefined && out(outputs.get('ami-id') ?? '');
      else if (!isTable(commandLine)) for (const line of rows(outputs)) out(line);
      return failed && EXIT_CODES[outcome] === 0 ? EXIT_CODES.bug : EXIT_CODES[outcome];
    },
  };
}

/** Outputs that are JSON become JSON, not text that holds JSON. */
function parsed(value: string): unknown {
  if (!/^(\[|\{|true$|false$|-?\d)/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function rows(outputs: ReadonlyMap<string, string>): readonly string[] {
  const shown = [...outputs].filter(([, value]) => value !== '' && !/^[[{]/.test(value));
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
