import { basename, dirname } from 'node:path';
import { expect } from '@jest/globals';

/** With AMI_ACTION_WEATHER, a seed, all tests of the bundle run in bad weather, as in CI, except these. */
const GOOD_WEATHER: Readonly<Record<string, string>> = {
  'build-corpus.test.ts': 'Asks whether templates of others build as they are. In bad weather Packer itself gives up.',
  'vm.test.ts': 'Its machines boot in real time.',
};

const seed = process.env['AMI_ACTION_WEATHER'] ?? '';
const path = expect.getState().testPath ?? '';
if (seed !== '' && basename(dirname(path)) === 'dist' && !(basename(path) in GOOD_WEATHER)) process.env['AMI_ACTION_LAB_WEATHER'] = seed;
