import { basename } from 'node:path';
import { expect } from '@jest/globals';

/** With AMI_ACTION_WEATHER, a seed, these files run in bad weather. Others assume good weather in their time limits, or were not judged yet. */
const IN_WEATHER = ['adopt.test.ts', 'build-from-instance.test.ts', 'build-packer.test.ts'];

const seed = process.env['AMI_ACTION_WEATHER'] ?? '';
if (seed !== '' && IN_WEATHER.includes(basename(expect.getState().testPath ?? ''))) process.env['AMI_ACTION_LAB_WEATHER'] = seed;
