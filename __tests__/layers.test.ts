import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

/** Who may import whom. The direction is what keeps a mode readable from its own file, and decisions testable without a cloud. */
const MAY: Record<string, readonly string[]> = {
  domain: ['domain', 'kit'],
  kit: ['kit'],
  world: ['world', 'domain', 'kit'],
  steps: ['steps', 'domain', 'kit', 'world'],
  modes: ['modes', 'steps', 'domain', 'kit', 'world'],
  adapters: ['adapters', 'domain', 'kit', 'world', 'main'],
  main: ['modes', 'steps', 'domain', 'kit', 'world'],
  post: ['steps', 'kit', 'world'],
  index: ['adapters', 'main', 'post', 'kit', 'world'],
};

const NOT_FOR_US = /^(@actions\/|@aws-sdk\/|@smithy\/|node:(child_process|fs|net|http|https|os)$)/;

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');
const within = (folder: string) =>
  (readdirSync(folder, { recursive: true }) as string[]).filter(file => file.endsWith('.ts')).map(file => join(folder, file));
const files = within(src).map(file => relative(src, file));
const room = (file: string) => file.split(/[/.]/)[0] ?? '';
const importsOf = (path: string) => [...readFileSync(path, 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, from = '']) => from);
const imports = (file: string) => importsOf(join(src, file));

test.each(files)('%s imports only what its room may', file => {
  const allowed = MAY[room(file)];
  expect(allowed).toBeDefined();
  const own = imports(file)
    .filter(from => from.startsWith('.'))
    .map(from => room(relative(src, join(src, dirname(file), from))));
  expect(own.filter(target => !allowed?.includes(target))).toEqual([]);
});

test.each(['src', 'lab', 'demo', 'scripts'])(
  'nothing in %s is understood only from what is understood from it: imports make no circle, of types neither',
  folder => {
    const circles = (file: string, way: readonly string[]): readonly string[] => {
      const next = importsOf(file)
        .filter(from => from.startsWith('.'))
        .map(from => join(dirname(file), from));
      return next.flatMap(to => {
        if (way.includes(to)) return [[...way.slice(way.indexOf(to)), to].join(' -> ')];
        if (seen.has(to)) return [];
        seen.add(to);
        return circles(to, [...way, to]);
      });
    };
    const seen = new Set<string>();
    expect(within(join(root, folder)).flatMap(file => circles(file, [file]))).toEqual([]);
  },
);

test.each(files.filter(file => ['modes', 'domain', 'kit', 'steps'].includes(room(file))))('%s knows neither runner nor cloud', file => {
  expect(imports(file).filter(from => NOT_FOR_US.test(from))).toEqual([]);
});

test('a file is at most 200 lines, and the median is a page', () => {
  const lengths = files.map(file => ({ file, lines: readFileSync(join(src, file), 'utf8').split('\n').length - 1 }));
  expect(lengths.filter(({ lines }) => lines > 200)).toEqual([]);
  const sorted = lengths.map(({ lines }) => lines).sort((a, b) => a - b);
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThanOrEqual(80);
});

test('a mode is understood from its own file, the shared steps, and few domain files', () => {
  const modes = files.filter(file => room(file) === 'modes');
  const domain = modes.map(file => ({
    file,
    domain: imports(file).filter(from => from.includes('/domain/') && !from.endsWith('/image.ts')),
  }));
  expect(domain.filter(({ domain: of }) => of.length > 2)).toEqual([]);
});
