import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import {
  type Control,
  consoleCauses,
  controlImage,
  explainSilence,
  faultOf,
  isDead,
  type Symptoms,
} from '../../src/validation/rules/diagnosis.ts';

const RUNS = { state: 'running', stateReason: '' };
const ended = (stateReason: string) => ({ state: 'terminated', stateReason });
const OK = { system: 'ok', instance: 'ok' };
const PANIC = '[    1.2] Kernel panic - not syncing: VFS';

const seen = (over: Partial<Symptoms> = {}): Symptoms => ({ instance: RUNS, health: OK, console: '', silent: 'at boot', ...over });

describe('image or account', () => {
  test.each<[string, Partial<Symptoms>, string]>([
    ['it fails its own status check', { health: { system: 'ok', instance: 'impaired' } }, 'image'],
    ['the host fails', { health: { system: 'impaired', instance: 'impaired' } }, 'elsewhere'],
    ['it shut itself down', { instance: ended('Client.InstanceInitiatedShutdown: x') }, 'image'],
    ['a snapshot of it is gone', { instance: ended('Client.InvalidSnapshot.NotFound: x') }, 'image'],
    ['its key cannot be used', { instance: ended('Client.InternalError: x') }, 'elsewhere'],
    ['it was terminated from outside', { instance: ended('Client.UserInitiatedShutdown: x') }, 'elsewhere'],
    ['the kernel panicked', { console: PANIC }, 'image'],
    ['it sits in emergency mode', { console: 'You are in emergency mode. After logging in' }, 'image'],
    ['its agent did not come', {}, 'open'],
    ['its agent was lost', { silent: 'during the checks' }, 'open'],
    ['its agent did not come back', { silent: 'after the reboot' }, 'open'],
    ['it was lost, and nothing is known of its health', { health: undefined }, 'open'],
    ['we are not allowed to ask it', { silent: undefined }, 'elsewhere'],
    ['we are not allowed to ask it, whatever it wrote', { silent: undefined, console: PANIC }, 'elsewhere'],
    ['EC2 does not show it', { instance: undefined }, 'elsewhere'],
  ])('%s: %j is %s', (_, over, fault) => {
    expect(faultOf(seen(over))).toBe(fault);
  });
});

describe('what a control instance proves', () => {
  const launched = { instanceProfile: 'ssm-machines', subnetId: 'subnet-1' };
  const came: Control = { imageId: 'ami-good', instanceType: 't3.micro', seconds: 31, reason: '' };
  const silent: Control = { imageId: 'ami-good', instanceType: 't3.micro', seconds: undefined, reason: 'gave up after 600 s' };

  test('its agent came online: the image is the cause', () => {
    const { result, reason } = explainSilence(seen(), launched, came);
    expect(result).toBe('failed');
    expect(reason).toBe(
      'The image is the cause: on a control instance (t3.micro) of ami-good, in the same subnet and with the same profile, the SSM agent was online 31s after launch. Likely causes: (1) the image has no SSM agent, or the agent is not enabled.',
    );
  });

  test('its agent did not come online either: no verdict, and causes in the account come first', () => {
    const { result, reason } = explainSilence(seen(), launched, silent);
    expect(result).toBe('inconclusive');
    expect(reason).toMatch(
      /^The image may not be the cause: a control instance \(t3\.micro\) of ami-good, in the same subnet and with the same profile, failed as well \(gave up after 600 s\)\./,
    );
    expect(reason).toMatch(/\(1\) instance profile ssm-machines lacks AmazonSSMManagedInstanceCore; \(2\) subnet-1 has no route/);
    expect(reason).not.toContain('the image has no SSM agent');
  });

  test('without one: no verdict, and both causes are named', () => {
    const { result, reason } = explainSilence(seen(), { instanceProfile: undefined, subnetId: undefined }, undefined);
    expect(result).toBe('inconclusive');
    expect(reason).toMatch(
      /^The cause may be the image or the account.*"instance-profile" is not set and Default Host Management is off.*the default subnet has no route.*the image has no SSM agent/,
    );
  });

  test.each([
    ['during the checks', 'stopped during the checks'],
    ['after the reboot', 'does not boot a second time'],
  ] as const)('an agent that was online once had profile and route: lost %s', (when, cause) => {
    expect(explainSilence(seen({ silent: when }), launched, came).reason).toContain(cause);
    const open = explainSilence(seen({ silent: when }), launched, undefined);
    expect(open).toMatchObject({ result: 'inconclusive', reason: expect.stringContaining('Systems Manager, or the route to it, failed') });
    expect(open.reason).not.toContain('AmazonSSMManagedInstanceCore');
  });
});

describe('the image of the control instance', () => {
  const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
  const image = (id: string, day: number, result: 'passed' | 'failed' | undefined, over: Partial<Image> = {}): Image => {
    const verdict = { result: result ?? 'passed', checks: 'a'.repeat(32), at: new Date('2026-05-01') };
    const tags = result === undefined ? {} : { 'ami-action:verdict': verdictValue(id, verdict) };
    return { id, state: 'available', architecture: 'x86_64', createdAt: new Date(`2026-05-0${day}`), tags, ...over } as Image;
  };
  const tried = image('ami-00000001', 9, undefined);

  test('is the newest one of its architecture that passed, and not itself', () => {
    const family = [
      image('ami-00000002', 1, 'passed'),
      image('ami-00000003', 3, 'passed'),
      image('ami-00000004', 4, 'failed'),
      image('ami-00000005', 5, undefined),
      image('ami-00000006', 6, 'passed', { architecture: 'arm64' }),
      image('ami-00000007', 7, 'passed', { state: 'disabled' }),
      image('ami-00000001', 8, 'passed'),
    ];
    expect(controlImage(tried, family, scheme)?.id).toBe('ami-00000003');
    expect(controlImage(tried, [], scheme)).toBeUndefined();
  });
});

describe('a console', () => {
  test.each([
    [PANIC, 'the kernel panicked', true],
    ['You are in emergency mode. After logging in', '/etc/fstab', true],
    ['VFS: Unable to mount root fs on unknown-block(0,0)', 'its root file system', true],
    ['cloud-init[812]: Traceback (most recent call last)', 'cloud-init failed', false],
    ['Entering emergency mode. Exit the shell to continue.', '/etc/fstab', true],
    ['[ TIME ] Timed out waiting for device /dev/xvdf.', 'it waits for a device that does not exist', false],
    ['Out of memory: Killed process 812 (java)', 'it runs out of memory', false],
    ['Unit amazon-ssm-agent.service could not be found.', 'the SSM agent is missing or fails', false],
    ['dial tcp: lookup ssm.eu-central-1.amazonaws.com: i/o timeout', 'it cannot reach the SSM endpoints', false],
    ['write error: No space left on device', 'its disk is full', false],
    ['[ ***  ] A start job is running for a-wait.service (1min 5s / no limit)', 'its boot hangs at a-wait.service', false],
    ['[*     ] (1 of 2) A start job is running for Wait for it (5s / 1min 30s)', 'its boot hangs at Wait for it', false],
  ])('%j tells the cause, and whether that is the end', (console, cause, dead) => {
    expect(consoleCauses(console)[0]).toContain(cause);
    expect(isDead(console)).toBe(dead);
  });

  test('what took long and has ended since is no cause; what is waited for is a short name', () => {
    const waits = '[ ***  ] A start job is running for a-wait.service (5s / no limit)';
    expect(consoleCauses(`${waits}\n[  OK  ] Finished a-wait.service.`)).toEqual([]);
    expect(consoleCauses(`${waits}\nA start job is running for b-wait.service (9s / no limit)`)[0]).toContain(
      'its boot hangs at b-wait.service',
    );
    expect(consoleCauses(`A start job is running for ${'x'.repeat(200)} (5s / no limit)`)).toEqual([]);
    expect(consoleCauses('A start job is running for <script> (5s / no limit)')).toEqual([]);
  });
});
