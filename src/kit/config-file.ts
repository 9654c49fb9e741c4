import { closest } from 'fastest-levenshtein';
import { type Document, isMap as isMapNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { type Problem, UsageError } from './errors.ts';
import { formatList } from './format.ts';
import { isMap, quote, type RawValue, type Source } from './settings.ts';

/** The repository's file as it was written: its top, and one section for each environment and mode. */
export interface ConfigFile {
  readonly path: string;
  readonly top: Section;
  readonly environments: Sections;
  readonly modes: Sections;
  readonly problems: readonly Problem[];
}

interface Section {
  readonly values: Readonly<Record<string, RawValue>>;
  /** The line of each setting, from 1. */
  readonly lines: ReadonlyMap<string, number>;
}

type Sections = Readonly<Record<string, Section>>;

/** The keys of these are names, not settings; every other key at the top is a setting. */
const ENVIRONMENTS = 'environments';
const MODES = 'by-mode';
const EMPTY: Section = { values: {}, lines: new Map() };

/** The file at `path`; undefined where there is none. `problems` says why a file that was meant is not read. */
export function readConfigFile(
  read: (path: string) => string | undefined,
  path: string,
  usual: string,
): { readonly file: ConfigFile | undefined; readonly problems: readonly Problem[] } {
  const none = (message: string) => ({ file: undefined, problems: [{ message }] });
  try {
    const content = read(path);
    if (content !== undefined) return { file: parseConfigFile(path, content), problems: [] };
  } catch (cause) {
    if (cause instanceof UsageError) return none(cause.message);
    const { code } = cause as NodeJS.ErrnoException;
    return none(`${path} cannot be read: ${code === 'EISDIR' ? 'it is a folder' : (code ?? cause)}`);
  }
  if (path !== usual) return none(`"config" names a file that does not exist, got ${quote(path)}`);
  const other = usual.replace(/yml$/, 'yaml');
  return read(other) === undefined
    ? { file: undefined, problems: [] }
    : none(`${other} is not read: rename it to ${usual}, or set "config: ${other}"`);
}

/** Never throws: what is wrong with the file is in `problems`. */
export function parseConfigFile(path: string, content: string): ConfigFile {
  const nothing = { path, top: EMPTY, environments: {}, modes: {} };
  const refused = (message: string, line = 1): ConfigFile => {
    return { ...nothing, problems: [{ message, location: { file: path, line } }] };
  };
  const counter = new LineCounter();
  // The failsafe schema keeps every scalar as the text that was written. https://yaml.org/spec/1.2.2/#101-failsafe-schema
  const document = parseDocument(content, { schema: 'failsafe', lineCounter: counter, prettyErrors: false, uniqueKeys: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = counter.linePos(error.pos[0]);
    return refused(syntaxProblem(path, content.split('\n')[line - 1] ?? '', line, error.message), line);
  }
  const twice = repeatedKey(document, counter);
  if (twice !== undefined) return refused(`${path} line ${twice.line}: ${quote(twice.key)} is set twice`, twice.line);
  try {
    const values: RawValue | null = document.toJS();
    if (values === null || values === '') return { ...nothing, problems: [] };
    if (!isMap(values)) return refused(`${path} must be a map of settings, one "key: value" a line, got ${quote(values)}`);
    return { path, ...sectionsOf(path, values, document.contents, counter) };
  } catch (cause) {
    return refused(`${path} is not YAML: ${(cause as Error).message}`);
  }
}

/** Frequent mistakes in plain words, others in those of the parser. */
function syntaxProblem(path: string, text: string, line: number, message: string): string {
  const where = `${path} line ${line}`;
  if (/^\s*\t/.test(text)) return `${where}: indent with spaces, not with tabs`;
  if (/^\s*[\w-]+:\S/.test(text)) return `${where}: ${quote(text.trim())} lacks a space after the colon`;
  if (/^\s*[\w-]+([ \t]|$)/.test(text)) return `${where}: ${quote(text.trim())} lacks a colon`;
  return `${where} is not YAML: ${message}, got ${quote(text.trim())}`;
}

/** The parser's own check compares each key with each other. */
function repeatedKey(document: Document, counter: LineCounter): { readonly key: string; readonly line: number } | undefined {
  let found: { key: string; line: number } | undefined;
  visit(document, {
    Map(_, { items }) {
      const known = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (known.has(name)) found = { key: name, line: counter.linePos(key.range?.[0] ?? 0).line };
        known.add(name);
      }
      return found === undefined ? undefined : visit.BREAK;
    },
  });
  return found;
}

function sectionsOf(path: string, values: Readonly<Record<string, RawValue>>, root: unknown, counter: LineCounter) {
  const linesOf = (node: unknown): Section['lines'] =>
    new Map(
      (isMapNode(node) ? node.items : []).flatMap(({ key }) =>
        isScalar(key) ? [[String(key.value), counter.linePos(key.range?.[0] ?? 0).line] as const] : [],
      ),
    );
  const { [ENVIRONMENTS]: ofEnvironments = {}, [MODES]: ofModes = {}, ...settings } = values;
  const top = { values: settings, lines: linesOf(root) };
  const problems: Problem[] = [];
  const named = (key: string, what: string, sections: RawValue): Sections => {
    const location = { file: path, line: top.lines.get(key) ?? 1 };
    const notMap = (name: string, of: string, raw: RawValue) =>
      problems.push({ message: `"${name}" (${path}) must be a map ${of}, got ${quote(raw)}`, location });
    if (sections === '') return {};
    if (!isMap(sections)) {
      notMap(key, `from ${what} to its settings`, sections);
      return {};
    }
    const node = isMapNode(root) ? root.get(key) : undefined;
    const all = Object.entries(sections).map(([name, section]) => {
      if (section !== '' && !isMap(section)) notMap(`${key}.${name}`, 'of settings', section);
      const lines = linesOf(isMapNode(node) ? node.get(name) : undefined);
      return [name, isMap(section) ? { values: section, lines } : EMPTY] as const;
    });
    return Object.fromEntries(all);
  };
  const environments = named(ENVIRONMENTS, 'an environment', ofEnvironments);
  return { top, environments, modes: named(MODES, 'a mode', ofModes), problems };
}

/** The file as a mode reads it: the mode's section wins over the top. `names`: of all modes. */
export function forMode(file: ConfigFile, mode: string, names: readonly string[]): ConfigFile {
  const { path, top, modes } = file;
  const line = top.lines.get(MODES) ?? 1;
  const unknown = Object.keys(modes)
    .filter(name => !names.includes(name))
    .map(name => ({
      message: `"${MODES}.${name}" (${path}) is not a mode, did you mean "${closest(name, names)}"?`,
      location: { file: path, line },
    }));
  const section = Object.hasOwn(modes, mode) ? (modes[mode] ?? EMPTY) : EMPTY;
  const merged = { values: { ...top.values, ...section.values }, lines: new Map([...top.lines, ...section.lines]) };
  return { ...file, top: merged, problems: [...file.problems, ...unknown] };
}

/** What the file says for one environment, strongest first. `isComplete` is false where a problem may hide settings. */
export function sourcesOf({ path, top, environments, problems }: ConfigFile, environment: string | undefined) {
  const source = (name: string, section: Section): Source => ({ name, file: path, ...section });
  const names = Object.keys(environments);
  const section = environment !== undefined && Object.hasOwn(environments, environment) ? environments[environment] : undefined;
  const sources = [...(section === undefined ? [] : [source(`${path}, ${ENVIRONMENTS}.${environment}`, section)]), source(path, top)];
  if (section !== undefined || environment === undefined || names.length === 0)
    return { sources, problems, isComplete: problems.length === 0 };
  const message = `"environment" is not one of ${formatList(names)} (${path}), did you mean "${closest(environment, names)}"? Got ${quote(environment)}`;
  return { sources, problems: [...problems, { message }], isComplete: false };
}

/** Every value of a setting in the file: of its top, or the default, and of each environment and mode. */
export function everyValue({ top, environments, modes }: ConfigFile, name: string, fallback: string): readonly string[] {
  const sections = [...Object.values(environments), ...Object.values(modes)];
  const values = [top.values[name] ?? fallback, ...sections.map(section => section.values[name])];
  return [...new Set(values.flatMap(raw => (typeof raw === 'string' && raw.trim() !== '' ? [raw.trim()] : [])))];
}
