import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { verdictOf } from '../../src/domain/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { type ValidateLab, validateLab } from './validate-lab.ts';

let l: ValidateLab;
let good: string;
/** Boots, and has no SSM agent. */
let mute: string;

beforeAll(async () => {
  l = await validateLab();
  [good, mute] = await Promise.all([l.bake('good'), l.bake('mute', 'systemctl disable amazon-ssm-agent')]);
});
afterEach(() => {
  l.lab.faults.clear();
  l.mishaps.impaired.clear();
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const verdict = (image: string) => verdictOf({ id: image, tags: l.tagsOf(image) }, { prefix: 'ami-action:', commitKey: '' }).result;

describe('the agent', () => {
  test('scenario 25: a machine that does not boot fails fast, with the end of its console', async () => {
    l.mishaps.impaired.add(mute);
    const ran = await l.validate(mute);
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toContain('its status check failed: it runs, but does not boot or has no network');
    expect(ran.summary).toMatch(/Console of i-\w+, its end[\s\S]*login:/);
    expect(verdict(mute)).toBe('failed');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 26: an agent that never comes fails at its own deadline; profile, endpoints and agent are named', async () => {
    const quiet = await l.bake('quiet', 'systemctl disable amazon-ssm-agent');
    const ran = await l.validate(quiet, { 'agent-timeout': '90s', 'instance-profile': 'ssm-machines' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    const [error = ''] = ran.errors;
    expect(error).toMatch(/SSM agent of i-\w+: gave up after 90 s. Last seen: the agent has not registered; status checks ok/);
    expect(error).toContain('the instance profile ssm-machines lacks AmazonSSMManagedInstanceCore');
    expect(error).toContain('has no route to the SSM endpoints (ssm, ssmmessages, ec2messages)');
    expect(error).toContain('the image has no SSM agent, or it is not enabled');
    expect(verdict(quiet)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('without a profile it says that, too', async () => {
    const ran = await l.validate(mute, { 'agent-timeout': '30s' });
    expect(ran.errors.join()).toContain('no instance-profile is set and Default Host Management is not on');
  });

  test('scenario 28: an agent that takes no command yet is asked again', async () => {
    const mark = l.lab.calls.mark();
    l.lab.faults.add({
      operation: 'SendCommand',
      nth: 1,
      times: 12,
      deed: { error: 'InvalidInstanceId', message: 'Instances not in a valid state' },
    });
    const ran = await l.validate(good);
    expect(ran.outputs['verdict']).toBe('passed');
    expect(l.lab.calls.count('SendCommand', mark)).toBe(13);
  });

  test('scenario 28: a role that may not send commands fails at once, and the machine is ended', async () => {
    const mark = l.lab.calls.mark();
    l.lab.faults.add({ operation: 'SendCommand', deed: { error: 'AccessDeniedException', message: 'no' } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toContain('Not allowed to send a command to i-');
    expect(l.lab.calls.count('SendCommand', mark)).toBe(1);
    expect(l.alive()).toEqual([]);
  });

  test('scenario 27: an agent that dies during the checks is no success', async () => {
    const fresh = await l.bake('dies');
    const checks = '- {command: "(sleep 0.3; systemctl stop amazon-ssm-agent) > /dev/null 2>&1 & sleep 1"}';
    const ran = await l.validate(fresh, { checks, 'checks-timeout': '30s' });
    expect(ran.outputs['verdict']).toBe('inconclusive');
    expect(ran.outputs['outcome']).toMatch(/timeout|rejected/);
    expect(ran.errors.join()).toMatch(/could not be validated, so it has not passed: (Checks on i-\w+: gave up|Run Command says)/);
    expect(verdict(fresh)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 27: an agent that is lost for a moment is waited for', async () => {
    const checks = '- {command: "systemctl stop amazon-ssm-agent; sleep 1; systemctl start amazon-ssm-agent"}';
    const ran = await l.validate(good, { checks });
    expect(ran.outputs['verdict']).toBe('passed');
  });
});
