import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { KINDS } from '../../lab/fuzz/proxy.ts';
import { STORIES } from './fuzz-stories.ts';

/**
 * Spoilt answers, by a seed: whatever a server or a proxy says, a run never ends as a bug of the action, never hangs, never deletes what is used and never
 * moves the pointer half. AMI_ACTION_FUZZ_SEEDS sets the seeds for each mode and kind; `npm run fuzz` runs 5,000.
 */
const SEEDS = Number(process.env['AMI_ACTION_FUZZ_SEEDS'] ?? 1);
const RUNS = Object.keys(STORIES).length * KINDS.length * SEEDS;

test('every mode survives answers that are spoilt', () => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'fuzz.ts');
  const { stdout, stderr } = spawnSync(process.execPath, [script, '--runs', String(RUNS)], { encoding: 'utf8' });
  expect(`${stderr}${stdout}`).toMatch(new RegExp(`^${RUNS} runs, .* 0 forbidden$`, 'm'));
}, 1_200_000);
