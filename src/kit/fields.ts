import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { parseDuration } from './format.ts';
import type { Setting } from './settings.ts';

/** The makers of settings. A message message what would be right, as the end of the sentence `"name" ...`. */

type Extra = Partial<Pick<Setting<unknown>, 'withOnly' | 'neededBy' | 'fallbackFrom'>>;

const setting = <T>(doc: string, schema: Setting<T>['schema'], extra: Extra, fallback?: string): Setting<T> => ({
  doc,
  schema,
  required: fallback === undefined,
  ...(fallback === undefined ? {} : { fallback }),
  ...extra,
});

/** The same setting, but it need not be said. */
export const optional = <T>(inner: Setting<T>): Setting<T | undefined> => ({
  ...inner,
  required: false,
  schema: () => inner.schema().optional(),
});

// Pasted text brings spaces that nobody sees; inside a value they are a mistake, around it they are nothing.
const trimmed = (message: string) =>
  z
    .string({ error: message })
    .trim()
    .max(4096, 'is too long: at most 4096 characters')
    .refine(value => !/[\u00a0\u200b-\u200f\u2060\ufeff]/.test(value), 'holds an invisible character: type it again');

export const text = (doc: string, extra: Extra & { fallback?: string; pattern?: RegExp; message?: string } = {}): Setting<string> => {
  const { fallback, pattern, message = 'must be text', ...rest } = extra;
  const schema = () => (pattern === undefined ? trimmed(message) : trimmed(message).regex(pattern, message));
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
      .regex(/^(true|false)$/, message)
      .transform(value => value === 'true')
      .meta({ type: 'boolean' });
  return setting(doc, schema, extra, String(fallback));
};

/** In seconds, whatever the unit it was written in. */
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
  extra: { fallback?: C[number] } & Extra = {},
): Setting<C[number]> => {
  const { fallback, ...rest } = extra;
  const schema = () => z.enum(choices, { error: `must be one of ${choices.join(', ')}` }) as unknown as z.ZodType<C[number]>;
  return setting<C[number]>(doc, schema, rest, fallback);
};

/** Lists and maps are YAML, under `with:` as in the file. Every scalar stays the text that was written: 012345678901 is an account, not a number. */
export const yaml = <T>(doc: string, inner: Setting<T>['schema'], extra: { fallback?: string } & Extra = {}): Setting<T> => {
  const { fallback, ...rest } = extra;
  return setting(doc, () => z.preprocess(readYaml, inner()) as z.ZodType<T>, rest, fallback);
};

function readYaml(raw: unknown, context: z.core.$RefinementCtx): unknown {
  if (typeof raw !== 'string') return raw;
  try {
    return parseYaml(raw, { schema: 'failsafe' });
  } catch (cause) {
    context.issues.push({
      code: 'custom',
      input: raw,
      message: `must be YAML: ${(cause as Error).message.split('\n')[0]?.replace(/:$/, '')}`,
    });
    return z.NEVER;
  }
}

/** A list of texts: YAML, or simply one a line, or with commas between them. */
export const list = (
  doc: string,
  extra: { fallback?: string; pattern?: RegExp; message?: string } & Extra = {},
): Setting<readonly string[]> => {
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

/** A map from text to text. */
export const map = (doc: string, extra: { fallback?: string } & Extra = {}): Setting<Readonly<Record<string, string>>> =>
  yaml(doc, () => z.record(z.string(), z.string({ error: 'must be text' }), { error: 'must be a map, one "key: value" a line' }), extra);
