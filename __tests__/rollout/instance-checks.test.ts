import { expect, test } from '@jest/globals';
import { runInstanceChecks } from '../../src/rollout/instance-checks.ts';
import type { Check } from '../../src/validation/rules/checks.ts';

const checks = [{ name: 'service web', kind: 'command', command: 'true' }] as unknown as readonly Check[];

const failing = async (send: () => Promise<string | undefined>) => {
  let now = 0;
  const deps = {
    clock: {
      now: () => now,
      sleep: async (ms: number) => {
        now += ms;
      },
    },
    report: { info() {}, warn() {}, debug() {} },
  } as unknown as Parameters<typeof runInstanceChecks>[2];
  const commands = { send, result: async () => ({ status: 'Pending', ended: false, output: '' }) };
  const aws = { commands } as unknown as Parameters<typeof runInstanceChecks>[3];
  return runInstanceChecks('i-1', { checks, deliveries: [[]], seconds: 60 }, deps, aws);
};

test('an instance that Systems Manager does not manage: the reason says what the group lacks, and how to promote without', async () => {
  expect(await failing(async () => undefined)).toBe(
    'Checks on i-1: gave up after 3m 30s. Last seen: the SSM agent accepts no command yet. Checks need Systems Manager on the instances of the group: give its launch template an instance profile with AmazonSSMManagedInstanceCore, or turn on Default Host Management. To promote without checks, set "checks: []" in the section of the environment',
  );
});
