// Jest for npm run mutation: the tests of decisions. What runs processes or a lab is left out, as a mutant would cost minutes.
import base from '../jest.config.mjs';

const SLOW = [
  'property',
  'references',
  'incomplete-answers',
  'removal',
  'roll-',
  'pair',
  'promote',
  'rollback',
  'regions',
  'test-instance',
  'checks-script',
];

export default {
  ...base,
  rootDir: '..',
  testMatch: ['<rootDir>/__tests__/{model,retention,rollout,validation,image-build,sharing}/*.test.ts'],
  testPathIgnorePatterns: SLOW.map(name => `/${name}[^/]*\\.test\\.ts$`),
  maxWorkers: 1,
};
