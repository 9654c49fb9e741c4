import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

/**
 * Which room may import which. The order is kit < model < ports < selection < image-build < retention < validation < rollout < main; sharing
 * stands alone. A room `<slice>/rules` is pure: it imports rules, model and kit, and awaits nothing.
 */
const PURE = ['model', 'kit'];
const SLICE = ['ports', ...PURE];
const MAY: Record<string, readonly string[]> = {
  kit: ['kit'],
  model: PURE,
  ports: SLICE,
  selection: ['selection', ...SLICE],
  'image-build': ['image-build', 'image-build/rules', 'selection', ...SLICE],
  'image-build/rules': ['image-build/rules', ...PURE],
  sharing: ['sharing', 'sharing/rules', 'selection', ...SLICE],
  'sharing/rules': ['sharing/rules', ...PURE],
  retention: ['retention', 'retention/rules', 'image-build', 'image-build/rules', 'selection', ...SLICE],
  'retention/rules': ['retention/rules', 'image-build/rules', ...PURE],
  validation: ['validation', 'validation/rules', 'retention', 'selection', ...SLICE],
  'validation/rules': ['validation/rules', ...PURE],
  rollout: ['rollout', 'rollout/rules', 'validation', 'validation/rules', 'selection', ...SLICE],
  'rollout/rules': ['rollout/rules', ...PURE],
  // The rules that read Packer's output are shared: inspect, too, answers in that form.
  adapters: ['adapters', 'image-build/rules', 'main', 'modes', ...SLICE],
  doctor: ['doctor', 'doctor/rules', 'rollout', 'rollout/rules', ...SLICE],
  'doctor/rules': ['doctor/rules', ...PURE],
  mode: ['doctor', 'selection', 'image-build', 'sharing', 'retention', 'validation', 'rollout', ...SLICE],
  modes: ['mode', 'kit'],
  main: ['mode', 'modes', 'doctor', 'rollout', ...SLICE],
  post: ['image-build', 'kit', 'ports'],
  index: ['adapters', 'main', 'post', 'terminal', 'kit', 'ports'],
  terminal: ['adapters', 'main', 'post', 'kit', 'ports'],
};

const NOT_FOR_US = /^(@actions\/|@aws-sdk\/|@smithy\/|node:(child_process|fs|net|http|https|os)$)/;

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');
const within = (folder: string) =>
  (readdirSync(folder, { recursive: true }) as string[]).filter(file => file.endsWith('.ts')).map(file => join(folder, file));
const files = within(src).map(file => relative(src, file));
const room = (file: string) => /^[^/]+\/rules(?=\/)/.exec(file)?.[0] ?? file.split(/[/.]/)[0] ?? '';
const importsOf = (path: string) => [...readFileSync(path, 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, from = '']) => from);
const imports = (file: string) => importsOf(join(src, file));

test.each(files)('%s imports only what its room may', file => {
  const allowed = MAY[room(file)];
  expect(allowed).toBeDefined();
  const own = imports(file)
    .filter(from => from.startsWith('.') && !from.includes('/node_modules/'))
    .map(from => room(relative(src, join(src, dirname(file), from))));
  expect(own.filter(target => !allowed?.includes(target))).toEqual([]);
});

test.each(['src', 'lab', 'demo', 'scripts', 'acceptance'])(
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

const OUTSIDE = ['adapters', 'index', 'terminal'];
test.each(files.filter(file => !OUTSIDE.includes(room(file))))('%s knows neither runner nor cloud', file => {
  expect(imports(file).filter(from => NOT_FOR_US.test(from))).toEqual([]);
});

test.each(
  files
    .filter(file => room(file).endsWith('/rules') || PURE.includes(room(file).split('/')[0] ?? ''))
    .filter(file => !file.startsWith('kit/')),
)('%s is pure: it awaits nothing', file => {
  expect(readFileSync(join(src, file), 'utf8')).not.toMatch(/\bawait\b|\bPromise\b/);
});

const lengthsOf = (folder: string) =>
  within(join(root, folder)).map(file => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }));

test.each(['src', 'lab'])('a file in %s is at most 200 lines', folder => {
  expect(lengthsOf(folder).filter(({ lines }) => lines > 200)).toEqual([]);
});

// The median was 80 before rooms with one reader were merged into it.
test('the median of src is a page', () => {
  const sorted = lengthsOf('src')
    .map(({ lines }) => lines)
    .sort((a, b) => a - b);
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThanOrEqual(100);
});
