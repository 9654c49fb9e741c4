import { AccessError, type ActionError, RejectedError, UsageError } from '../kit/errors.ts';
import type { Deps, Reporter } from '../ports/deps.ts';
import type { PackerBuild, PackerEnded } from '../ports/packer.ts';
import { type Explained, explainFailure, mayPass } from './rules/packer-failures.ts';
import { outputTail, type PackerLine, packerErrors, parseLine, uiLines } from './rules/packer-output.ts';

export interface PhaseEnd extends PackerEnded {
  /** Everything for machines; the first and the newest of what is for people. */
  readonly lines: readonly PackerLine[];
}

/** Enough for how it began and for the end of every provisioner; a build may say a million lines. */
const FIRST_LINES = 500;
const NEWEST_LINES = 2000;

export interface Telling {
  readonly report: Reporter;
  readonly secrets: readonly string[];
}

/** One command of Packer as a group of the log: people see what is for people, we keep what is for us. */
export function packerPhase(
  title: string,
  run: (onLine: (line: string) => void) => Promise<PackerEnded>,
  { report, secrets }: Telling,
): Promise<PhaseEnd> {
  return report.step(title, async () => {
    const instance: PackerLine[] = [];
    const first: PackerLine[] = [];
    const newest: PackerLine[] = [];
    const ended = await run(text => {
      const line = hiding(parseLine(text), secrets);
      if (line === undefined) return report.untrusted(hide(text, secrets));
      for (const shown of uiLines(line)) report.untrusted(shown);
      if (line.type !== 'ui') instance.push(line);
      else if (first.length < FIRST_LINES) first.push(line);
      else if (newest.push(line) > NEWEST_LINES) newest.shift();
    });
    return { ...ended, lines: [...instance, ...first, ...newest] };
  });
}

// A rate limit of GitHub is counted by the hour, one of an address in between by the minute.
const INIT_PAUSES_SECONDS = [15, 60];

/** Downloads plugins: the one step that hangs on somebody else's servers, so what may pass is tried again. */
export async function packerInit(order: PackerBuild, telling: Telling, { packer, clock }: Deps<never, 'packer'>): Promise<PhaseEnd> {
  for (const [turn, pauseSeconds] of [...INIT_PAUSES_SECONDS, undefined].entries()) {
    const end = await packerPhase(
      turn === 0 ? 'packer init' : `packer init, attempt ${turn + 1}`,
      onLine => packer.init(order, onLine),
      telling,
    );
    const said = packerErrors(end.lines)
      .map(({ message }) => message)
      .join('\n');
    if (end.exitCode === 0 || pauseSeconds === undefined || end.stopped !== undefined || !mayPass(said)) return end;
    telling.report.info(`That may pass: once more in ${pauseSeconds} s.`);
    await clock.sleep(pauseSeconds * 1000);
  }
  throw new Error('every turn has returned');
}

/** The runner masks them too; but what it never gets cannot slip through. */
export const hide = (text: string, secrets: readonly string[]): string =>
  secrets
    .flatMap(secret => [secret, ...secret.split('\n')])
    .filter(secret => secret.trim() !== '')
    .reduce((shown, secret) => shown.replaceAll(secret, '***'), text);

/** What was made is only ever read by us: a secret such as "1" would take its digits out of every ID. */
const hiding = (line: PackerLine | undefined, secrets: readonly string[]): PackerLine | undefined =>
  line && line.type !== 'artifact' ? { ...line, values: line.values.map(value => hide(value, secrets)) } : line;

export interface Failed {
  readonly what: string;
  readonly end: PhaseEnd;
  /** Who acts on what nobody has seen yet. */
  readonly otherwise: 'usage' | 'rejected';
  readonly left?: readonly string[];
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** Packer's complaint as one of our errors: who acts, what is known about it, what was said last, what is left behind. */
export function packerFailure({ what, end, otherwise, left = [], outputs = {} }: Failed): ActionError {
  const said = packerErrors(end.lines);
  const reason = said.map(({ source, message }) => `${source === '' ? '' : `${source}: `}${firstLines(message)}`).join('\n');
  const known = explainFailure(reason);
  const words = said.map(({ source }) => outputTail(end.lines, source)).filter(lines => lines.length > 0);
  const parts = [
    `${what} failed: ${end.signal === undefined ? reason || `exit code ${end.exitCode}` : `ended by ${end.signal}`}`,
    known?.cause ?? '',
    ...words.map(lines => `The last lines before that:\n${lines.map(line => `  ${line.slice(0, 400)}`).join('\n')}`),
  ];
  return expected(known?.who ?? otherwise, parts.filter(part => part !== '').join('\n'), {
    leftovers: left,
    outputs,
    ...(known === undefined ? {} : { next: known.next }),
  });
}

const firstLines = (text: string): string => text.split('\n').slice(0, 6).join('\n');

function expected(
  who: Explained['who'],
  message: string,
  details: { leftovers: readonly string[]; outputs: Readonly<Record<string, unknown>>; next?: string },
): ActionError {
  if (who === 'usage') return new UsageError([message], details);
  return who === 'access' ? new AccessError(message, details) : new RejectedError(message, details);
}
