import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../../kit/errors.ts';
import type { Journal, JournalEntry, Reporter, Run } from '../../ports/deps.ts';
import type { Packer, PackerBuild, PackerEnded, PackerTemplate } from '../../ports/packer.ts';
import { capture } from '../capture.ts';
import { clockSpeed } from '../clock.ts';
import { follow } from '../process.ts';
import { BRIEFLY, packerEnvironment, pollingWarning } from './environment.ts';
import { firstError, parseInspection } from './inspect.ts';
import { installedPacker } from './install.ts';
import { templateCopy } from './template-copy.ts';
import { readTemplateFiles, templatesIn } from './template-files.ts';

export interface PackerHost {
  readonly run: Run;
  readonly journal: Journal;
  readonly report: Reporter;
  readonly environment?: NodeJS.ProcessEnv;
}

const QUIET = ['-machine-readable'];
/** `validate` warns of an undeclared name in a var file; `build` does so only with the last one. */
const BUILD = ['-color=false', '-on-error=cleanup', '-warn-on-undeclared-var'];
/** Else values of data sources are unknown, and valid templates are refused. HCL only. https://developer.hashicorp.com/packer/docs/commands/validate */
const LIKE_BUILD = ['-evaluate-datasources'];

export function packer(host: PackerHost): Packer {
  const { run, report, environment = process.env } = host;
  return {
    locate(path) {
      const absolute = resolve(run.workspace, path);
      return existsSync(absolute) ? absolute : undefined;
    },
    folderOf: path => (statSync(path, { throwIfNoEntry: false })?.isDirectory() ? path : dirname(path)),
    templates: () => templatesIn(run.workspace),
    read: readTemplateFiles,
    ambient: names =>
      Object.fromEntries(
        Object.entries(packerEnvironment(environment)).filter(([name]) => name.startsWith('PKR_VAR_') || names.includes(name)),
      ),
    async ensure(required) {
      const warning = pollingWarning(environment);
      if (warning !== undefined) report.warn(warning);
      return await installedPacker(required, { ...run, environment, log: report.info });
    },
    inspect: (binary, template) => inspected(binary, template, run.workspace, environment),
    async init(build, onLine) {
      if (isJson(build.template)) return NOTHING_TO_INIT;
      // Plugins are downloaded and run here, before anything has verified them: without credentials of AWS.
      const none = Object.keys({ ...environment, ...build.environment }).filter(name => name.startsWith('AWS_'));
      const order = { ...build, environment: { ...build.environment, ...Object.fromEntries(none.map(name => [name, ''])) } };
      return captured(host, order, ['init', ...QUIET, build.template], onLine);
    },
    validate: (build, onLine) =>
      withVariables(host, build, onLine, (args, onLine) =>
        captured(host, build, ['validate', ...QUIET, ...(isJson(build.template) ? [] : LIKE_BUILD), ...args], onLine),
      ),
    build: (build, onLine, stop) =>
      withVariables(host, build, onLine, (args, onLine) => spawned(host, build, ['build', ...QUIET, ...BUILD, ...args], onLine, stop)),
  };
}

async function inspected(binary: string, template: string, folder: string, environment: NodeJS.ProcessEnv): Promise<PackerTemplate> {
  const { exitCode, stdout } = await capture(binary, ['inspect', ...QUIET, template], {
    ...{ timeoutSeconds: 60, environment: { ...packerEnvironment(environment), ...BRIEFLY }, folder },
  });
  if (exitCode === 0) return { ...parseInspection(stdout), isJson: isJson(template) };
  throw new UsageError([`Packer cannot read the template: ${firstError(stdout)}`], { unchanged: true, next: 'Fix the template.' });
}

/** A JSON template cannot require plugins, and `init` refuses it. https://developer.hashicorp.com/packer/docs/templates/legacy_json_templates */
const isJson = (template: string): boolean =>
  !/\.pkr\.(hcl|json)$/.test(template) && statSync(template, { throwIfNoEntry: false })?.isFile() === true;
const NOTHING_TO_INIT: PackerEnded = { exitCode: 0, signal: undefined, stopped: undefined };

type OnLine = (line: string) => void;

/** Passes the action's variables in a temporary file: arguments are visible to every user of the machine. Where the template is changed, Packer gets a copy. */
async function withVariables(
  host: PackerHost,
  build: PackerBuild,
  onLine: OnLine,
  run: (args: readonly string[], onLine: OnLine) => Promise<PackerEnded>,
): Promise<PackerEnded> {
  const ours = privateFile(host, build.given);
  const secrets = Object.keys(build.secrets).length === 0 ? [] : [privateFile(host, build.secrets)];
  const copies = build.edits.length === 0 ? [] : [templateCopy({ ...host.run, temp: temporary(host.run) }, host.journal, build)];
  // A later file overrides an earlier one: the user's values win over ours, and secrets over files of the repository.
  const files = [ours.path, ...build.varFiles, ...secrets.map(({ path }) => path)];
  try {
    const args = [
      ...files.map(file => `-var-file=${file}`),
      // Joined with "=": a value may start with "-".
      ...Object.entries(build.variables).map(([name, value]) => `-var=${name}=${value}`),
      ...(build.only.length === 0 ? [] : [`-only=${build.only.join(',')}`]),
      ...(build.except.length === 0 ? [] : [`-except=${build.except.join(',')}`]),
      copies[0]?.path ?? build.template,
    ];
    return await run(args, copies[0] === undefined ? onLine : line => onLine(copies[0]?.original(line) ?? line));
  } finally {
    for (const file of [ours, ...secrets, ...copies]) file.remove();
  }
}

function privateFile({ run, journal }: PackerHost, variables: Readonly<Record<string, unknown>>): { path: string; remove(): void } {
  const path = join(temporary(run), `ami-action-${randomUUID()}.pkrvars.json`);
  const entry: JournalEntry = { kind: 'file', path };
  journal.remember(entry);
  writeFileSync(path, JSON.stringify(variables), { mode: 0o600 });
  return {
    path,
    remove() {
      rmSync(path, { force: true });
      journal.forget(entry);
    },
  };
}

/** `init` and `validate`: they create nothing in AWS, so they may end with us. */
async function captured(
  host: PackerHost,
  build: PackerBuild,
  args: readonly string[],
  onLine: (line: string) => void,
): Promise<PackerEnded> {
  const { run, report, environment = process.env } = host;
  if (run.cancelled.aborted) return { exitCode: undefined, signal: undefined, stopped: 'cancelled' };
  const timeout = timeLimit(build, environment);
  const { exitCode, signal } = await capture(build.binary, args, {
    // The signal below comes first.
    timeoutSeconds: build.atMostSeconds + 60,
    environment: environmentOf(build, environment),
    folder: build.workingDirectory,
    onLine,
    onErrorLine: report.untrusted,
    stop: AbortSignal.any([run.cancelled, timeout]),
  });
  return { exitCode, signal, stopped: run.cancelled.aborted ? 'cancelled' : timeout.aborted ? 'timeout' : undefined };
}

/** Whole milliseconds: Node refuses a fraction. */
const timeLimit = ({ atMostSeconds }: PackerBuild, environment: NodeJS.ProcessEnv): AbortSignal =>
  AbortSignal.timeout(Math.ceil((atMostSeconds * 1000) / clockSpeed(environment)));

// An empty value removes the variable.
const environmentOf = (build: PackerBuild, environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries({ ...packerEnvironment(environment), ...build.environment }).filter(([, value]) => value !== ''));

async function spawned(
  { run, journal, report, environment = process.env }: PackerHost,
  build: PackerBuild,
  args: readonly string[],
  onLine: (line: string) => void,
  stop: AbortSignal,
): Promise<PackerEnded> {
  const log = join(temporary(run), `ami-action-${randomUUID()}`);
  let entry: JournalEntry | undefined;
  const timeout = timeLimit(build, environment);
  const ended = await follow({
    command: build.binary,
    args,
    folder: build.workingDirectory,
    environment: environmentOf(build, environment),
    log,
    onLine,
    // Never parsed: only machine-readable output identifies what Packer created.
    onErrorLine: report.untrusted,
    onStart(pid) {
      entry = { kind: 'process', pid, log };
      journal.remember(entry);
    },
    stop: AbortSignal.any([run.cancelled, timeout, stop]),
  });
  if (entry !== undefined) journal.forget(entry);
  for (const suffix of ['.out', '.err']) rmSync(`${log}${suffix}`, { force: true });
  const stopped = run.cancelled.aborted ? 'cancelled' : timeout.aborted ? 'timeout' : undefined;
  return { ...ended, stopped };
}

function temporary({ temp }: Run): string {
  mkdirSync(temp, { recursive: true });
  return temp;
}
