import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { parseDuration } from './format.ts';
import type { Setting } from './settings.ts';

/** The makers of settings. A message message what would be right, as the end of the sentence `"name" ...`. */

type Extra = Partial<Pick<Setting<unknown>, 'withOnly' | 'secret' | 'structured' | 'neededBy' | 'fallbackFrom'>>;

const setting = <T>(doc: string, schema: Setting<T>['schema'], extra: Extra, fallback?: string): Setting<T> => ({
  doc,
  schema,
  required: fallback === undefined,
  ...(fallback === undefined ? {} : { fallback }),
  ...extra,
});

/** The same setting, and it may be left out. */
export const optional = <T>(inner: Setting<T>): Setting<T | undefined> => ({
  ...inner,
  required: false,
  schema: () => inner.schema().optional(),
});

// Pasted text brings invisible characters: around a value they are dropped, inside it they are a mistake.
const trimmed = (message: string) =>
  z
    .string({ error: message })
    .trim()
    .max(4096, 'is too long: at most 4096 characters')
    .refine(value => !/[\u00a0\u200b-\u200f\u2060\ufeff]/.test(value), 'contains an invisible character: type it again');

interface TextExtra extends Extra {
  readonly fallback?: string;
  readonly pattern?: RegExp;
  readonly message?: string;
  /** A better message for one value: what it was probably meant to be. */
  readonly hint?: (value: string) => string | undefined;
}

export const text = (doc: string, extra: TextExtra = {}): Setting<string> => {
  const { fallback, pattern, message = 'must be text', hint, ...rest } = extra;
  const error = ({ input }: { input?: unknown }) => (typeof input === 'string' ? hint?.(input) : undefined) ?? message;
  const schema = () => (pattern === undefined ? trimmed(message) : trimmed(message).regex(pattern, { error }));
  return setting(doc, schema, rest, fallback);
};

export const count = (doc: string, range: { min: number; max: number; fallback?: number } & Extra): Setting<number> => {
  const { min, max, fallback, ...rest } = range;
  const message = `must be a whole number from ${min} to ${max}`;
  const schema = () =>
    trimmed(message)
      .regex(/^\d{1,15}$/, message)
      .transform(Number)
      .refine(value => value >= min && value <= max, message)
      .meta({ type: ['integer', 'string'], minimum: min, maximum: max });
  return setting(doc, schema, rest, fallback?.toString());
};

export const flag = (doc: string, fallback: boolean, extra: Extra = {}): Setting<boolean> => {
  const message = 'must be true or false';
  const schema = () =>
    trimmed(message)
      // The spellings of @actions/core's getBooleanInput.
      .regex(/^(true|True|TRUE|false|False|FALSE)$/, message)
      .transform(value => value.toLowerCase() === 'true')
      .meta({ type: 'boolean' });
  return setting(doc, schema, extra, String(fallback));
};

/** A duration, as seconds. */
export const duration = (
  doc: string,
  extra: { fallback?: string; minSeconds?: number; maxSeconds?: number } & Extra = {},
): Setting<number> => {
  const { fallback, minSeconds = 0, maxSeconds = Number.MAX_SAFE_INTEGER, ...rest } = extra;
  const inSeconds = (raw: string, context: z.core.$RefinementCtx): number => {
    const seconds = parseDuration(raw);
    if (seconds !== undefined && seconds >= minSeconds && seconds <= maxSeconds) return seconds;
    const range = seconds === undefined ? '' : ` from ${minSeconds} s to ${maxSeconds} s,`;
    context.addIssue({ code: 'custom', message: `must be a duration${range} such as 90s, 45m, 1h30m or 2d` });
    return z.NEVER;
  };
  const text = () => trimmed('must be a duration such as 90s, 45m, 1h30m or 2d');
  const schema = () => text().transform(inSeconds).meta({ type: 'string', pattern: '^([0-9]+[smhd])+$' });
  return setting(doc, schema, rest, fallback);
};

export const oneOf = <const C extends readonly [string, ...string[]]>(
  doc: string,
  choices: C,
  extra: { fallback?: C[number]; message?: string } & Extra = {},
): Setting<C[number]> => {
  const { fallback, message = `must be one of ${choices.join(', ')}`, ...rest } = extra;
  const schema = () => z.enum(choices, { error: message }) as unknown as z.ZodType<C[number]>;
  return setting<C[number]>(doc, schema, rest, fallback);
};

/** Lists and maps are YAML, under `with:` as in the file. Scalars stay text: 012345678901 is an account, not a number. */
export const yaml = <T>(doc: string, inner: Setting<T>['schema'], extra: { fallback?: string } & Extra = {}): Setting<T> => {
  const { fallback, ...rest } = extra;
  return setting(doc, () => z.preprocess(readYaml, inner()) as z.ZodType<T>, { ...rest, structured: true }, fallback);
};

function readYaml(raw: unknown, context: z.core.$RefinementCtx, message?: string): unknown {
  if (typeof raw !== 'string') return raw;
  try {
    return parseYaml(raw, { schema: 'failsafe' });
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0]?.replace(/:$/, '');
    context.issues.push({ code: 'custom', input: raw, message: message ?? `must be YAML: ${reason}` });
    return z.NEVER;
  }
}

/** A list of texts: YAML, one a line, or separated by commas. */
export const list = (doc: string, extra: Omit<TextExtra, 'hint'> = {}): Setting<readonly string[]> => {
  const { fallback, pattern, message = 'must be text', ...rest } = extra;
  const item = () => (pattern === undefined ? trimmed(message).min(1, message) : trimmed(message).regex(pattern, message));
  const split = (raw: unknown, context: z.core.$RefinementCtx) => (typeof raw === 'string' ? asList(raw, context) : raw);
  const items = () => z.preprocess(split, z.array(item(), { error: 'must be a list' }));
  const schema = () => items().meta({ type: ['array', 'string'], items: { type: 'string' } }) as z.ZodType<readonly string[]>;
  return setting(doc, schema, rest, fallback);
};

const asList = (raw: string, context: z.core.$RefinementCtx): unknown => {
  if (/^\s*(-\s|\[)/.test(raw)) return readYaml(raw, context);
  return raw
    .split(/[\n,]/)
    .map(item => item.trim())
    .filter(item => item !== '');
};

/** A map from text to text: YAML, or KEY=VALUE lines. */
export const map = (doc: string, extra: { fallback?: string } & Extra = {}): Setting<Readonly<Record<string, string>>> => {
  const { fallback, ...rest } = extra;
  const message = 'must be a map, one "key: value" or KEY=VALUE a line';
  const record = () => z.record(z.string(), z.string({ error: 'must be text' }), { error: message });
  // The parser's own message may quote a part of the value.
  const read = (raw: unknown, context: z.core.$RefinementCtx) =>
    keyValueLines(raw) ?? readYaml(raw, context, extra.secret ? message : undefined);
  return setting(doc, () => z.preprocess(read, record()), { ...rest, structured: true }, fallback);
};

/** Undefined where one line is none. */
function keyValueLines(raw: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof raw !== 'string') return undefined;
  const lines = raw.split(/\r?\n/).filter(line => line.trim() !== '');
  const pairs = lines.map(line => /^\s*([^\s=#"'{[-][^\s=]*)=(.*)$/.exec(line));
  if (pairs.length === 0 || pairs.includes(null)) return undefined;
  return Object.fromEntries(pairs.map(pair => [pair?.[1] ?? '', pair?.[2] ?? '']));
}
