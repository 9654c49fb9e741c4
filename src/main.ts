import { closest } from 'fastest-levenshtein';
import { quietReporter, type Rehearse } from './doctor/rehearsal.ts';
import { everyValue, forMode, readConfigFile, sourcesOf } from './kit/config-file.ts';
import { AccessError, ActionError, type Location, type Problem, UsageError } from './kit/errors.ts';
import { explain, failureCard, settingsTable } from './kit/failure.ts';
import { givenSettings, kebab, quote, type RawValue, type Reading, readSettings, type Settings, type Values } from './kit/settings.ts';
import { type AnyMode, type FileFacts, LOAD } from './mode.ts';
import type { common } from './model/common-settings.ts';
import { DEFAULT_POINTER } from './model/pointer.ts';
import type { AllDeps } from './ports/deps.ts';
import { fileConflicts, groupsByEnvironment } from './rollout/file-conflicts.ts';

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

interface OpenDeps {
  readonly deps: AllDeps;
  /** Writes what must be written at the end, whatever the outcome. */
  close(): Promise<void>;
}

type Open = (inputs: Values<typeof common>) => Promise<OpenDeps>;

export async function main(host: Host, open: Open): Promise<void> {
  try {
    const { name, mode: chosen, inputs, given } = await readOrReport(host);
    for (const { name: setting, value, where } of given) host.debug(`${setting}: ${value} (${where})`);
    const opened = await open(inputs);
    try {
      await guardAccount(inputs, opened.deps);
      const result = await chosen.run({ ...inputs, rehearse: rehearsals(host, open) }, opened.deps);
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
    return await readRun(host);
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
async function readRun(host: Host) {
  const name = modeOf(host);
  const mode = Object.hasOwn(LOAD, name) ? await LOAD[name]?.() : undefined;
  if (mode !== undefined) return { name, mode, ...(await readInputs(host, name, host.given(), mode)) };
  const { problems } = readSources(host, name, host.given());
  const names = Object.keys(LOAD);
  const nearest = name === '' ? ', and is missing' : `, did you mean "${closest(name, names)}"? Got ${quote(name)}`;
  throw new UsageError([`"mode" must be one of ${names.join(', ')}${nearest}`, ...problems]);
}

async function readInputs(host: Host, name: string, values: Given, { settings }: AnyMode) {
  const { pointers, serviceFolder, environments, environmentGroups, problems, ...reading } = readSources(host, name, values, settings);
  const known = await settingsThatExplain(reading.sources, settings);
  const inputs = readSettings(settings, { ...reading, problems, known }) as Values<typeof common>;
  return {
    given: givenSettings(settings, reading.sources),
    inputs: { ...inputs, pointers, serviceFolder, environments, environmentGroups },
  };
}

/** The code of all modes is loaded only where a key is not of this mode. The runner passes the inputs of all modes, most of them empty. */
async function settingsThatExplain(sources: Reading['sources'], own: Settings): Promise<Settings> {
  const names = new Set(Object.keys(own).map(kebab));
  const isForeign = sources.some(({ file, values }) =>
    Object.entries(values).some(
      ([key, raw]) => !names.has(key) && (file !== undefined || textOf(raw) !== undefined || typeof raw !== 'string'),
    ),
  );
  return isForeign ? (await import('./modes.ts')).allSettings() : own;
}

/** What a dry run of a mode takes that no file has. */
const TRIED: Readonly<Record<string, Readonly<Record<string, string>>>> = { validate: { image: 'latest' }, share: { image: 'latest' } };

/** doctor tries other modes with the settings that they would have here. */
const rehearsals = (host: Host, open: Open): Rehearse => {
  const rehearse: Rehearse = async name => {
    const mode = await (LOAD[name] as () => Promise<AnyMode>)();
    const own = new Set(['config', ...Object.keys(mode.settings).map(kebab)]);
    const given = Object.entries(host.given()).filter(([key]) => own.has(key));
    const dry = own.has('dry-run') ? { 'dry-run': 'true' } : {};
    const { inputs } = await readInputs(host, name, { ...TRIED[name], ...Object.fromEntries(given), ...dry }, mode);
    const { deps } = await open(inputs);
    const warnings: string[] = [];
    const report = quietReporter(deps.report, warnings);
    return { inputs, deps, warnings, run: () => mode.run({ ...inputs, rehearse }, { ...deps, report }) };
  };
  return rehearse;
};

/** The settings as `post:` needs them. They were valid when the main step ran. */
export const readCommon = async (host: Host): Promise<Values<typeof common>> => (await readRun(host)).inputs;

type Sources = Omit<Reading, 'known'> & Omit<FileFacts, 'rehearse'> & { readonly problems: readonly Problem[] };

type Given = Readonly<Record<string, RawValue>>;

function readSources(host: Host, mode: string, { mode: _, config, ...given }: Given, settings: Settings = {}): Sources {
  const path = textOf(config) ?? CONFIG_FILE;
  const { file: written, problems: unreadable } = readConfigFile(host.file, path, CONFIG_FILE);
  const file = written === undefined ? undefined : forMode(written, mode, Object.keys(LOAD));
  const hasEnvironment = Object.hasOwn(settings, 'environment');
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
    problems: [...unreadable, ...problems, ...(file === undefined ? [] : fileConflicts(file, given, environment, settings))],
    isComplete: isComplete && unreadable.length === 0,
    serviceFolder: serviceFolderOf(path),
    environments: Object.keys(file?.environments ?? {}),
    environmentGroups: written === undefined || written.problems.length > 0 ? {} : groupsByEnvironment(written),
    pointers: written === undefined || written.problems.length > 0 ? [] : everyValue(written, 'pointer', DEFAULT_POINTER),
    whenMissing:
      file === undefined
        ? `${path} does not exist in the workspace. If the repository has one, run actions/checkout before this step.`
        : undefined,
  };
}

/** Undefined for a file of the whole repository: at its top, or in its `.github`. */
const serviceFolderOf = (path: string): string | undefined => /^(?:\.\/)*(?!\.github\/)(.+?)(?:\/\.github)?\/[^/]+$/.exec(path)?.[1];

const textOf = (raw: RawValue | undefined): string | undefined => (typeof raw === 'string' && raw.trim() !== '' ? raw.trim() : undefined);

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
