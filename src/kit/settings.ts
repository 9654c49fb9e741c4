import { closest } from 'fastest-levenshtein';
import { parse } from 'yaml';
import type { z } from 'zod';
import { type Location, type Problem, UsageError } from './errors.ts';

/** A value as it was written: `with:` gives text, the file gives text, lists and maps. Numbers and booleans are text. */
export type RawValue = string | readonly RawValue[] | { readonly [key: string]: RawValue };

/** One setting, declared once. The type, action.yml, the reference and the JSON Schema of the file are made from it. */
export interface Setting<T> {
  /** One or two sentences for the reference; Markdown. */
  readonly doc: string;
  /**
   * Parses what was written. Its messages say what is right; `readSettings` adds the value that was given.
   * Called late: a run declares the settings of every mode and reads those of one.
   */
  schema(): z.ZodType<T>;
  /** Written as a person writes it. Absent: the setting is required, or `schema` accepts undefined. */
  readonly fallback?: string | undefined;
  readonly required: boolean;
  /** The variable of the environment that a required setting comes from when it is not given. */
  readonly fallbackFrom?: string;
  /** Never read from the repository's file, which a branch can change. */
  readonly withOnly?: boolean;
  /** Its value is never quoted, and it is read under `with:` only. */
  readonly secret?: boolean;
  /** A map or a list of maps. It may hold what others mark as secret, so the value of a run is not repeated. */
  readonly structured?: boolean;
  /** For a setting beyond the first twelve of a mode: the user who needs it. */
  readonly neededBy?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a table of settings holds settings of every type
export type Settings = Readonly<Record<string, Setting<any>>>;
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** The same as a function takes them: a setting that may be absent may be left out. */
export type Inputs<S extends Settings> = {
  readonly [K in keyof S as undefined extends Values<S>[K] ? never : K]: Values<S>[K];
} & { readonly [K in keyof S as undefined extends Values<S>[K] ? K : never]?: Values<S>[K] };

/** One place where settings are given, strongest first. */
export interface Source {
  /** Shown in messages. */
  readonly name: string;
  /** The file that it was read from; undefined under `with:`. */
  readonly file: string | undefined;
  readonly values: Readonly<Record<string, RawValue>>;
  readonly lines?: ReadonlyMap<string, number>;
}

export const kebab = (key: string): string => key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);

export const isMap = (raw: unknown): raw is Readonly<Record<string, RawValue>> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);

/** What a reader knows besides the settings of the mode itself. */
export interface Reading {
  /** The settings of all modes. */
  readonly known: Settings;
  readonly sources: readonly Source[];
  /** Problems that were found before. */
  readonly problems?: readonly Problem[];
  /** False where one of these problems may hide settings, so that no setting is reported as missing. */
  readonly isComplete?: boolean;
  /** The next step when a setting is missing. */
  readonly whenMissing?: string | undefined;
}

/** All settings of a mode. Throws one `UsageError` with all problems. */
export function readSettings<S extends Settings>(settings: S, reading: Reading): Values<S> {
  const { sources, problems: earlier = [], isComplete = true, whenMissing } = reading;
  const problems = [...earlier, ...unknownKeys(settings, reading)];
  const values: Record<string, unknown> = {};
  let isMissing = false;
  for (const [key, setting] of Object.entries(settings)) {
    const name = kebab(key);
    const source = sources.find(({ values: given }) => isGiven(given[name]));
    const raw = source?.values[name] ?? setting.fallback;
    if (raw === undefined && setting.required) {
      if (!isComplete) continue;
      isMissing = true;
      const or = setting.fallbackFrom === undefined ? '' : ` Set it, or ${setting.fallbackFrom} in the environment of the job.`;
      problems.push({ message: `"${name}" is missing: ${setting.doc}${or}` });
      continue;
    }
    // A schema takes a third of a millisecond to make, and a mode has fifty settings that may be left out.
    if (raw === undefined) {
      values[key] = undefined;
      continue;
    }
    const parsed = setting.schema().safeParse(raw);
    if (parsed.success) values[key] = parsed.data;
    else {
      const location = locationOf(source, name);
      problems.push(
        ...firstOfEach(parsed.error.issues).map(issue => ({ message: formatIssue(name, setting, raw, issue, source), location })),
      );
    }
  }
  if (problems.length > 0) throw new UsageError(problems, { next: isMissing ? whenMissing : undefined });
  return values as Values<S>;
}

/** A setting that was given: its value as it was written, and the place that decided. */
export interface GivenSetting {
  readonly name: string;
  readonly value: string;
  readonly where: string;
}

/** In the order of the declarations. Values of secrets and maps are not shown. */
export const givenSettings = (settings: Settings, sources: readonly Source[]): readonly GivenSetting[] =>
  [...byName(settings)].flatMap(([name, { secret, structured }]) => {
    const source = sources.find(({ values }) => isGiven(values[name]));
    if (source === undefined) return [];
    const line = source.lines?.get(name);
    const where = source.name === 'with' ? 'with:' : `${source.name}${line === undefined ? '' : ` line ${line}`}`;
    return [{ name, value: secret || structured ? '(not shown)' : quote(source.values[name]), where }];
  });

/** The runner passes every declared input; an empty one was not given. */
const isGiven = (raw: RawValue | undefined): raw is RawValue => raw !== undefined && !(typeof raw === 'string' && raw.trim() === '');

const locationOf = (source: Source | undefined, name: string): Location | undefined => {
  const line = source?.lines?.get(name);
  return source?.file === undefined || line === undefined ? undefined : { file: source.file, line };
};

const byName = (settings: Settings) => new Map(Object.entries(settings).map(([key, setting]) => [kebab(key), setting]));

function unknownKeys(settings: Settings, { known, sources }: Reading): Problem[] {
  const [own, all] = [byName(settings), byName(known)];
  const problemOf = (name: string, raw: RawValue, source: Source): string | undefined => {
    const setting = own.get(name) ?? all.get(name);
    if (setting === undefined) return unknownKey(name, raw, source, [...all.keys()]);
    if (source.file === undefined)
      return own.has(name) || !isGiven(raw) ? undefined : `"${name}" (${source.name}) does nothing in this mode: remove it`;
    if (setting.secret)
      return `"${name}" (${source.name}) is a secret, and this file is committed: set it under "with:", from \${{ secrets.NAME }}`;
    return setting.withOnly ? `"${name}" (${source.name}) is read under "with:" only: a branch could change it in this file` : undefined;
  };
  return sources.flatMap(source =>
    Object.entries(source.values).flatMap(([name, raw]) => {
      const message = problemOf(name, raw, source);
      return message === undefined ? [] : [{ message, location: locationOf(source, name) }];
    }),
  );
}

/** Inputs of the action that are no settings of a mode. */
const WITH_ONLY = ['mode', 'config'];

function unknownKey(name: string, raw: RawValue, { name: where, file }: Source, known: readonly string[]): string {
  if (file !== undefined && WITH_ONLY.includes(name)) return `"${name}" (${where}) belongs under "with:" in the workflow`;
  if (file !== undefined && isMap(raw) && Object.keys(raw).some(key => known.includes(key)))
    return `"${name}" (${where}) looks like an environment: put it under "environments:"`;
  return `"${name.slice(0, 80)}" (${where}) is not a setting, did you mean "${closest(name.slice(0, 80), known)}"?`;
}

/** One problem for each value; what else is wrong with it shows once this is fixed. */
const firstOfEach = (issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] =>
  [...new Map([...issues].reverse().map(issue => [issue.path.join('.'), issue])).values()].reverse();

function formatIssue(
  name: string,
  { secret }: Setting<unknown>,
  raw: RawValue | undefined,
  issue: z.core.$ZodIssue,
  source: Source | undefined,
): string {
  if (secret) return `"${name}" ${issue.message} (its value is not shown)`;
  const where = source === undefined || source.name === 'with' ? '' : ` (${source.name})`;
  const path = issue.path.map(step => (typeof step === 'number' ? `[${step + 1}]` : `.${String(step)}`)).join('');
  return `"${name}${path}" ${issue.message}${issue.message.endsWith('?') ? ' Got' : ', got'} ${quote(valueAt(raw, issue.path))}${where}`;
}

const valueAt = (raw: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step], parsedValue(raw, path));

/** Under `with:` a list or a map is one text of YAML. Any other text stands for the whole value. */
function parsedValue(raw: unknown, path: readonly PropertyKey[]): unknown {
  if (typeof raw !== 'string' || path.length === 0) return raw;
  const whole = Object.fromEntries(path.slice(0, 1).map(step => [step, raw]));
  try {
    const parsed: unknown = parse(raw, { schema: 'failsafe' });
    return typeof parsed === 'object' ? parsed : whole;
  } catch {
    return whole;
  }
}

/** What was written, cut at 80 characters and with every invisible character shown. */
export function quote(raw: unknown): string {
  if (raw === undefined) return 'nothing';
  const plain = typeof raw === 'string' ? raw : JSON.stringify(raw);
  const cut = plain.length > 80 ? `${plain.slice(0, 77)}... (${plain.length} characters)` : plain;
  return JSON.stringify(cut).replace(/[^\x20-\x7e]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
