import { closest } from 'fastest-levenshtein';
import * as build from './image-build/build.ts';
import { everyValue, readConfigFile } from './kit/config-file.ts';
import { AccessError, ActionError, type Outcome, UsageError } from './kit/errors.ts';
import { explain, failureCard } from './kit/failure.ts';
import { kebab, quote, type RawValue, readSettings, type Settings, type Source, type Values } from './kit/settings.ts';
import type { common } from './model/common-settings.ts';
import { DEFAULT_POINTER } from './model/pointer.ts';
import type { AllDeps } from './ports/deps.ts';
import * as deletion from './retention/delete.ts';
import * as list from './retention/list.ts';
import * as prune from './retention/prune.ts';
import * as promote from './rollout/promote.ts';
import * as rollback from './rollout/rollback.ts';
import * as resolve from './selection/resolve.ts';
import * as share from './sharing/share.ts';
import * as validate from './validation/validate.ts';

/** How a mode ended well, and what it tells the next step. Every other ending is an error (kit/errors.ts). */
export interface Ended<O extends string> {
  /** `unknown`: what was begun goes on, because nobody was to wait for it. */
  readonly outcome: Extract<Outcome, 'done' | 'unchanged' | 'planned' | 'unknown'>;
  readonly outputs: Readonly<Partial<Record<O, unknown>>>;
}

/** Beside its own settings a mode may ask for what the file says for all environments. */
interface Elsewhere {
  /** Every value of `pointer` in the file. */
  readonly pointers: readonly string[];
}

interface Mode<S extends Settings, O extends string> {
  readonly settings: S;
  readonly outputs: Readonly<Record<O, string>>;
  run(wanted: Values<S> & Elsewhere, deps: AllDeps): Promise<Ended<O>>;
}

export interface AnyMode {
  readonly settings: Settings;
  readonly outputs: Readonly<Record<string, string>>;
  run(wanted: unknown, deps: AllDeps): Promise<Ended<string>>;
}

const mode = <S extends Settings, O extends string>({ settings, outputs, run }: Mode<S, O>): AnyMode => ({
  settings,
  outputs,
  run: (wanted, deps) => run(wanted as Values<S> & Elsewhere, deps),
});

/** The whole public face. action.yml, the README's tables and the file's JSON Schema are generated from this. */
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
};

/** Where the file is looked for, unless `config` says otherwise. */
export const CONFIG_FILE = '.github/ami.yml';

/** The place the action runs in: a runner, or a test. */
export interface Host {
  /** What stands under `with:`. */
  given(): Readonly<Record<string, RawValue>>;
  /** Content of a file of the repository; undefined when there is none. */
  file(path: string): string | undefined;
  environmentRegion(): string | undefined;
  output(name: string, value: string): void;
  fail(message: string): void;
  /** For what fails before there is a world to report to. */
  summary(markdown: string): Promise<void>;
  debug(message: string): void;
}

export interface OpenDeps {
  readonly deps: AllDeps;
  /** Writes what must be written at the end, whatever the end was. */
  close(): Promise<void>;
}

export async function main(host: Host, open: (wanted: Values<typeof common>) => Promise<OpenDeps>): Promise<void> {
  try {
    const { name, mode: chosen, wanted } = await readOrTell(host);
    const opened = await open(wanted);
    try {
      await guardAccount(wanted, opened.deps);
      const ended = await chosen.run(wanted, opened.deps);
      write(host, { ...ended.outputs, outcome: ended.outcome });
    } catch (failure) {
      opened.deps.report.summary(failureCard(name, failure), 'above');
      throw failure;
    } finally {
      await opened.close();
    }
  } catch (failure) {
    write(host, failure instanceof ActionError ? { ...failure.outputs, outcome: failure.outcome } : { outcome: 'bug' });
    if (failure instanceof Error && failure.cause instanceof Error) host.debug(failure.cause.stack ?? failure.cause.message);
    host.fail(explain(failure));
  }
}

/** Who looks at the summary of a run, and not at its log, is told of bad settings there too. */
async function readOrTell(host: Host) {
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

/** Which mode, with which settings. Everything that is wrong about them is said at once. */
function readRun(host: Host): { name: string; mode: AnyMode; wanted: Values<typeof common> & Elsewhere } {
  const given = host.given();
  const name = modeOf(host);
  const chosen = Object.hasOwn(modes, name) ? modes[name] : undefined;
  const { sources, problems, pointers, whenMissing } = readSources(host, given, chosen);
  if (chosen !== undefined) {
    const wanted = readSettings(chosen.settings, sources, knownSettings(), problems, whenMissing);
    return { name, mode: chosen, wanted: { ...(wanted as Values<typeof common>), pointers } };
  }
  const names = Object.keys(modes);
  const nearest = name === '' ? ', and is missing' : `, did you mean "${closest(name, names)}"? Got ${quote(name)}`;
  throw new UsageError([`"mode" must be one of ${names.join(', ')}${nearest}`, ...problems]);
}

/** What `post:` needs to know of the settings. They were good when the main step ran. */
export const readCommon = (host: Host): Values<typeof common> => readRun(host).wanted;

function readSources(
  host: Host,
  { mode: _, config, ...given }: Readonly<Record<string, RawValue>>,
  chosen: AnyMode | undefined,
): { sources: readonly Source[]; problems: readonly string[]; pointers: readonly string[]; whenMissing: string | undefined } {
  const path = typeof config === 'string' && config.trim() !== '' ? config.trim() : CONFIG_FILE;
  const content = host.file(path);
  const environment = typeof given.environment === 'string' && given.environment.trim() !== '' ? given.environment.trim() : undefined;
  const orTop = chosen !== undefined && Object.hasOwn(chosen.settings, 'environment');
  const missing = content === undefined && path !== CONFIG_FILE ? [`"config" names a file that is not there, got ${quote(path)}`] : [];
  const file = content === undefined ? { sources: [], problems: missing } : readConfigFile(path, content, environment, { orTop });
  const region = host.environmentRegion();
  return {
    sources: [
      { name: 'with', fromFile: false, values: given },
      ...file.sources,
      ...(region === undefined ? [] : [{ name: 'AWS_REGION', fromFile: true, values: { region } }]),
    ],
    problems: file.problems,
    pointers: content === undefined ? [] : everyValue(path, content, 'pointer', DEFAULT_POINTER),
    whenMissing:
      content === undefined
        ? `There is no ${path} in the workspace. If the repository has one: is there an actions/checkout step before?`
        : undefined,
  };
}

export const knownSettings = (): ReadonlySet<string> =>
  new Set(Object.values(modes).flatMap(({ settings }) => Object.keys(settings).map(kebab)));

/** Before the first write: a wrong account is the most expensive typo there is. */
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
