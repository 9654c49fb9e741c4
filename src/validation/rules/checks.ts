import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { parseDuration } from '../../kit/format.ts';
import { shortHash } from '../../model/verdict.ts';
import { type ReadyMade, readyMade } from './checks-ready.ts';

/** One thing that an image must do on a machine made of it. */
export interface Check {
  readonly name: string;
  /** Shell text that runs as root by itself: bash -eo pipefail (sh -e without bash), or what its `#!` line says. */
  readonly command: string;
  /** Instead of `command`: a file of the repository that is delivered and run unchanged. */
  readonly script: string | undefined;
  /** Files of the repository that the script finds beside itself. */
  readonly files: readonly string[];
  readonly exitCode: number;
  /** Extended regular expressions over its output, line by line. */
  readonly expect: string | undefined;
  readonly forbid: string | undefined;
  readonly severity: 'fail' | 'warn';
  readonly timeLimitSeconds: number;
  /** It may fail until so long after the first check began. */
  readonly retryForSeconds: number;
  /** What the author wrote, without what it is called: what the hash is made of. */
  readonly declared: unknown;
}

/** A file of the repository that goes along with a check. */
export interface Delivered {
  readonly path: string;
  readonly content: Uint8Array;
  readonly executable: boolean;
}

const MOST_CHECKS = 200;

const said = (says: string) => z.string({ error: says }).trim().min(1, says);
const seconds = (least: number) =>
  said('must be a duration such as 30s or 5m').transform((raw, context) => {
    const parsed = parseDuration(raw);
    if (parsed !== undefined && parsed >= least) return parsed;
    context.addIssue({ code: 'custom', message: 'must be a duration such as 30s or 5m' });
    return z.NEVER;
  });
const pattern = () => said('must be an extended regular expression').refine(compiles, 'must be an extended regular expression');

const common = () => ({
  name: said('must be text').max(100, 'must be at most 100 characters').optional(),
  severity: z.enum(['fail', 'warn'], { error: 'must be fail or warn' }).optional(),
  'time-limit': seconds(1).optional(),
  'retry-for': seconds(0).optional(),
  'exit-code': said('must be 0 to 255')
    .regex(/^\d{1,3}$/, 'must be 0 to 255')
    .transform(Number)
    .refine(code => code <= 255, 'must be 0 to 255')
    .meta({ type: ['integer', 'string'], minimum: 0, maximum: 255 })
    .optional(),
  expect: pattern().optional(),
  forbid: pattern().optional(),
  files: z.array(said('must be a path in the repository'), { error: 'must be a list of paths in the repository' }).optional(),
});

const kinds = (): Record<string, z.ZodType> => ({
  command: said('must be shell text').optional(),
  script: said('must be the path of a file in the repository').optional(),
  ...Object.fromEntries(Object.entries(readyMade).map(([kind, { schema }]) => [kind, schema().optional()])),
});
const KINDS: readonly string[] = ['command', 'script', ...Object.keys(readyMade)];

const WHAT = `must be one check: a name of ${Object.keys(readyMade).join(', ')}, or a map with "command", "script" or one of these`;

const kindsOf = (raw: unknown): string[] =>
  typeof raw === 'object' && raw !== null ? Object.keys(raw).filter(key => KINDS.includes(key)) : [];

// `{ path: /x, type: file }` is the mistake that everybody makes once.
const unknownKeys = (keys: readonly string[], raw: unknown, known: readonly string[]) =>
  keys
    .map(key => {
      const [kind = ''] = kindsOf(raw);
      if (readyMade[kind]?.keys.includes(key))
        return `says "${key}" beside "${kind}", it belongs beneath: ${kind}: { ${readyMade[kind].keys.join(', ')} }`;
      return `says "${key}", did you mean "${closest(key, known)}"?`;
    })
    .join(' ');

// `- cloud-init` is short for a ready-made check that needs nothing else.
const spelledOut = (item: unknown): unknown => (typeof item === 'string' && item in readyMade ? { [item]: {} } : item);

const item = (keys = { ...common(), ...kinds() }) =>
  z
    .preprocess(
      spelledOut,
      z
        .strictObject(keys, {
          error: issue =>
            issue.code === 'unrecognized_keys'
              ? unknownKeys(issue.keys, issue.input, Object.keys(keys))
              : typeof issue.input === 'string'
                ? looseText(issue.input)
                : WHAT,
        })
        .refine(raw => kindsOf(raw).length === 1, { error: ({ input }) => tooManyKinds(kindsOf(input)), when: onlyKindsMissing })
        .transform(raw => asCheck(raw as Written)),
    )
    .meta({ type: ['object', 'string'] });

// `- systemctl is-active web` is what everybody tries first.
const looseText = (raw: string) => (/\s/.test(raw) ? `is text, and a command is written "command: ${raw.trim()}"` : WHAT);

const tooManyKinds = (kinds: readonly string[]): string =>
  kinds.length === 0 ? WHAT : `says ${kinds.join(' and ')}: one check does one thing`;

// A misspelt kind is told as such, not once more as a missing one.
function onlyKindsMissing({ value, issues }: { value: unknown; issues: readonly { code?: string | undefined }[] }): boolean {
  return kindsOf(value).length > 1 || issues.every(({ code }) => code !== 'unrecognized_keys' && code !== 'invalid_type');
}

/** `checks:` as it stands in a workflow or in the file. */
export const checksSchema = () =>
  z
    .array(item(), { error: 'must be a list of checks, each beginning with "- "' })
    .min(1, 'must hold at least one check: an image that nobody looked into is not validated')
    .max(MOST_CHECKS, `must hold at most ${MOST_CHECKS} checks; "script" runs a whole suite as one`) as z.ZodType<readonly Check[]>;

type Written = z.infer<z.ZodObject<ReturnType<typeof common>>> & Readonly<Record<string, unknown>>;

function asCheck(raw: Written): Check {
  const kind = Object.keys(raw).find(key => KINDS.includes(key)) ?? 'command';
  const said = raw[kind];
  const made = kind in readyMade ? (readyMade[kind] as ReadyMade).make(said) : undefined;
  const { name, ...declared } = raw;
  return {
    name: name ?? made?.name ?? firstLine(String(said)),
    command: made?.command ?? (kind === 'command' ? String(said) : ''),
    script: kind === 'script' ? String(said) : undefined,
    files: raw.files ?? [],
    exitCode: raw['exit-code'] ?? 0,
    expect: raw.expect,
    forbid: raw.forbid,
    severity: raw.severity ?? 'fail',
    timeLimitSeconds: raw['time-limit'] ?? made?.timeLimitSeconds ?? (kind === 'script' ? 600 : 60),
    retryForSeconds: raw['retry-for'] ?? made?.retryForSeconds ?? 0,
    declared,
  };
}

const firstLine = (command: string): string => {
  const [line = ''] = command.split('\n').filter(text => text.trim() !== '' && !text.startsWith('#'));
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
};

function compiles(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/**
 * What a verdict is about: every declared check and the contents of delivered files, in order; not what a check is called. Ready-made checks count by what
 * was declared, so that a better shell line of ours does not change the hash.
 */
export const checksHash = (checks: readonly Check[], deliveries: readonly (readonly Delivered[])[], also: unknown = {}): string => {
  const contents = deliveries.flat().map(({ path, content }) => [path, shortHash(Buffer.from(content).toString('base64'))]);
  return shortHash(canonical({ checks: checks.map(({ declared }) => declared), contents, also }));
};

const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`)
    .join(',')}}`;
};
