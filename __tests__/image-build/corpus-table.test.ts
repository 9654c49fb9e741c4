import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { expected, SPECIMENS, tableOf } from '../dist/corpus.ts';

const root = join(import.meta.dirname, '..', '..');

test('docs/your-own-template.md shows the table that the corpus test expects', () => {
  const table = tableOf(SPECIMENS.map(specimen => [specimen, expected(specimen)]));
  expect(readFileSync(join(root, 'docs/your-own-template.md'), 'utf8')).toContain(`\n${table}\n`);
});

test('every template of the corpus is tried', () => {
  expect(SPECIMENS.map(({ name }) => name).sort()).toEqual(readdirSync(join(root, '__tests__/templates')).sort());
});
