import { closest } from 'fastest-levenshtein';
import { parse } from 'yaml';
import type { z } from 'zod';
import { UsageError } from './errors.ts';

/** A value as a person wrote it: `with:` gives text, the file gives text, lists and maps. Numbers and booleans arrive as text. */
export type RawValue = string | readonly RawValue[] | { readonly [key: string]: RawValue };

/** One setting, declared once. The type, `action.yml`, the README's table and the file's JSON Schema all come from this. */
export interface Setting<T> {
  /** One or two sentences for a person who reads the table; markdown. */
  readonly doc: string;
  /**
   * Parses what was written. Its messages say what would be right; the reader adds the value that was given.
   * Made when it is asked for: a run declares the settings of every mode and reads those of one.
   */
  schema(): z.ZodType<T>;
  /** Written as a person would write it. Absent: the setting is required, or `schema` accepts undefined. */
  readonly fallback?: string | undefined;
  readonly required: boolean;
  /** Where a required one comes from when it is not said: a variable of the environment. */
  readonly fallbackFrom?: string;
  /** Never read from the repository's file: a dispatched branch could rewrite its own guard. */
  readonly withOnly?: boolean;
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

/** One place where settings may stand, strongest first. `name` tells a person where a value came from. */
export interface Source {
  readonly name: string;
  readonly fromFile: boolean;
  readonly values: Readonly<Record<string, RawValue>>;
}

export const kebab = (key: string): string => key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);

/**
 * Reads all settings of a mode from its sources, then complains once about everything that is wrong: `found` are the
 * problems that somebody saw before, `whenMissing` what to do when something is not said at all.
 */
export function readSettings<S extends Settings>(
  settings: S,
  sources: readonly Source[],
  known: ReadonlySet<string>,
  found: readonly string[] = [],
  whenMissing?: string,
): Values<S> {
  const problems = [...found, ...sources.flatMap(source => strangers(source, settings, known))];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settings)) {
    const name = kebab(key);
    const source = sources.find(({ values: given }) => isGiven(given[name]));
    const raw = source?.values[name] ?? setting.fallback;
    if (raw === undefined && setting.required) {
      const or = setting.fallbackFrom === undefined ? '' : ` Say it, or set ${setting.fallbackFrom} in the environment of the job.`;
      problems.push(`"${name}" is missing: ${setting.doc}${or}`);
      continue;
    }
    const parsed = setting.schema().safeParse(raw);
    if (parsed.success) values[key] = parsed.data;
    else problems.push(...firstOfEach(parsed.error.issues).map(issue => complaint(name, raw, issue, source)));
  }
  const isMissing = problems.some(problem => problem.includes('" is missing: '));
  if (problems.length > 0) throw new UsageError(problems, { next: isMissing ? whenMissing : undefined });
  return values as Values<S>;
}

/** The runner hands over every declared input, so an empty one was not said. */
const isGiven = (raw: RawValue | undefined): raw is RawValue => raw !== undefined && !(typeof raw === 'string' && raw.trim() === '');

function strangers(source: Source, settings: Settings, known: ReadonlySet<string>): string[] {
  const mine = new Map(Object.entries(settings).map(([key, setting]) => [kebab(key), setting]));
  return Object.entries(source.values).flatMap(([name, raw]): string[] => {
    const setting = mine.get(name);
    if (setting?.withOnly && source.fromFile) {
      return [`"${name}" (${source.name}) may only stand under "with:": a branch could rewrite the file that guards it`];
    }
    if (setting !== undefined || (known.has(name) && (source.fromFile || !isGiven(raw)))) return [];
    if (known.has(name)) return [`"${name}" (${source.name}) does nothing in this mode, got ${quote(raw)}: take it out`];
    return [`"${name}" (${source.name}) is not a setting, did you mean "${closest(name, [...known])}"?`];
  });
}

/** One complaint for each thing that was said; what else is wrong with it shows once that is mended. */
const firstOfEach = (issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] =>
  [...new Map([...issues].reverse().map(issue => [issue.path.join('.'), issue])).values()].reverse();

function complaint(name: string, raw: RawValue | undefined, issue: z.core.$ZodIssue, source: Source | undefined): string {
  const where = source === undefined || source.name === 'with' ? '' : ` (${source.name})`;
  const path = issue.path.map(step => (typeof step === 'number' ? `[${step + 1}]` : `.${String(step)}`)).join('');
  return `"${name}${path}" ${issue.message}${issue.message.endsWith('?') ? ' Got' : ', got'} ${quote(at(raw, issue.path))}${where}`;
}

const at = (raw: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step], opened(raw, path));

/** Under `with:` a list or a map is one text of YAML. One that was written in another way has no inside to show. */
function opened(raw: unknown, path: readonly PropertyKey[]): unknown {
  if (typeof raw !== 'string' || path.length === 0) return raw;
  try {
    const inside: unknown = parse(raw, { schema: 'failsafe' });
    return typeof inside === 'object' ? inside : Object.fromEntries(path.slice(0, 1).map(step => [step, raw]));
  } catch {
    return Object.fromEntries(path.slice(0, 1).map(step => [step, raw]));
  }
}

/** What was written, cut short and with every invisible character shown. */
export function quote(raw: unknown): string {
  if (raw === undefined) return 'nothing';
  const plain = typeof raw === 'string' ? raw : JSON.stringify(raw);
  const cut = plain.length > 80 ? `${plain.slice(0, 77)}... (${plain.length} characters)` : plain;
  return JSON.stringify(cut).replace(/[^\x20-\x7e]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
