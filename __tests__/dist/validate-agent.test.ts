import { TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { images, neighbours } from '../../lab/ec2/images.ts';
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
  test('scenario 25: a instance that does not boot fails fast, with the end of its console', async () => {
    l.mishaps.impaired.add(mute);
    const ran = await l.validate(mute);
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toContain('its instance status check failed: it does not boot or has no network');
    expect(ran.summary).toMatch(/End of the console of i-\w+[\s\S]*login:/);
    expect(verdict(mute)).toBe('failed');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 26: an agent that never registers fails at its deadline; profile, endpoints and agent are named as causes', async () => {
    const quiet = await l.bake('quiet', 'systemctl disable amazon-ssm-agent');
    const ran = await l.validate(quiet, { 'agent-timeout': '90s', 'instance-profile': 'shipped-delivery-test' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    const [error = ''] = ran.errors;
    expect(error).toMatch(/SSM agent of i-\w+: gave up after 1m 30s. Last seen: the agent has not registered, status check ok/);
    expect(error).toContain('instance profile shipped-delivery-test lacks AmazonSSMManagedInstanceCore');
    expect(error).toContain('has no route to the SSM endpoints (ssm, ssmmessages, ec2messages)');
    expect(error).toContain('the image has no SSM agent, or the agent is not enabled');
    expect(error).toContain(
      'The cause may be the image or the account: the family has no passed image, and no base image with an SSM agent, to compare with.',
    );
    expect(verdict(quiet)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 26: where the agent comes online on a control instance, the image has failed', async () => {
    hasPassed(good);
    const mark = l.lab.calls.mark();
    const wanted = { 'agent-timeout': '90s', 'instance-profile': 'shipped-delivery-test', 'test-instance-types': 't3.small' };
    const ran = await l.validate(mute, wanted);
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toMatch(
      new RegExp(
        `gave up after 1m 30s\\..* The image is the cause: on a control instance \\(t3\\.small\\) of ${good}, in the same subnet and with the same profile, the SSM agent was online [\\w ]+ after launch\\. Likely causes: \\(1\\) the image has no SSM agent, or the agent is not enabled\\.`,
      ),
    );
    expect(ran.errors.join()).toMatch(
      /\nNext: Install and enable amazon-ssm-agent in the template: packer\/scripts\/install\.sh shows how\.$/,
    );
    const same = {
      InstanceType: 't3.small',
      IamInstanceProfile: { Name: 'shipped-delivery-test' },
      InstanceInitiatedShutdownBehavior: 'terminate',
    };
    expect(launches(mark).map(({ input }) => input)).toMatchObject([
      { ...same, ImageId: mute },
      { ...same, ImageId: good },
    ]);
    expect(verdict(mute)).toBe('failed');
    expect([l.alive(), ran.state['journal']]).toEqual([[], '[]']);
  });

  test('an instance without an agent that is kept has its console as the way to look at it; the next step names the agent', async () => {
    hasPassed(good);
    const wanted = { 'agent-timeout': '30s', 'instance-profile': 'shipped-delivery-test' };
    const ran = await l.validate(mute, wanted);
    expect(ran.errors.join()).toContain('Next: Install and enable amazon-ssm-agent in the template: packer/scripts/install.sh shows how.');
    const kept = await l.validate(mute, { ...wanted, 'keep-on-failure': '1h' });
    const id = kept.outputs['instance-id'] ?? '';
    expect(kept.errors.join()).toMatch(
      new RegExp(
        `test instance ${id} is kept for debugging .*: aws ec2 get-console-output --latest --output text --region eu-central-1 --instance-id ${id}`,
      ),
    );
    await l.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
  });

  test('a matrix has one control instance per subnet', async () => {
    hasPassed(good);
    const mark = l.lab.calls.mark();
    const ran = await l.validate(mute, { 'agent-timeout': '60s', 'test-instance-types': 't3.micro, t3.small' });
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    const images = launches(mark).map(({ input }) => input['ImageId']);
    expect([images.filter(id => id === mute).length, images.filter(id => id === good).length]).toEqual([2, 1]);
    expect(
      reportOf(ran).instances.map(({ result, reason }) => [
        result,
        reason.includes(`of ${good}, in the same subnet and with the same profile, the SSM agent was online`),
      ]),
    ).toEqual([
      ['failed', true],
      ['failed', true],
    ]);
    expect([l.alive(), ran.state['journal']]).toEqual([[], '[]']);
  });

  test('scenario 26: where its agent does not come online either, there is no verdict, and the account is the likely cause', async () => {
    const silent = await l.bake('silent', 'systemctl disable amazon-ssm-agent');
    hasPassed(good);
    defaultHostManagement(l.home).enabled = false;
    const ran = await l.validate(silent, { 'agent-timeout': '60s' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    expect(ran.errors.join()).toMatch(
      new RegExp(
        `The image may not be the cause: a control instance \\(t3\\.micro\\) of ${good}, in the same subnet and with the same profile, failed as well \\(SSM agent of i-\\w+: gave up after 1m`,
      ),
    );
    expect(ran.errors.join()).toContain('Likely causes: (1) "instance-profile" is not set and Default Host Management is off');
    expect(verdict(silent)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('the first image of a family is not compared with a base image without an agent', async () => {
    const debian = neighbours(l.home)
      .flatMap(owner => [...images(owner).values()])
      .find(({ name }) => name.startsWith('debian-12'));
    const first = await l.bake('first-debian', 'systemctl disable amazon-ssm-agent', {
      'ami-action:family': 'web',
      'ami-action:base-ami': debian?.id ?? '',
    });
    const mark = l.lab.calls.mark();
    const ran = await l.validate(first, { 'agent-timeout': '30s' });
    expect([ran.outputs['verdict'], launches(mark).length]).toEqual(['inconclusive', 1]);
    expect(ran.errors.join()).toContain('the family has no passed image, and no base image with an SSM agent, to compare with.');
  });

  test('the first image of a family is compared with its base image', async () => {
    const first = await l.bake('first', 'systemctl disable amazon-ssm-agent', {
      'ami-action:family': 'web',
      'ami-action:base-ami': l.base('x86_64'),
    });
    const ran = await l.validate(first, { 'agent-timeout': '60s' });
    expect(ran.outputs['verdict']).toBe('failed');
    expect(ran.errors.join()).toContain(`of ${l.base('x86_64')}, in the same subnet and with the same profile, the SSM agent was online`);
    expect(l.alive()).toEqual([]);
  });

  test('without a profile that is a likely cause, too', async () => {
    const ran = await l.validate(mute, { 'agent-timeout': '30s' });
    expect(ran.errors.join()).toContain('"instance-profile" is not set and Default Host Management is off');
  });

  test('without a profile there is a warning before the launch where Default Host Management is off; not where it is on or cannot be read', async () => {
    const warned = async (wanted: Readonly<Record<string, string>> = {}) => {
      const { errors, warnings } = await l.validate(good, { 'dry-run': 'true', ...wanted });
      return [...errors, ...warnings];
    };
    expect(await warned()).toEqual([]);
    defaultHostManagement(l.home).enabled = false;
    expect(await warned()).toEqual([
      '"instance-profile" is not set, and Default Host Management is off in eu-central-1: the SSM agent cannot register. Set a profile with AmazonSSMManagedInstanceCore.',
    ]);
    expect(await warned({ 'instance-profile': 'shipped-delivery-test' })).toEqual([]);
    for (const action of [{ refuse: 'denied' }, { refuse: 'internal' }, { error: 'ServiceSettingNotFound', status: 400 }] as const) {
      const heal = l.lab.faults.add({ operation: 'GetServiceSetting', action });
      expect(await warned()).toEqual([]);
      heal();
    }
  });

  test('scenario 28: an agent that accepts no command yet is retried', async () => {
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

  test('scenario 28: a role that may not send commands fails at once, and the instance is terminated', async () => {
    const mark = l.lab.calls.mark();
    l.lab.faults.add({ operation: 'SendCommand', action: { error: 'AccessDeniedException', message: 'no' } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toContain('Not allowed to send a command to i-');
    expect(l.lab.calls.count('SendCommand', mark)).toBe(1);
    expect(l.alive()).toEqual([]);
  });

  test('scenario 27: an agent that stops during the checks is inconclusive; with a control instance it is a failure', async () => {
    const fresh = await l.bake('dies');
    const checks = '- {command: "(sleep 0.3; systemctl stop amazon-ssm-agent) > /dev/null 2>&1 & sleep 1"}';
    const ran = await l.validate(fresh, { checks, 'checks-timeout': '30s' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    expect(ran.errors.join()).toMatch(
      /could not be validated and has not passed: Checks on i-\w+: (gave up|the command is)[\s\S]*\(1\) Systems Manager, or the route to it, failed during the test; \(2\) the SSM agent or the network of the instance stopped/,
    );
    expect(verdict(fresh)).toBe('none');
    hasPassed(good);
    const compared = await l.validate(fresh, { checks, 'checks-timeout': '30s' });
    expect(compared.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(compared.errors.join()).toMatch(
      /The image is the cause: .* Likely causes: \(1\) the SSM agent or the network of the instance stopped/,
    );
    expect(verdict(fresh)).toBe('failed');
    expect(l.alive()).toEqual([]);
  });

  test('a command that Run Command never shows is no failure of the image, although the agent of a control instance is online', async () => {
    const fresh = await l.bake('unheard');
    hasPassed(good);
    l.lab.faults.add({ operation: 'GetCommandInvocation', action: { error: 'InvocationDoesNotExist', message: '' } });
    const ran = await l.validate(fresh, { 'checks-timeout': '10s' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    expect(ran.errors.join()).toMatch(
      new RegExp(
        `The image may not be the cause: a control instance \\(t3\\.micro\\) of ${good}, .* failed as well \\(Command on i-\\w+: gave up after 2m 30s`,
      ),
    );
    expect([verdict(fresh), l.alive()]).toEqual(['none', []]);
  });

  test('scenario 27: an agent that is offline for a moment is awaited', async () => {
    const checks = '- {command: "systemctl stop amazon-ssm-agent; sleep 1; systemctl start amazon-ssm-agent"}';
    const ran = await l.validate(good, { checks });
    expect(ran.outputs['verdict']).toBe('passed');
  });
});
