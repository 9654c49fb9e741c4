// lib/ (tsc's output) -> dist/. ncc's API instead of its command, for `mainFields`: the SDK's ES modules can be shaken, its
// CommonJS cannot. ncc's own minify only mangles, and only index.js; so swc goes over every chunk.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { minify } from '@swc/core';
import ncc from '@vercel/ncc';

const root = resolve(import.meta.dirname, '..');
const out = resolve(process.argv[2] ?? join(root, 'dist'));

const { code, assets } = await ncc(join(root, 'lib', 'index.js'), {
  cache: false,
  quiet: true,
  esm: true,
  target: 'es2022',
  mainFields: ['module', 'main'],
  license: 'licenses.txt',
});

const shrink = async (source: string) => {
  // Class names are read at run time: the SDK tells errors apart by them.
  const keep = { keep_classnames: true };
  const { code: small } = await minify(source, { module: true, ecma: 2022, compress: keep, mangle: keep, format: { comments: false } });
  return `${small}\n`;
};

rmSync(out, { recursive: true, force: true });
const files = new Map<string, string | Buffer>([
  ['index.js', code],
  ...Object.entries(assets).map(([name, { source }]) => [name, source] as const),
]);
for (const [name, source] of files) {
  const file = join(out, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, name.endsWith('.js') ? await shrink(source.toString()) : source);
}
