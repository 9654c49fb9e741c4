import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { expect } from '@jest/globals';

/** With AMI_ACTION_WEATHER=N, as in CI, one half of the bundle's test files runs in bad weather of seed N, and with N + 1 the other half. */
const seed = process.env['AMI_ACTION_WEATHER'] ?? '';
const file = expect.getState().testPath ?? '';
if (seed !== '' && file.includes('/__tests__/dist/')) {
  const half = (createHash('sha256').update(basename(file)).digest()[0] ?? 0) % 2;
  if ((half + Number(seed)) % 2 === 0) process.env['AMI_ACTION_LAB_WEATHER'] = seed;
}
