// npm test: sets the machine up, then everything that can be red. A part that this machine cannot run is skipped loudly;
// with AMI_ACTION_REQUIRE_ALL=1, as CI sets it, that is a failure.
import { spawnSync } from 'node:child_process';
import { setUp } from './setup.ts';

const requireAll = process.env['AMI_ACTION_REQUIRE_ALL'] === '1';
const { environment, missing } = await setUp({ only: ['node', 'sandbox', 'packer', 'go-tools'] });
for (const line of missing) console.error(`\n!!! Skipped on this machine: ${line}\n`);
if (missing.length > 0 && requireAll) process.exit(1);
if (!process.env['AMI_ACTION_TERRAFORM_PLUGINS']) {
  console.log(
    'Terraform examples: not tried. AMI_ACTION_TERRAFORM_PLUGINS=<folder with the AWS provider> tries them with the terraform on PATH.',
  );
}

const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const onlyTests = process.argv.includes('--only-tests');
const wanted = process.argv.slice(2).filter(argument => argument !== '--only-tests');
const all: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['format and lint', 'node_modules/.bin/biome', ['ci', '.']],
  ['types', 'node_modules/.bin/tsc', ['-p', 'tsconfig.all.json']],
  ['generated files', process.execPath, ['scripts/contract.ts', '--check']],
  ['tests', process.execPath, [...jest, ...wanted]],
];

for (const [name, command, args] of onlyTests ? all.slice(-1) : all) {
  console.log(`\n=== ${name}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...environment, NO_COLOR: '1' } });
  if (status === 0) continue;
  console.error(`\n${name}: failed`);
  process.exit(status ?? 1);
}
