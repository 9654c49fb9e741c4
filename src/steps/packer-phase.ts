import { complaints, humanLines, type PackerLine, parseLine } from '../domain/packer-output.ts';
import { type Explained, explainFailure } from '../domain/packer-failures.ts';
import { AccessError, type Expected, RejectedError, UsageError } from '../kit/errors.ts';
import type { PackerEnded, Reporter } from '../world.ts';

export interface PhaseEnd extends PackerEnded {
  /** Everything for machines, and the newest of what is for people. */
  readonly lines: readonly PackerLine[];
}

/** Enough for the end of every provisioner; a build may say a million lines. */
const MOST_HUMAN_LINES = 2000;

/** One command of Packer as a group of the log: people see what is for people, we keep what is for us. */
export function packerPhase(title: string, run: (onLine: (line: string) => void) => Promise<PackerEnded>, report: Reporter): Promise<PhaseEnd> {
  return report.step(title, async () => {
    const machine: PackerLine[] = [];
    const human: PackerLine[] = [];
    const ended = await run(text => {
      const line = parseLine(text);
      if (line === undefined) return report.foreign(text);
      for (const shown of humanLines(line)) report.foreign(shown);
      if (line.type !== 'ui') machine.push(line);
      else if (human.push(line) > MOST_HUMAN_LINES) human.shift();
    });
    return { ...ended, lines: [...machine, ...human] };
  });
}

/** The last lines that Packer showed, for a summary. */
export const tail = (lines: readonly PackerLine[], count = 20): string => lines.flatMap(humanLines).slice(-count).join('\n');

export interface Failed {
  readonly what: string;
  readonly end: PhaseEnd;
  readonly secrets: readonly string[];
  readonly left?: readonly string[];
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** Packer's complaint as one of our errors: who acts, what is known about it, what is left behind. */
export function packerFailure({ what, end, secrets, left = [], outputs = {} }: Failed): Expected {
  const said = complaints(end.lines).map(({ source, message }) => `${source === '' ? '' : `${source}: `}${firstLines(message)}`);
  const hidden = (text: string) => secrets.filter(secret => secret !== '').reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
  const why = end.signal === undefined ? (said.join('\n') || `exit code ${end.exitCode}`) : `ended by ${end.signal}`;
  const known = explainFailure(said.join('\n') || tail(end.lines));
  const message = hidden(`${what} failed: ${why}${known === undefined ? '' : `\n${known.cause}`}`);
  return expected(known, message, { left, outputs, ...(known === undefined ? {} : { next: known.next }) });
}

const firstLines = (text: string): string => text.split('\n').slice(0, 6).join('\n');

function expected(known: Explained | undefined, message: string, details: { left: readonly string[]; outputs: Readonly<Record<string, unknown>>; next?: string }): Expected {
  if (known?.who === 'usage') return new UsageError([message], details);
  return known?.who === 'access' ? new AccessError(message, details) : new RejectedError(message, details);
}
