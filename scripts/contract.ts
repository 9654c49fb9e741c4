// action.yml, the tables of docs/reference, the JSON Schema of .github/ami.yml and the policies in examples/ are generated from the modes
// and their calls.
//   npm run contract            writes what is stale
//   npm run contract -- --check fails when something is
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modes } from '../src/modes.ts';
import { readyMade } from '../src/validation/rules/checks-ready.ts';
import { actionYaml, type BLOCKS, checkTable, policy, roleLines, schema, tables, writesSource } from './contract-parts.ts';
import { placesOfRepository, withRepository } from './repository.ts';
import { subActions } from './sub-actions.ts';

const root = new URL('..', import.meta.url);
const check = process.argv.includes('--check');
let stale = 0;

function write(path: string, after: string): void {
  const file = fileURLToPath(new URL(path, root));
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (before === after) return;
  stale += 1;
  if (check) console.error(`${path} is stale: run "npm run contract"`);
  else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, after);
  }
}

/** Replaces the text between two marks, which must exist. */
function between(content: string, open: string, close: string, inside: string): string {
  const from = content.indexOf(open);
  const to = content.indexOf(close);
  if (from < 0 || to < from) throw new Error(`no block ${open} ... ${close}`);
  return `${content.slice(0, from + open.length)}\n${inside}\n${content.slice(to)}`;
}

const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

write('action.yml', between(read('action.yml'), '# <generated>', '# </generated>', actionYaml(modes)));
for (const { path, content } of subActions(modes)) write(path, content);
write('ami.schema.json', `${JSON.stringify(schema(modes), null, 2)}\n`);

for (const [name, mode] of Object.entries(modes)) {
  const path = `docs/reference/${name}.md`;
  let page = between(read(path), '<!-- <generated> -->', '<!-- </generated> -->', tables(mode));
  if (name === 'validate') page = between(page, '<!-- <checks> -->', '<!-- </checks> -->', checkTable(readyMade));
  write(path, page);
}

const permissions = JSON.parse(read('permissions.json'));
write('src/doctor/rules/writes.ts', writesSource(permissions));
for (const mode of Object.keys(modes)) write(`examples/policies/${mode}.json`, `${JSON.stringify(policy(mode, permissions), null, 2)}\n`);
const roles: readonly (readonly [file: string, mark: string, modes: readonly string[], block: keyof typeof BLOCKS])[] = [
  ['delivery-role', 'images', ['build', 'validate', 'share', 'prune', 'delete', 'adopt', 'resolve', 'list'], 'reads'],
  ['delivery-role', 'read', ['resolve', 'list'], 'reads'],
  ['environment-role', 'environment', ['promote', 'rollback'], 'reads but parameters'],
  ['environment-role', 'groups', ['promote', 'rollback'], 'groups'],
  ['environment-role', 'share', ['share', 'list'], 'reads'],
];
for (const [file, mark, of, block] of roles) {
  const path = `examples/${file}.yml`;
  write(
    path,
    between(
      read(path),
      `# <${mark}>`,
      `${' '.repeat(18)}# </${mark}>`,
      roleLines(of, permissions, block, action => `${' '.repeat(18)}- ${action}`),
    ),
  );
  const module = `examples/terraform/${file}/main.tf`;
  write(
    module,
    between(
      read(module),
      `# <${mark}>`,
      `${' '.repeat(6)}# </${mark}>`,
      roleLines(of, permissions, block, action => `${' '.repeat(6)}"${action}",`),
    ),
  );
}

for (const path of placesOfRepository(root)) write(path, withRepository(read(path)));

if (check && stale > 0) process.exitCode = 1;
