import { closest } from 'fastest-levenshtein';
import * as build from './image-build/build.ts';
import { everyValue, readConfigFile, sourcesOf } from './kit/config-file.ts';
import { AccessError, ActionError, type Location, type Outcome, type Problem, UsageError } from './kit/errors.ts';
import { explain, failureCard, settingsTable } from './kit/failure.ts';
import { givenSettings, kebab, quote, type RawValue, type Reading, readSettings, type Settings, type Values } from './kit/settings.ts';
import type { common } from './model/common-settings.ts';
import { DEFAULT_POINTER } from './model/pointer.ts';
import type { AllDeps } from './ports/deps.ts';
import * as adopt from './retention/adopt.ts';
import * as deletion from './retention/delete.ts';
import * as list from './retention/list.ts';
import * as prune from './retention/prune.ts';
import { fileConflicts } from './rollout/file-conflicts.ts';
import * as promote from './rollout/promote.ts';
import * as rollback from './rollout/rollback.ts';
import * as resolve from './selection/resolve.ts';
import * as share from './sharing/share.ts';
import * as validate from './validation/validate.ts';

/** The result of a mode that did not fail, with its outputs. Every other outcome is an error (kit/errors.ts). */
interface Result<O extends string> {
  /** `unknown`: the operation continues, because the run was not to wait for it. */
  readonly outcome: Extract<Outcome, 'done' | 'unchanged' | 'planned' | 'unknown'>;
  readonly outputs: Readonly<Partial<Record<O, unknown>>>;
}

/** What a mode may need of the file in addition to its own settings. */
interface FileFacts {
  /** Every value of `pointer`, in all environments. */
  readonly pointers: readonly string[];
}

interface Mode<S extends Settings, O extends string> {
  readonly settings: S;
  readonly outputs: Readonly<Record<O, string>>;
  run(inputs: Values<S> & FileFacts, deps: AllDeps): Promise<Result<O>>;
}

export interface AnyMode {
  readonly settings: Settings;
  readonly outputs: Readonly<Record<string, string>>;
  run(inputs: unknown, deps: AllDeps): Promise<Result<string>>;
}

const mode = <S extends Settings, O extends string>({ settings, outputs, run }: Mode<S, O>): AnyMode => ({
  settings,
  outputs,
  run: (inputs, deps) => run(inputs as Values<S> & FileFacts, deps),
});

/** The public interface: action.yml, the reference pages and the JSON Schema of the file are generated from it. */
export const modes: Readonly<Record<string, AnyMode>> = {
  build: mode(build),
  validate: mode(validate),
  share: mode(share),
  promote: mode(promote),
  rollback: mode(rollback),
  prune: mode(prune),
  resolve: mode(resolve),
  list: mode(list),
  delete: mode(deletion),
  adopt: mode(adopt),
};

/** The default of the input `config`. */
export const CONFIG_FILE = '.github/ami.yml';

/** The environment of the action: a runner, or a test. */
export interface Host {
  /** The inputs under `with:`. */
  given(): Readonly<Record<string, RawValue>>;
  /** The content of a file of the repository; undefined when it does not exist. Throws for a folder. */
  file(path: string): string | undefined;
  environmentRegion(): string | undefined;
  output(name: string, value: string): void;
  /** Fails the step. `location` puts the message into the diff of a pull request. */
  fail(message: string, location?: Location): void;
  /** For a failure before there is a reporter. */
  summary(markdown: string): Promise<void>;
  debug(message: string): void;
}

export interface OpenDeps {
  readonly deps: AllDeps;
  /** Writes what must be written at the end, whatever the outcome. */
  close(): Promise<void>;
}

export async function main(host: Host, open: (inputs: Values<typeof common>) => Promise<OpenDeps>): Promise<void> {
  try {
    const { name, mode: chosen, inputs, given } = await readOrReport(host);
    for (const { name: setting, value, where } of given) host.debug(`${setting}: ${value} (${where})`);
    const opened = await open(inputs);
    try {
      await guardAccount(inputs, opened.deps);
      const result = await chosen.run(inputs, opened.deps);
      write(host, { ...result.outputs, outcome: result.outcome });
    } catch (failure) {
      opened.deps.report.summary(failureCard(name, failure), 'above');
      throw failure;
    } finally {
      opened.deps.report.summary(settingsTable(given));
      await opened.close();
    }
  } catch (failure) {
    write(host, failure instanceof ActionError ? { ...failure.outputs, outcome: failure.outcome } : { outcome: 'bug' });
    if (failure instanceof Error && failure.cause instanceof Error) host.debug(failure.cause.stack ?? failure.cause.message);
    host.fail(explain(failure), failure instanceof UsageError ? failure.location : undefined);
  }
}

/** Problems with the settings are in the summary too, not only in the log. */
async function readOrReport(host: Host) {
  try {
    return readRun(host);
  } catch (failure) {
    await host.summary(failureCard(modeOf(host) || 'ami-action', failure));
    throw failure;
  }
}

function modeOf(host: Host): string {
  const { mode } = host.given();
  return typeof mode === 'string' ? mode.trim() : '';
}

/** The mode and its settings. All problems are reported together. */
function readRun(host: Host) {
  const name = modeOf(host);
  const chosen = Object.hasOwn(modes, name) ? modes[name] : undefined;
  const { pointers, problems, ...reading } = readSources(host, host.given(), chosen);
  if (chosen !== undefined) {
    const inputs = readSettings(chosen.settings, { ...reading, problems, known: allSettings() }) as Values<typeof common>;
    const given = givenSettings(chosen.settings, reading.sources);
    return { name, mode: chosen, given, inputs: { ...inputs, pointers } satisfies Values<typeof common> & FileFacts };
  }
  const names = Object.keys(modes);
  const nearest = name === '' ? ', and is missing' : `, did you mean "${closest(name, names)}"? Got ${quote(name)}`;
  throw new UsageError([`"mode" must be one of ${names.join(', ')}${nearest}`, ...problems]);
}

/** The settings as `post:` needs them. They were valid when the main step ran. */
export const readCommon = (host: Host): Values<typeof common> => readRun(host).inputs;

type Sources = Omit<Reading, 'known'> & { readonly problems: readonly Problem[]; readonly pointers: readonly string[] };

function readSources(host: Host, { mode: _, config, ...given }: Readonly<Record<string, RawValue>>, chosen: AnyMode | undefined): Sources {
  const path = textOf(config) ?? CONFIG_FILE;
  const { file, problems: unreadable } = readConfigFile(host.file, path, CONFIG_FILE);
  const hasEnvironment = chosen !== undefined && Object.hasOwn(chosen.settings, 'environment');
  const environment = textOf(given.environment) ?? (hasEnvironment ? textOf(file?.top.values.environment) : undefined);
  const { sources, problems, isComplete } =
    file === undefined ? { sources: [], problems: [], isComplete: true } : sourcesOf(file, environment);
  const region = host.environmentRegion();
  return {
    sources: [
      { name: 'with', file: undefined, values: given },
      ...sources,
      ...(region === undefined ? [] : [{ name: 'AWS_REGION', file: undefined, values: { region } }]),
    ],
    problems: [...unreadable, ...problems, ...(file === undefined ? [] : fileConflicts(file, given, environment, chosen?.settings ?? {}))],
    isComplete: isComplete && unreadable.length === 0,
    pointers: file === undefined || file.problems.length > 0 ? [] : everyValue(file, 'pointer', DEFAULT_POINTER),
    whenMissing:
      file === undefined
        ? `${path} does not exist in the workspace. If the repository has one, run actions/checkout before this step.`
        : undefined,
  };
}

const textOf = (raw: RawValue | undefined): string | undefined => (typeof raw === 'string' && raw.trim() !== '' ? raw.trim() : undefined);

/** The settings of all modes. One key has one meaning in all of them. */
export const allSettings = (): Settings => Object.assign({}, ...Object.values(modes).map(({ settings }) => settings));

/** Before the first write: a wrong account is an expensive typo. */
async function guardAccount({ region, allowedAccountIds }: Values<typeof common>, deps: AllDeps): Promise<void> {
  if (allowedAccountIds === undefined || allowedAccountIds.length === 0) return;
  const account = await deps.inRegion({ region }).account.id();
  if (allowedAccountIds.includes(account)) return;
  throw new AccessError(
    `These credentials belong to account ${account}, and "allowed-account-ids" allows ${allowedAccountIds.join(', ')}.`,
    { unchanged: true, next: 'Check role-to-assume, or the credentials of this job.' },
  );
}

function write(host: Host, outputs: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(outputs)) {
    if (value !== undefined) host.output(kebab(key), typeof value === 'string' ? value : JSON.stringify(value));
  }
}
