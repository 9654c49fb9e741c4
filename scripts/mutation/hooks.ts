import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Mutant, withMutants } from './mutants.ts';

/** Loads decisions with their mutants, and `@jest/globals` of this folder. Imported before any test. */

const root = resolve(import.meta.dirname, '..', '..');
export const mutants: Mutant[] = [];

export const DECISIONS = /^src\/(model|[^/]+\/rules)\/[^/]+\.ts$/;
const GLOBALS = pathToFileURL(resolve(import.meta.dirname, 'globals.ts')).href;

registerHooks({
  resolve: (specifier, context, next) => (specifier === '@jest/globals' ? { url: GLOBALS, shortCircuit: true } : next(specifier, context)),
  load(url, context, next) {
    const file = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : '';
    if (!DECISIONS.test(file)) return next(url, context);
    const { code, mutants: found } = withMutants(file, readFileSync(resolve(root, file), 'utf8'), mutants.length);
    mutants.push(...found);
    return { format: 'module', shortCircuit: true, source: stripTypeScriptTypes(code) };
  },
});
