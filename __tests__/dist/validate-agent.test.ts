import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { defaultHostManagement } from '../../lab/ssm/agents.ts';
import { verdictOf, verdictValue } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { reportOf, type ValidateLab, validateLab } from './validate-lab.ts';

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
  defaultHostManagement(l.home).enabled = true;
  setTags(l.home, good, { 'ami-action:verdict': '' });
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const verdict = (image: string) => verdictOf({ id: image, tags: l.tagsOf(image) }, { prefix: 'ami-action:', commitKey: '' }).result;

const hasPassed = (image: string) =>
  setTags(l.home, image, { 'ami-action:verdict': verdictValue(image, { result: 'passed', checks: 'a'.repeat(32), at: new Date() }) });
const launches = (mark: number) =>
  l.lab.calls.since(mark).filter(({ operation, outcome }) => operation === 'RunInstances' && outcome === 'ok');

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
    expect(error).toMatch(/SSM agent of i-\w+: gave up after 1m 30s. Last seen: the agent has not registered; status checks ok/);
    expect(error).toContain('the instance profile ssm-machines lacks AmazonSSMManagedInstanceCore');
    expect(error).toContain('has no route to the SSM endpoints (ssm, ssmmessages, ec2messages)');
    expect(error).toContain('the image has no SSM agent, or it is not enabled');
    expect(error).toContain('Whether it is the image or the account cannot be told: no other image of the family has passed yet');
    expect(verdict(quiet)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 26: where an image that passed gets its agent on a second machine in the same place, the image has failed', async () => {
    hasPassed(good);
    const mark = l.lab.calls.mark();
    const wanted = { 'agent-timeout': '90s', 'instance-profile': 'ssm-machines', 'test-instance-types': 't3.small' };
    const ran = await l.validate(mute, wanted);
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toMatch(
      new RegExp(
        `gave up after 1m 30s\\..* It is the image: on a second machine \\(t3\\.small\\), in the same subnet and with the same profile, the agent of ${good} was online [\\w ]+ after launch\\. Likely causes: \\(1\\) the image has no SSM agent, or it is not enabled\\.`,
      ),
    );
    const same = { InstanceType: 't3.small', IamInstanceProfile: { Name: 'ssm-machines' }, InstanceInitiatedShutdownBehavior: 'terminate' };
    expect(launches(mark).map(({ input }) => input)).toMatchObject([
      { ...same, ImageId: mute },
      { ...same, ImageId: good },
    ]);
    expect(verdict(mute)).toBe('failed');
    expect([l.alive(), ran.state['journal']]).toEqual([[], '[]']);
  });

  test('a matrix has one second machine for all that are silent in the same place', async () => {
    hasPassed(good);
    const mark = l.lab.calls.mark();
    const ran = await l.validate(mute, { 'agent-timeout': '60s', 'test-instance-types': 't3.micro, t3.small' });
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    const images = launches(mark).map(({ input }) => input['ImageId']);
    expect([images.filter(id => id === mute).length, images.filter(id => id === good).length]).toEqual([2, 1]);
    expect(reportOf(ran).instances.map(({ result, reason }) => [result, reason.includes(`the agent of ${good} was online`)])).toEqual([
      ['failed', true],
      ['failed', true],
    ]);
    expect([l.alive(), ran.state['journal']]).toEqual([[], '[]']);
  });

  test('scenario 26: where that one gets no agent either, it is no verdict on the image, and the account is to be looked at', async () => {
    const silent = await l.bake('silent', 'systemctl disable amazon-ssm-agent');
    hasPassed(good);
    defaultHostManagement(l.home).enabled = false;
    const ran = await l.validate(silent, { 'agent-timeout': '60s' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    expect(ran.errors.join()).toMatch(
      new RegExp(`It may not be the image: on a second machine ${good} did not get there either \\(SSM agent of i-\\w+: gave up after 1m`),
    );
    expect(ran.errors.join()).toContain('Likely causes: (1) no instance-profile is set and Default Host Management is not on');
    expect(verdict(silent)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('the first image of a family is compared with the one that it was built from', async () => {
    const first = await l.bake('first', 'systemctl disable amazon-ssm-agent', {
      'ami-action:family': 'web',
      'ami-action:base-ami': l.base('x86_64'),
    });
    const ran = await l.validate(first, { 'agent-timeout': '60s' });
    expect(ran.outputs['verdict']).toBe('failed');
    expect(ran.errors.join()).toContain(`the agent of ${l.base('x86_64')} was online`);
    expect(l.alive()).toEqual([]);
  });

  test('without a profile it says that, too', async () => {
    const ran = await l.validate(mute, { 'agent-timeout': '30s' });
    expect(ran.errors.join()).toContain('no instance-profile is set and Default Host Management is not on');
  });

  test('without a profile one is warned where Default Host Management is off, before a machine is launched; not where it is on, or may not be looked at', async () => {
    const warned = async (wanted: Readonly<Record<string, string>> = {}) =>
      (await l.validate(good, { 'dry-run': 'true', ...wanted })).warnings;
    expect(await warned()).toEqual([]);
    defaultHostManagement(l.home).enabled = false;
    expect(await warned()).toEqual([
      'No "instance-profile" is set, and Default Host Management is not on in eu-central-1: the SSM agent will hardly come. Set a profile with AmazonSSMManagedInstanceCore.',
    ]);
    expect(await warned({ 'instance-profile': 'ssm-machines' })).toEqual([]);
    l.lab.faults.add({ operation: 'GetServiceSetting', action: { refuse: 'denied' } });
    expect(await warned()).toEqual([]);
  });

  test('scenario 28: an agent that takes no command yet is asked again', async () => {
    const mark = l.lab.calls.mark();
    l.lab.faults.add({
      operation: 'SendCommand',
      nth: 1,
      times: 12,
      action: { error: 'InvalidInstanceId', message: 'Instances not in a valid state' },
    });
    const ran = await l.validate(good);
    expect(ran.outputs['verdict']).toBe('passed');
    expect(l.lab.calls.count('SendCommand', mark)).toBe(13);
  });

  test('scenario 28: a role that may not send commands fails at once, and the machine is ended', async () => {
    const mark = l.lab.calls.mark();
    l.lab.faults.add({ operation: 'SendCommand', action: { error: 'AccessDeniedException', message: 'no' } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toContain('Not allowed to send a command to i-');
    expect(l.lab.calls.count('SendCommand', mark)).toBe(1);
    expect(l.alive()).toEqual([]);
  });

  test('scenario 27: an agent that dies during the checks is no success; with an image that passed to compare, it is a failure', async () => {
    const fresh = await l.bake('dies');
    const checks = '- {command: "(sleep 0.3; systemctl stop amazon-ssm-agent) > /dev/null 2>&1 & sleep 1"}';
    const ran = await l.validate(fresh, { checks, 'checks-timeout': '30s' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    expect(ran.errors.join()).toMatch(
      /could not be validated, so it has not passed: Checks on i-\w+: (gave up|Run Command says)[\s\S]*\(1\) Systems Manager, or the way to it, failed meanwhile; \(2\) the SSM agent, or the network of the machine, died/,
    );
    expect(verdict(fresh)).toBe('none');
    hasPassed(good);
    const compared = await l.validate(fresh, { checks, 'checks-timeout': '30s' });
    expect(compared.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(compared.errors.join()).toMatch(/It is the image: .* Likely causes: \(1\) the SSM agent, or the network of the machine, died/);
    expect(verdict(fresh)).toBe('failed');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 27: an agent that is lost for a moment is waited for', async () => {
    const checks = '- {command: "systemctl stop amazon-ssm-agent; sleep 1; systemctl start amazon-ssm-agent"}';
    const ran = await l.validate(good, { checks });
    expect(ran.outputs['verdict']).toBe('passed');
  });
});
