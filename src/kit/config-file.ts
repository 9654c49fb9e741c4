import { closest } from 'fastest-levenshtein';
import { parse } from 'yaml';
import { quote, type RawValue, type Source } from './settings.ts';

/** What the repository's file says for one environment: its section first, then the top of the file. */
export interface ConfigFile {
  readonly sources: readonly Source[];
  readonly problems: readonly string[];
}

/** The words of `environments:` are names, not settings; everything else at the top is a setting. */
const SECTIONS = 'environments';

/** `asked`: what `with:` says. `orTop`: where it says nothing, the `environment` at the top of the file chooses, as for a mode that has the setting. */
export function readConfigFile(path: string, content: string, asked: string | undefined, { orTop = false } = {}): ConfigFile {
  const top = parseMap(path, content);
  if (typeof top === 'string') return { sources: [], problems: [top] };
  const { [SECTIONS]: sections = {}, ...settings } = top;
  const chosen = orTop && typeof settings.environment === 'string' ? settings.environment.trim() : '';
  const environment = asked ?? (chosen === '' ? undefined : chosen);
  const source = (name: string, values: Readonly<Record<string, RawValue>>): Source => ({ name, fromFile: true, values });
  const topSource = source(path, settings);
  if (!isMap(sections)) {
    return {
      sources: [topSource],
      problems: [`"${SECTIONS}" (${path}) must be a map from an environment to its settings, got ${quote(sections)}`],
    };
  }
  const names = Object.keys(sections);
  if (environment === undefined || names.length === 0) return { sources: [topSource], problems: [] };
  const section = Object.hasOwn(sections, environment) ? sections[environment] : undefined;
  if (section === undefined) {
    const nearest = closest(environment, names);
    return {
      sources: [topSource],
      problems: [`"environment" is not one of ${names.join(', ')} (${path}), did you mean "${nearest}"? Got ${quote(environment)}`],
    };
  }
  if (section !== '' && !isMap(section)) {
    return { sources: [topSource], problems: [`"${SECTIONS}.${environment}" (${path}) must be a map of settings, got ${quote(section)}`] };
  }
  return { sources: [source(`${path}, ${SECTIONS}.${environment}`, section === '' ? {} : section), topSource], problems: [] };
}

/** What a setting is without an environment, and in each of the file: whoever removes what all of them use must know every value. */
export function everyValue(path: string, content: string, name: string, fallback: string): readonly string[] {
  const top = parseMap(path, content);
  if (typeof top === 'string') return [];
  const { [SECTIONS]: sections = {}, ...settings } = top;
  const inSections = isMap(sections) ? Object.values(sections).flatMap(section => (isMap(section) ? (section[name] ?? []) : [])) : [];
  const said = [settings[name] ?? fallback, ...inSections].flatMap(raw =>
    typeof raw === 'string' && raw.trim() !== '' ? [raw.trim()] : [],
  );
  return [...new Set(said)];
}

/** Every scalar stays the text that was written: the failsafe schema makes no numbers, dates or booleans of them. https://yaml.org/spec/1.2.2/#101-failsafe-schema */
function parseMap(path: string, content: string): Readonly<Record<string, RawValue>> | string {
  try {
    const parsed = parse(content, { schema: 'failsafe' }) as RawValue | null;
    if (parsed === null || parsed === '') return {};
    return isMap(parsed) ? parsed : `${path} must be a map of settings, one "key: value" a line, got ${quote(parsed)}`;
  } catch (cause) {
    return `${path} is not YAML: ${(cause as Error).message.split('\n')[0]?.replace(/:$/, '')}`;
  }
}

const isMap = (raw: RawValue): raw is Readonly<Record<string, RawValue>> => typeof raw === 'object' && raw !== null && !Array.isArray(raw);
