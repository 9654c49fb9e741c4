import { DescribeInstancesCommand, type DescribeInstancesCommandOutput, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { until, type ValidateLab, validateLab } from './validate-lab.ts';

/** Servers that ignore filters, leave members out, forget, or refuse for a while. */

let l: ValidateLab;
let good: string;
/** An instance of another team. */
let production: string;
let described: DescribeInstancesCommandOutput;

beforeAll(async () => {
  l = await validateLab();
  good = await l.bake('good');
  const run = new RunInstancesCommand({ ImageId: l.base('x86_64'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 });
  const { Instances: [launched] = [] } = await l.ec2.send(run);
  production = launched?.InstanceId ?? '';
  await until(() => l.alive().some(({ id, state }) => id === production && state === 'running'));
  described = await l.ec2.send(new DescribeInstancesCommand({ InstanceIds: [production] }));
});
afterEach(() => {
  l.lab.faults.clear();
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const alive = () => l.alive().map(({ id }) => id);
const asksForToken = ({ input }: CallRecord) => JSON.stringify(input).includes('client-token');
const ignoreFilter = () => l.lab.faults.add({ operation: 'DescribeInstances', when: asksForToken, action: { answer: () => described } });
const none = {};

describe('an instance of another team', () => {
  test('is not terminated when the server ignores the filter, after a refused launch or in post:', async () => {
    ignoreFilter();
    l.lab.faults.add({ operation: 'RunInstances', action: { error: 'UnauthorizedOperation', message: 'no', status: 403 } });
    const refused = await l.validate(good);
    expect(refused.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    l.lab.faults.clear();
    ignoreFilter();
    l.lab.faults.add({ operation: 'RunInstances', action: { reset: 'before' } });
    const unreachable = await l.validate(good);
    expect(unreachable.state['journal']).toContain('"kind":"instance"');
    const after = await l.validate(good, {}, { postOf: unreachable });
    expect([after.errors, alive()]).toEqual([[], [production]]);
    expect([refused, unreachable, after].map(({ log }) => log.includes(production))).toEqual([false, false, false]);
  });

  test('is not terminated when the answer of a launch names it', async () => {
    const answer = () => ({ Instances: described.Reservations?.[0]?.Instances });
    l.lab.faults.add({ operation: 'RunInstances', action: { answer } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toContain(
      `AWS's answer cannot be read (launch an instance of ${good} (ec2:RunInstances)): it names no instance of this launch`,
    );
    expect([alive(), ran.state['journal']]).toEqual([[production], '[]']);
  });
});

describe('a launch', () => {
  test('whose answer has no instance is found by its token and terminated', async () => {
    l.lab.faults.add({ operation: 'RunInstances', action: { answer: () => none } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toContain('it names no instance of this launch');
    expect([alive(), ran.state['journal']]).toEqual([[production], '[]']);
  });

  test('whose answer is lost is looked for until EC2 shows it', async () => {
    l.lab.faults.add({ operation: 'RunInstances', action: { reset: 'after' } });
    l.lab.faults.add({ operation: 'DescribeInstances', when: asksForToken, nth: 1, times: 4, action: { answer: () => none } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect([alive(), ran.state['journal']]).toEqual([[production], '[]']);
  });

  test('with an instance profile that EC2 does not accept yet is retried; one that does not exist is named', async () => {
    const action = {
      error: 'InvalidParameterValue',
      message: 'Value (new-profile) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name',
    };
    l.lab.faults.add({ operation: 'RunInstances', nth: 1, times: 3, action });
    const ran = await l.validate(good, { 'instance-profile': 'shipped-delivery-test' });
    expect([ran.errors, ran.outputs['verdict']]).toEqual([[], 'passed']);
    l.lab.faults.add({ operation: 'RunInstances', action });
    const missing = await l.validate(good, { 'instance-profile': 'new-profile' });
    expect([missing.outputs['outcome'], missing.outputs['verdict'], missing.state['journal']]).toEqual(['usage', 'inconclusive', '[]']);
    expect(missing.errors.map(error => error.replace(/(passed validation at) \S+/, '$1 TIME'))).toEqual([
      [
        `${good} could not be validated and has not passed: Instance profile "new-profile" does not exist in account 111122223333: InvalidParameterValue: ${action.message}.`,
        'Left behind:',
        `- ${good} keeps its earlier verdict: passed validation at TIME`,
        'Next: Deploy examples/delivery-role.yml, which creates one, or remove "instance-profile" where Default Host Management is on.',
      ].join('\n'),
    ]);
  });

  test('over the quota is not called a lack of capacity', async () => {
    const message = 'You have requested more vCPU capacity than your current vCPU limit of 32 allows.';
    l.lab.faults.add({ operation: 'RunInstances', action: { error: 'VcpuLimitExceeded', message } });
    const ran = await l.validate(good, { 'test-instance-types': 't3.micro | t3a.micro' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toContain(
      `The EC2 quota of account 111122223333 in eu-central-1 is used up: t3.micro: VcpuLimitExceeded: ${message}; t3a.micro: `,
    );
    expect(ran.errors.join()).toContain('Next: Request an increase of "Running On-Demand Standard instances" in Service Quotas');
  });
});

test('post: looks for the instance of an interrupted launch until EC2 shows it', async () => {
  let kill = () => {};
  const onStart = (child: { kill(signal: 'SIGKILL'): boolean }) => {
    kill = () => void child.kill('SIGKILL');
  };
  l.lab.faults.add({ operation: 'RunInstances', action: { kill: () => kill(), at: 'after' } });
  const killed = await l.validate(good, {}, { onStart });
  expect([alive().length, killed.state['journal']?.includes('"id"')]).toEqual([2, false]);
  l.lab.faults.add({
    operation: 'DescribeInstances',
    when: asksForToken,
    nth: 1,
    times: 3,
    action: { answer: () => ({ Reservations: [] }) },
  });
  const after = await l.validate(good, {}, { postOf: killed });
  expect([after.errors, alive()]).toEqual([[], [production]]);
});

test('post: without valid credentials names the instance and the command', async () => {
  let kill = () => {};
  l.lab.faults.add({ operation: 'SendCommand', action: { run: () => kill(), at: 'before' } });
  const killed = await l.validate(
    good,
    {},
    {
      onStart: child => {
        kill = () => void child.kill('SIGKILL');
      },
    },
  );
  const id = alive().find(other => other !== production) ?? '?';
  expect(killed.state['journal']).toContain(`"id":"${id}"`);
  l.lab.faults.clear();
  l.lab.faults.add({ action: { error: 'ExpiredToken', message: 'The security token included in the request is expired' } });
  const after = await l.validate(good, {}, { postOf: killed });
  expect(after.errors.join()).toMatch(new RegExp(`instance ${id} in eu-central-1: The credentials expired`));
  expect(after.errors.join()).toContain(`Terminate it: aws ec2 terminate-instances --region eu-central-1 --instance-ids ${id}`);
  l.lab.faults.clear();
  await l.validate(good, {}, { postOf: killed });
  expect(alive()).toEqual([production]);
});

describe('an answer without a member', () => {
  test.each([
    ['RunInstances', 'Instances'],
    ['RunInstances', 'Instances[].InstanceId'],
    ['RunInstances', 'Instances[].ClientToken'],
    ['DescribeInstances', 'Reservations'],
    ['DescribeInstances', 'Reservations[].Instances'],
    ['DescribeInstances', 'Reservations[].Instances[].State'],
    ['DescribeInstances', 'Reservations[].Instances[].InstanceId'],
    ['DescribeInstances', 'Reservations[].Instances[].Tags'],
    ['DescribeInstanceStatus', 'InstanceStatuses'],
    ['DescribeInstanceInformation', 'InstanceInformationList'],
    ['DescribeInstanceInformation', 'InstanceInformationList[].PingStatus'],
    ['DescribeInstanceTypes', 'InstanceTypes[].ProcessorInfo'],
    ['SendCommand', 'Command'],
    ['GetCommandInvocation', 'Status'],
    ['GetCommandInvocation', 'StandardOutputContent'],
    ['DescribeImages', 'Images[].BlockDeviceMappings'],
    ['DescribeImages', 'Images[].Tags'],
  ])('%s without %s is no failure of the image, no bug, and leaves no instance', async (operation, member) => {
    setTags(l.home, good, { 'ami-action:verdict': '' });
    l.lab.faults.add({ operation, action: { omit: [member] } });
    const ran = await l.validate(good, { 'boot-timeout': '20s', 'agent-timeout': '20s', 'checks-timeout': '10s' });
    l.lab.faults.clear();
    expect([ran.outputs['outcome'], ran.outputs['verdict']]).not.toContain('bug');
    expect([undefined, 'passed', 'inconclusive']).toContain(ran.outputs['verdict']);
    expect(l.tagsOf(good)['ami-action:verdict']).not.toMatch(/^failed/);
    if (ran.state['journal'] !== '[]') await l.validate(good, {}, { postOf: ran });
    expect(alive()).toEqual([production]);
  });
});
