// npm run permissions: runs the whole-process tests and puts every AWS call that a mode makes on the list (permissions.json), from
// which the IAM policies in examples/ are made. It only adds; take a line out by hand to see whether anything still needs it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPermissions } from '../lab/permissions.ts';

const folder = mkdtempSync(join(tmpdir(), 'ami-action-permissions-'));
const record = join(folder, 'calls');
const tests = process.argv.slice(2).length > 0 ? process.argv.slice(2) : ['__tests__/dist'];
spawnSync(process.execPath, ['scripts/test.ts', '--only-tests', ...tests], {
  stdio: 'inherit',
  env: { ...process.env, AMI_ACTION_RECORD_CALLS: record },
});

const lists = new Map(Object.entries(readPermissions()).map(([mode, actions]) => [mode, new Set(actions)]));
for (const line of existsSync(record) ? readFileSync(record, 'utf8').split('\n') : []) {
  const [mode = '', action] = line.split(' ');
  if (action !== undefined) lists.set(mode, (lists.get(mode) ?? new Set()).add(action));
}
const sorted = Object.fromEntries([...lists].sort().map(([mode, actions]) => [mode, [...actions].sort()]));
writeFileSync(join(import.meta.dirname, '..', 'permissions.json'), `${JSON.stringify(sorted, null, 2)}\n`);
rmSync(folder, { recursive: true });
console.log('permissions.json is written. Now: npm run contract');
