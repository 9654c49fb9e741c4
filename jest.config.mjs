// The long lanes: loops that kill at every call, stories with real Packer of a minute and more, fuzzing. `npm run test:all` and CI run them too.
const LONG = [
  'acceptance.test.ts$',
  'demo.test.ts$',
  'build-ami-guide.test.ts$',
  'build-cancel.test.ts$',
  'build-incremental.test.ts$',
  'build-corpus.test.ts$',
  'build-kill.test.ts$',
  'build-templates.test.ts$',
  'build-twice.test.ts$',
  'build-unmarked.test.ts$',
  'build-untagged.test.ts$',
  'emulators.test.ts$',
  'follow-kill.test.ts$',
  'fuzz.test.ts$',
  'pipeline-architectures.test.ts$',
  'pipeline-organisation.test.ts$',
  'pipeline-services.test.ts$',
  'pipeline-examples.test.ts$',
  'pipeline-follow.test.ts$',
  'prune-kill.test.ts$',
  'roll-configurations-kill.test.ts$',
  'roll-configurations.test.ts$',
  'roll-kill.test.ts$',
  'roll-stack-(failures|kill).test.ts$',
  'roll-nodes.test.ts$',
  'roll-shift.test.ts$',
  'shift-kill.test.ts$',
  'save-ami.test.ts$',
  'validate-baked.test.ts$',
  'validate-killed.test.ts$',
];
// Real Terraform needs a provider that most machines cannot download: only where the variable names its folder.
const TERRAFORM = process.env.AMI_ACTION_TERRAFORM_PLUGINS ? [] : ['terraform.test.ts$'];
// Real machines boot for minutes: only where the variable asks for them, as `npm run vm` and CI do.
const VM = process.env.AMI_ACTION_VM === '1' ? [] : ['vm.test.ts$'];

export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  setupFilesAfterEnv: ['<rootDir>/__tests__/weather.ts'],
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  testPathIgnorePatterns: [...TERRAFORM, ...VM, ...(process.env.AMI_ACTION_ALL_TESTS === '1' ? [] : LONG)],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/lib/'],
  // Tests of whole processes wait for them on a machine that may be busy. No test asserts a duration.
  testTimeout: 120_000,
  // Tests wait more than they work: one worker per core, not one less as is jest's default.
  maxWorkers: '100%',
  // Of `test.concurrent`: each runs Packer.
  maxConcurrency: 3,
};
