import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { parseDuration } from '../../kit/format.ts';
import { shortHash } from '../../model/verdict.ts';
import { type ReadyMade, readyMade } from './checks-ready.ts';

/** One check that an instance of the image must pass. */
export interface Check {
  readonly name: string;
  /** Shell text that runs as root: bash -eo pipefail (sh -e without bash), or the interpreter of its `#!` line. */
  readonly command: string;
  /** Instead of `command`: a file of the repository that runs unchanged. */
  readonly script: string | undefined;
  /** Files of the repository that the script needs, at their relative paths. */
  readonly files: readonly string[];
  readonly exitCode: number;
  /** Extended regular expressions over its output, line by line. */
  readonly expect: string | undefined;
  readonly forbid: string | undefined;
  readonly severity: 'fail' | 'warn';
  readonly timeLimitSeconds: number;
  /** How long after the start of the first check it may still fail. */
  readonly retryForSeconds: number;
  /** What the author wrote, without the name: the content of the hash. */
  readonly declared: unknown;
}

/** A file of the repository that is sent with a check. */
export interface Delivered {
  readonly path: string;
  readonly content: Uint8Array;
  readonly executable: boolean;
}

const MOST_CHECKS = 200;

const nonEmpty = (message: string) => z.string({ error: message }).trim().min(1, message);
const seconds = (least: number) =>
  nonEmpty('must be a duration such as 30s or 5m').transform((raw, context) => {
    const parsed = parseDuration(raw);
    if (parsed !== undefined && parsed >= least) return parsed;
    context.addIssue({ code: 'custom', message: 'must be a duration such as 30s or 5m' });
    return z.NEVER;
  });
const pattern = () => nonEmpty('must be an extended regular expression').refine(compiles, 'must be an extended regular expression');

const common = () => ({
  name: nonEmpty('must be text').max(100, 'must be at most 100 characters').optional(),
  severity: z.enum(['fail', 'warn'], { error: 'must be fail or warn' }).optional(),
  'time-limit': seconds(1).optional(),
  'retry-for': seconds(0).optional(),
  'exit-code': nonEmpty('must be 0 to 255')
    .regex(/^\d{1,3}$/, 'must be 0 to 255')
    .transform(Number)
    .refine(code => code <= 255, 'must be 0 to 255')
    .meta({ type: ['integer', 'string'], minimum: 0, maximum: 255 })
    .optional(),
  expect: pattern().optional(),
  forbid: pattern().optional(),
  files: z.array(nonEmpty('must be a path in the repository'), { error: 'must be a list of paths in the repository' }).optional(),
});

const kinds = (): Record<string, z.ZodType> => ({
  command: nonEmpty('must be shell text').optional(),
  script: nonEmpty('must be the path of a file in the repository').optional(),
  ...Object.fromEntries(Object.entries(readyMade).map(([kind, { schema }]) => [kind, schema().optional()])),
});
const KINDS: readonly string[] = ['command', 'script', ...Object.keys(readyMade)];

const WHAT = `must be one check: one of ${Object.keys(readyMade).join(', ')}, or a map with "command", "script" or one of these`;

const kindsOf = (raw: unknown): string[] =>
  typeof raw === 'object' && raw !== null ? Object.keys(raw).filter(key => KINDS.includes(key)) : [];

// `{ path: /x, type: file }` is a common mistake.
const unknownKeys = (keys: readonly string[], raw: unknown, known: readonly string[]) =>
  keys
    .map(key => {
      const [kind = ''] = kindsOf(raw);
      if (readyMade[kind]?.keys.includes(key))
        return `has "${key}" next to "${kind}": write ${kind}: { ${readyMade[kind].keys.join(', ')} }`;
      return `has an unknown key "${key}", did you mean "${closest(key, known)}"?`;
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

// `- systemctl is-active web` is a common first try.
const looseText = (raw: string) => (/\s/.test(raw) ? `is text: write "command: ${raw.trim()}"` : WHAT);

const tooManyKinds = (kinds: readonly string[]): string =>
  kinds.length === 0 ? WHAT : `has ${kinds.join(' and ')}: write them as separate checks`;

// A misspelt kind is reported once, not also as a missing one.
function onlyKindsMissing({ value, issues }: { value: unknown; issues: readonly { code?: string | undefined }[] }): boolean {
  return kindsOf(value).length > 1 || issues.every(({ code }) => code !== 'unrecognized_keys' && code !== 'invalid_type');
}

/** `checks:` of a workflow or of the file. */
export const checksSchema = () =>
  z
    .array(item(), { error: 'must be a list of checks, each beginning with "- "' })
    .min(1, 'must have at least one check')
    .max(MOST_CHECKS, `must have at most ${MOST_CHECKS} checks; "script" runs a suite as one check`) as z.ZodType<readonly Check[]>;

type Written = z.infer<z.ZodObject<ReturnType<typeof common>>> & Readonly<Record<string, unknown>>;

function asCheck(raw: Written): Check {
  const kind = Object.keys(raw).find(key => KINDS.includes(key)) ?? 'command';
  const value = raw[kind];
  const made = kind in readyMade ? (readyMade[kind] as ReadyMade).make(value) : undefined;
  const { name, ...declared } = raw;
  return {
    name: name ?? made?.name ?? firstLine(String(value)),
    command: made?.command ?? (kind === 'command' ? String(value) : ''),
    script: kind === 'script' ? String(value) : undefined,
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
 * Hash of every declared check and the contents of its files, in order, without names. Ready-made checks count as declared, so that a change of their shell
 * does not change the hash.
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
