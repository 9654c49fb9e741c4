import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/**
 * How far a value travels through the source: from the file of a mode along the imports that handle it. An import is on the way when a line
 * that names the value also names what is imported. Folders on the way are counted, and the imports between two folders ("walls").
 * `node scripts/journey.ts` prints both journeys that `__tests__/journey.test.ts` keeps short.
 */

export interface Journey {
  readonly files: number;
  readonly folders: readonly string[];
  readonly walls: number;
}

interface Import {
  readonly names: readonly string[];
  readonly from: string;
}

export const JOURNEYS = {
  'the image ID through promote': { start: 'rollout/promote.ts', value: /\b(imageId|amiId|image)\b/ },
  'the family through prune': { start: 'retention/prune.ts', value: /\b(family|wanted|options)\b/ },
} as const;

export function journey({ start, value }: { readonly start: string; readonly value: RegExp }, source = SOURCE): Journey {
  const open = [join(source, start)];
  const seen = new Set(open);
  const folders = new Set<string>();
  let walls = 0;
  for (let file = open.shift(); file !== undefined; file = open.shift()) {
    folders.add(dirname(relative(source, file)));
    const lines = code(file).split('\n');
    for (const { names, from } of importsOf(file)) {
      if (!isHandled(names, lines, value) || !value.test(code(from))) continue;
      if (dirname(from) !== dirname(file)) walls += 1;
      if (!seen.has(from)) open.push(from);
      seen.add(from);
    }
  }
  return { files: seen.size, folders: [...folders], walls };
}

const SOURCE = resolve(import.meta.dirname, '..', 'src');

/** Types are left out: they travel to everyone who holds the value, and cost no step at run time. */
const importsOf = (file: string): readonly Import[] =>
  [...readFileSync(file, 'utf8').matchAll(/import \{([^}]*)\} from '(\.[^']+)'/g)].map(([, names = '', from = '']) => ({
    names: names
      .split(',')
      .map(name => name.trim())
      .filter(name => name !== '' && !name.startsWith('type '))
      .map(name => name.split(' as ').at(-1) ?? name),
    from: join(dirname(file), from),
  }));

const isHandled = (names: readonly string[], lines: readonly string[], value: RegExp): boolean =>
  lines.some(line => value.test(line) && names.some(name => new RegExp(`\\b${name}\\b`).test(line)));

/** Without imports, comments and texts. */
const code = (file: string): string =>
  readFileSync(file, 'utf8')
    .replace(/^import [^;]*;$/gm, '')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");

if (import.meta.main)
  for (const [name, way] of Object.entries(JOURNEYS)) {
    const { files, folders, walls } = journey(way);
    console.log(`${name}: ${files} files, ${folders.length} folders (${folders.join(', ')}), ${walls} imports between folders`);
  }
