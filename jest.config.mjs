export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  // Real Terraform, with a provider that most machines cannot fetch: only where one says where it lies.
  testPathIgnorePatterns: process.env.AMI_ACTION_TERRAFORM_PLUGINS ? [] : ['terraform.test.ts$'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/lib/'],
  // The whole-process tests wait for real processes on a machine that may be busy; none asserts a time.
  testTimeout: 120_000,
  // They wait more than they work: one for each core, not one less as is jest's default.
  maxWorkers: '100%',
};
