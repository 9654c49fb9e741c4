import { basename, dirname } from 'node:path';
import { expect } from '@jest/globals';

/**
 * With AMI_ACTION_WEATHER, a seed, these files run in bad weather, as in CI: every mode is in one of them. With AMI_ACTION_WEATHER_FILES=all, all tests
 * of the bundle do.
 */
const IN_WEATHER = [
  'adopt.test.ts',
  'build-from-instance.test.ts',
  'build-packer.test.ts',
  'build-unchanged.test.ts',
  'build-untagged.test.ts',
  'delete.test.ts',
  'doctor.test.ts',
  'list.test.ts',
  'prune-refused.test.ts',
  'resolve.test.ts',
  'rollback.test.ts',
  'share-prepare.test.ts',
  'validate-checks.test.ts',
];

/** Never. */
const GOOD_WEATHER: Readonly<Record<string, string>> = {
  'acceptance.test.ts': 'Has a test in bad weather of its own.',
  'build-corpus.test.ts': 'Asks whether templates of others build as they are. In bad weather Packer itself gives up.',
  'emulators.test.ts': 'Compares the lab with servers that have no weather.',
  'fuzz.test.ts': 'Spoils answers itself.',
  'verdict-key.test.ts': 'Waits two minutes for a tag: at the speed of the lab that is one pause of the SDK, which is real time.',
  'vm.test.ts': 'Its machines boot in real time.',
};

const seed = process.env['AMI_ACTION_WEATHER'] ?? '';
const path = expect.getState().testPath ?? '';
const file = basename(path);
const isChosen =
  process.env['AMI_ACTION_WEATHER_FILES'] === 'all'
    ? basename(dirname(path)) === 'dist' && !(file in GOOD_WEATHER)
    : IN_WEATHER.includes(file);
if (seed !== '' && isChosen) process.env['AMI_ACTION_LAB_WEATHER'] = seed;
