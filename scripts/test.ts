// npm test: installs what the machine lacks, then runs all checks. A part that cannot run here is reported and skipped; with
// AMI_ACTION_REQUIRE_ALL=1, as in CI, it fails the run.
import { spawnSync } from 'node:child_process';
import { setUp } from './setup.ts';

const requireAll = process.env['AMI_ACTION_REQUIRE_ALL'] === '1';
const vm = process.env['AMI_ACTION_VM'] === '1';
const { environment, missing } = await setUp({ only: ['node', 'sandbox', 'packer', 'go-tools', ...(vm ? (['vm'] as const) : [])] });
for (const line of missing) console.error(`\n!!! Skipped on this machine: ${line}\n`);
if (missing.length > 0 && requireAll) process.exit(1);
if (!process.env['AMI_ACTION_TERRAFORM_PLUGINS']) {
  console.log(
    'Terraform examples: skipped. To run them, set AMI_ACTION_TERRAFORM_PLUGINS to a folder with the AWS provider, and have terraform on PATH.',
  );
}

const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const onlyTests = process.argv.includes('--only-tests');
const jestArguments = process.argv.slice(2).filter(argument => argument !== '--only-tests');
const all: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['format and lint', 'node_modules/.bin/biome', ['ci', '.']],
  ['types', 'node_modules/.bin/tsc', ['-p', 'tsconfig.all.json']],
  ['generated files', process.execPath, ['scripts/contract.ts', '--check']],
  ['dead code', 'node_modules/.bin/knip', ['--no-progress']],
  ['tests', process.execPath, [...jest, ...jestArguments]],
];

for (const [name, command, args] of onlyTests ? all.slice(-1) : all) {
  console.log(`\n=== ${name}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...environment, NO_COLOR: '1' } });
  if (status === 0) continue;
  console.error(`\n${name}: failed`);
  process.exit(status ?? 1);
}
