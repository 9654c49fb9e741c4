import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '..', '..');
const lab = join(root, 'lab');
const read = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'));
const { name, private: unpublished, dependencies = {}, devDependencies = {} } = read('lab/package.json');
const files = (readdirSync(lab, { recursive: true }) as string[]).filter(file => file.endsWith('.ts') && !file.includes('node_modules/'));

const imported = files.flatMap(file =>
  [...readFileSync(join(lab, file), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, from = '']) => ({ file, from })),
);
const packageOf = (from: string) => from.match(/^(@[^/]+\/[^/]+|[^/]+)/)?.[0] ?? from;

test('the lab is a private workspace of the root package', () => {
  expect(read('package.json').workspaces).toEqual(['lab']);
  expect({ name, unpublished }).toEqual({ name: 'ami-action-lab', unpublished: true });
});

test('the lab imports no file outside its folder', () => {
  expect(files.length).toBeGreaterThan(100);
  const outside = imported.filter(
    ({ file, from }) => from.startsWith('.') && relative(lab, join(lab, dirname(file), from)).startsWith('..'),
  );
  expect(outside).toEqual([]);
});

test('the lab imports exactly the packages that its package.json names', () => {
  const packages = imported.map(({ from }) => from).filter(from => !from.startsWith('.') && !from.startsWith('node:'));
  expect([...new Set(packages.map(packageOf))].sort()).toEqual(Object.keys(dependencies).sort());
});

test('a package that root and lab both name has one version', () => {
  const { dependencies: own, devDependencies: ownDev } = read('package.json');
  const versions: Record<string, string> = { ...own, ...ownDev };
  const different = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([key, version]) => (versions[key] ?? version) !== version,
  );
  expect(different).toEqual([]);
});

test('each operation has its AWS page next to it', () => {
  const without = files.flatMap(file => {
    const lines = readFileSync(join(lab, file), 'utf8').split('\n');
    return lines.flatMap((line, at) => {
      const [, operation] = /^(?:export )?const (\w+): Operation</.exec(line) ?? [];
      const comment = lines.slice(0, at).findLastIndex(above => !/^ ?(\/\*\*|\/\/|\*)/.test(above)) + 1;
      return operation === undefined || lines.slice(comment, at).join().includes('https://docs.aws.amazon.com/')
        ? []
        : [`${file} ${operation}`];
    });
  });
  expect(without).toEqual([]);
});
