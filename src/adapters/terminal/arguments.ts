import { closest } from 'fastest-levenshtein';
import { UsageError } from '../../kit/errors.ts';
import { kebab, type RawValue, type Settings } from '../../kit/settings.ts';
import { modes } from '../../modes.ts';
import { INIT_FLAGS } from './init.ts';

/** What a command line asks for. `given` holds the settings as `with:` holds them on a runner. */
export interface CommandLine {
  readonly mode: string;
  readonly given: Readonly<Record<string, RawValue>>;
  readonly json: boolean;
  readonly debug: boolean;
  /** Print only the image ID: `ami-action latest`. */
  readonly onlyId: boolean;
  /** False: `--no-cache`. */
  readonly cache: boolean;
}

export type Request =
  | ({ readonly kind: 'run' } & CommandLine)
  | { readonly kind: 'help'; readonly mode: string | undefined }
  | { readonly kind: 'version' }
  | { readonly kind: 'completion'; readonly shell: string }
  | { readonly kind: 'init'; readonly flags: ReadonlyMap<string, string> };

/** Flags of the program itself. Every other flag is a setting of the mode. */
export const PROGRAM_FLAGS = ['json', 'debug', 'no-cache', 'help', 'version'] as const;

/** Commands of the program that are no modes. */
export const COMMANDS = ['latest', 'init', 'help', 'completion'] as const;

/**
 * Reads `ami-action [flags] <mode> [flags]`. Flags take `--name value` or `--name=value`; a flag of a true/false setting needs no value, and
 * `--no-name` is false. Throws UsageError for what is neither.
 */
export function parseArguments(argv: readonly string[]): Request {
  const { words, flags } = split(argv);
  const [command, argument, ...more] = words;
  if (command === undefined && flags.has('version')) return { kind: 'version' };
  if (command === undefined || command === 'help' || flags.has('help'))
    return { kind: 'help', mode: command === 'help' ? argument : command };
  if (command === 'completion') return { kind: 'completion', shell: argument ?? 'bash' };
  const unexpected = [argument, ...more].find(word => word !== undefined);
  if (unexpected !== undefined) throw new UsageError([`"${unexpected}" is not a flag. Write settings as --name value.`]);
  if (command === 'init') {
    const unknown = [...flags.keys()].filter(name => !INIT_FLAGS.includes(name));
    if (unknown.length > 0)
      throw new UsageError(unknown.map(name => `--${name} is not a flag of init. It takes --${INIT_FLAGS.join(', --')}.`));
    return { kind: 'init', flags };
  }
  if (flags.has('no-cache') && command !== 'latest' && command !== 'list')
    throw new UsageError(['--no-cache is for list and latest. Every other command reads AWS.']);
  const mode = command === 'latest' ? 'resolve' : command;
  const given = Object.fromEntries([...flags].filter(([name, value]) => !isProgramFlag(name, value)));
  return {
    kind: 'run',
    mode,
    given: command === 'latest' ? { image: 'latest', ...given } : given,
    json: flags.get('json') === 'true',
    debug: flags.get('debug') === 'true',
    onlyId: command === 'latest',
    cache: flags.get('no-cache') !== 'true',
  };
}

/**
 * `--json` alone prints outputs as JSON. With a value it is the setting of `validate`: where the report goes. `--version` behind a command is the
 * setting of `build`.
 */
const isProgramFlag = (name: string, value: string): boolean =>
  (PROGRAM_FLAGS as readonly string[]).includes(name) && name !== 'version' && (name !== 'json' || value === 'true');

function split(argv: readonly string[]): { words: readonly string[]; flags: ReadonlyMap<string, string> } {
  const words: string[] = [];
  const flags = new Map<string, string>();
  const rest = [...argv];
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    if (!next.startsWith('--')) {
      words.push(next);
      continue;
    }
    const [, name = '', value] = /^--([^=]+)(?:=([\s\S]*))?$/.exec(next) ?? [];
    const negated = name.startsWith('no-') && isFlag(name.slice('no-'.length));
    if (value !== undefined) flags.set(name, value);
    else if (name === 'version' && words.length > 0) flags.set(name, flagValue(name, rest));
    else if (negated) flags.set(name.slice('no-'.length), 'false');
    else if (name === 'json' && rest[0]?.includes('.')) flags.set(name, rest.shift() as string);
    else if (isFlag(name)) flags.set(name, rest[0] === 'true' || rest[0] === 'false' ? (rest.shift() as string) : 'true');
    else flags.set(name, flagValue(name, rest));
  }
  return { words, flags };
}

function flagValue(name: string, rest: string[]): string {
  const value = rest.shift();
  if (value !== undefined && !value.startsWith('--')) return value;
  const known = [...settingNames()];
  if (!known.includes(name)) throw new UsageError([`--${name} is not a setting. Did you mean --${closest(name, known)}?`]);
  throw new UsageError([`--${name} needs a value.`]);
}

const isFlag = (name: string): boolean =>
  name === 'force' || (PROGRAM_FLAGS as readonly string[]).includes(name) || booleanSettings().has(name);

/** Settings by name, over all modes. */
const settingNames = (): ReadonlySet<string> => new Set(allSettings().flatMap(settings => Object.keys(settings).map(kebab)));

const booleanSettings = (): ReadonlySet<string> =>
  new Set(
    allSettings().flatMap(settings =>
      Object.entries(settings).flatMap(([key, { fallback }]) => (fallback === 'true' || fallback === 'false' ? [kebab(key)] : [])),
    ),
  );

const allSettings = (): readonly Settings[] => Object.values(modes).map(({ settings }) => settings);
