import { AccessError, type ActionError, CancelledError, RejectedError, TimeoutError, UsageError } from '../kit/errors.ts';
import { formatDuration } from '../kit/format.ts';
import type { Deps, Reporter } from '../ports/deps.ts';
import type { PackerBuild, PackerEnded } from '../ports/packer.ts';
import { explainFailure, isTransient } from './rules/packer-failures.ts';
import {
  type Artifact,
  isCreation,
  isHidden,
  outputTail,
  type PackerLine,
  packerErrors,
  parseLine,
  templateErrors,
  uiLines,
} from './rules/packer-output.ts';
import type { BuildOptions } from './settings.ts';

export interface PhaseEnd extends PackerEnded {
  /** All machine-readable lines; the first and the last of the others. */
  readonly lines: readonly PackerLine[];
}

/** Enough for the start and for the end of every provisioner; a build may print a million lines. */
const FIRST_LINES = 500;
const LAST_LINES = 2000;

export interface PhaseContext {
  readonly report: Reporter;
  readonly secrets: readonly string[];
}

/** Runs one command of Packer as a group of the log. Returns its end and its lines, without secrets. */
export function packerPhase(
  title: string,
  run: (onLine: (line: string) => void) => Promise<PackerEnded>,
  { report, secrets }: PhaseContext,
): Promise<PhaseEnd> {
  return report.step(title, async () => {
    const machine: PackerLine[] = [];
    const first: PackerLine[] = [];
    const last: PackerLine[] = [];
    const ended = await run(text => {
      const line = redactLine(parseLine(text), secrets);
      if (line === undefined) return report.untrusted(redact(text, secrets));
      for (const shown of uiLines(line)) report.untrusted(shown);
      if (line.type !== 'ui') machine.push(line);
      else if (first.length < FIRST_LINES) first.push(line);
      else if (last.push(line) > LAST_LINES) last.shift();
    });
    return { ...ended, lines: [...machine, ...first, ...last] };
  });
}

// GitHub counts its rate limit by the hour; proxies between count by the minute.
const INIT_PAUSES_SECONDS = [15, 60];

type PackerDeps = Deps<never, 'packer'>;
type Limits = Pick<BuildOptions, 'timeout'>;

/** Downloads plugins, and retries what may be transient: it depends on servers of others. @throws ActionError */
export async function packerInit(build: PackerBuild, options: Limits, context: PhaseContext, { packer, clock }: PackerDeps): Promise<void> {
  for (const [attempt, pauseSeconds] of [...INIT_PAUSES_SECONDS, undefined].entries()) {
    const title = attempt === 0 ? 'packer init' : `packer init, attempt ${attempt + 1}`;
    const end = await packerPhase(title, onLine => packer.init(build, onLine), context);
    if (end.exitCode === 0) return;
    const text = packerErrors(end.lines)
      .map(({ message }) => message)
      .join('\n');
    if (pauseSeconds === undefined || end.stopped !== undefined || !isTransient(text)) throw buildError('packer init', end, options);
    context.report.info(`packer init failed. Retrying in ${pauseSeconds} s (${attempt + 2} of ${INIT_PAUSES_SECONDS.length + 1}).`);
    await clock.sleep(pauseSeconds * 1000);
  }
}

/** For a dry run: a build checks as much before it launches anything. @throws ActionError */
export async function packerValidate(build: PackerBuild, options: Limits, context: PhaseContext, { packer }: PackerDeps): Promise<void> {
  const end = await packerPhase('packer validate', onLine => packer.validate(build, onLine), context);
  if (end.exitCode !== 0) throw buildError('packer validate', end, options);
}

/** The runner masks secrets too, but may not know all of them. */
export const redact = (text: string, secrets: readonly string[]): string =>
  secrets
    .flatMap(secret => [secret, ...secret.split('\n')])
    .filter(secret => secret.trim() !== '')
    .reduce((shown, secret) => shown.replaceAll(secret, '***'), text);

/** Artifact lines are never shown and must stay readable: a secret such as "1" would take its digits out of every ID. */
const redactLine = (line: PackerLine | undefined, secrets: readonly string[]): PackerLine | undefined =>
  line && line.type !== 'artifact' ? { ...line, values: line.values.map(value => redact(value, secrets)) } : line;

/** An error that no source reports is about the template. */
const isOfSources = (command: string, { lines }: PhaseEnd): boolean => {
  const errors = packerErrors(lines);
  return command === 'packer build' && (errors.length === 0 || errors.some(({ source }) => source !== ''));
};

const HIDDEN =
  'Packer printed no readable ID of the image: the value of a sensitive variable is so short or common that it occurs in the ID or the region. Use a longer value, or remove "sensitive" from the variable';
const NO_IMAGE =
  'Check the template for skip_create_ami and amazon-ebsvolume, which makes volumes, and which sources "only" and "except" select.';

/** A failed command of Packer as one of our errors: who acts, the cause, the last output, and what remains. */
export function buildError(
  command: string,
  end: PhaseEnd,
  { timeout }: Limits,
  created: readonly Artifact[] = [],
  leftovers: readonly string[] = [],
): ActionError {
  const outputs = created.length === 0 ? {} : { partial: created.map(({ source, region, id }) => ({ source, region, id })), built: false };
  if (end.stopped === 'cancelled') return new CancelledError('Cancelled while Packer ran.', { leftovers, outputs });
  if (end.stopped === 'timeout') {
    const next = `Increase "timeout" (now ${formatDuration(timeout)}).`;
    return new TimeoutError(`Packer was stopped after ${formatDuration(timeout)}.`, { leftovers, outputs, next });
  }
  if (end.exitCode === 0 && isHidden(end.lines)) return new UsageError([HIDDEN], { leftovers });
  if (end.exitCode === 0 && templateErrors(end.lines).length === 0)
    return new RejectedError('Packer succeeded, but produced no AMI.', { leftovers, next: NO_IMAGE });
  return packerError(command, end, { leftovers, outputs });
}

function packerError(
  command: string,
  end: PhaseEnd,
  details: { readonly leftovers: readonly string[]; readonly outputs: Readonly<Record<string, unknown>> },
): ActionError {
  const errors = packerErrors(end.lines);
  const reason = errors.map(({ source, message }) => `${source === '' ? '' : `${source}: `}${firstLines(message)}`).join('\n');
  const known = explainFailure(reason);
  const tails = errors
    .map(({ source, message }) => ({ source, lines: outputTail(end.lines, source).filter(line => !message.includes(line)) }))
    .filter(({ lines }) => lines.length > 0);
  // An error of the template is the cause, also where the stop for it ends Packer before it exits.
  const isKilled = end.signal !== undefined && templateErrors(end.lines).length === 0;
  const parts = [
    `${command} failed: ${isKilled ? `ended by ${end.signal}` : reason || `exit code ${end.exitCode}`}`,
    known?.cause ?? '',
    ...tails.map(({ source, lines }) => {
      const of = tails.length === 1 ? '' : ` of ${source}`;
      return `Last lines${of} before the failure:\n${lines.map(line => `  ${line.slice(0, 400)}`).join('\n')}`;
    }),
  ];
  const message = parts.filter(part => part !== '').join('\n');
  const isBuilt = isOfSources(command, end);
  // A valid source may be faster than the stop for an invalid one.
  const unchanged = !isBuilt && !end.lines.some(isCreation) && details.leftovers.length === 0;
  const all = { ...details, unchanged, next: known?.next ?? fixOf(reason) };
  const who = known?.who ?? (isBuilt ? 'rejected' : 'usage');
  if (who === 'usage') return new UsageError([message], all);
  return who === 'access' ? new AccessError(message, all) : new RejectedError(message, all);
}

/** Packer names the line of an invalid argument. */
function fixOf(reason: string): string | undefined {
  const [, file, line] = /\bon (\S+) line (\d+)/.exec(reason) ?? [];
  return file === undefined ? undefined : `Fix line ${line} of ${file}.`;
}

/** Packer prints its own pointers where it formats filters. */
const firstLines = (text: string): string =>
  text
    .replace(/: &\{<nil>[\s\S]*$/, '')
    .split('\n')
    .slice(0, 6)
    .join('\n');
