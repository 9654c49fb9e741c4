import { DescribeSubnetsCommand, DisableImageCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { verdictOf } from '../../src/model/verdict.ts';
import { removeWorkspaces, runAction } from '../harness.ts';
import { reportOf, type ValidateLab, validateLab } from './validate-lab.ts';

const SCHEME = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };

let l: ValidateLab;
let good: string;

beforeAll(async () => {
  l = await validateLab();
  good = await l.bake('good');
});
afterEach(() => {
  l.lab.faults.clear();
  l.mishaps.noCapacity.clear();
  l.mishaps.launchFails.clear();
  l.mishaps.impaired.clear();
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const verdict = (image: string) => verdictOf({ id: image, tags: l.tagsOf(image) }, SCHEME);
const machines = (mark: number) =>
  l.lab.calls.since(mark).filter(({ operation, outcome }) => operation === 'RunInstances' && outcome === 'ok').length;

/** By ID: machines that ended an hour ago are forgotten. */
const madeSince = (before: ReturnType<typeof l.all>) => l.all().filter(({ id }) => !before.some(known => known.id === id)).length;

describe('validate', () => {
  test('a good image passes: verdict on image and snapshot, one command, no instance remains', async () => {
    const mark = l.lab.calls.mark();
    const checks =
      '- disk\n- cloud-init\n- no-failed-units\n- ssm-agent\n- no-leftovers\n- path: {path: /etc/os-release, type: file, owner: root}';
    const ran = await l.validate(good, { checks });
    expect(ran.errors).toEqual([]);
    expect(ran.exitCode).toBe(0);
    expect(ran.outputs).toMatchObject({ verdict: 'passed', 'ami-id': good, passed: '6', failed: '0', outcome: 'done' });
    expect(verdict(good)).toMatchObject({ result: 'passed', verdict: { checks: ran.outputs['checks'] } });
    expect(l.tagsOf(l.snapshotOf(good))['ami-action:verdict']).toBe(l.tagsOf(good)['ami-action:verdict']);
    expect(l.alive()).toEqual([]);
    expect(l.lab.calls.count('SendCommand', mark)).toBe(1);
    expect(ran.state['journal']).toBe('[]');
  });

  test('its instance requires IMDSv2, has encrypted disks and no key pair, terminates on shutdown, and is tagged', async () => {
    await l.validate(good, { tags: 'cost: ci' });
    const call = l.lab.calls.all().findLast(({ operation }) => operation === 'RunInstances')?.input as Record<string, unknown>;
    expect(call).toMatchObject({
      MetadataOptions: { HttpTokens: 'required' },
      InstanceInitiatedShutdownBehavior: 'terminate',
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { Encrypted: true, DeleteOnTermination: true } }],
    });
    expect(call['KeyName']).toBeUndefined();
    const machine = l.all().at(-1);
    expect(l.tagsOf(machine?.id ?? '')).toMatchObject({
      cost: 'ci',
      'ami-action:purpose': 'validate',
      'ami-action:family': 'web',
      'ami-action:run': '1001/1',
      'ami-action:expires-at': expect.stringMatching(/^20\d\d-.*Z$/),
    });
  });

  test('a failed check fails the image, with its name, what it printed and who must act', async () => {
    const checks =
      '- {name: config, command: "echo cannot read /etc/web.conf >&2; exit 4"}\n- {name: nice, command: exit 1, severity: warn}\n- path: /etc';
    const ran = await l.validate(good, { checks });
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'failed', passed: '1', failed: '1', outcome: 'rejected' });
    expect(ran.errors.join()).toContain(
      `${good} failed validation: 1 of 3 checks failed.\n- config: ended with exit code 4: cannot read /etc/web.conf`,
    );
    expect(ran.warnings).toEqual(['nice ended with exit code 1']);
    expect(ran.summary).toContain('| ❌ | config |');
    expect(verdict(good).result).toBe('failed');
    expect(l.alive()).toEqual([]);
  });

  test('validated again, the newest verdict counts', async () => {
    await l.validate(good, { checks: '- command: exit 1' });
    expect(verdict(good).result).toBe('failed');
    await l.validate(good);
    expect(verdict(good).result).toBe('passed');
  });

  test('of two validations at the same time with different checks the failed one counts, whichever ends last', async () => {
    const [failsFirst, failsLast] = [await l.bake('both'), await l.bake('both-too')];
    for (const [image, failing, passing] of [
      [failsFirst, 'exit 1', 'sleep 2'],
      [failsLast, 'sleep 2; exit 1', 'true'],
    ] as const) {
      const [failed, passed] = await Promise.all([
        l.validate(image, { checks: `- command: ${failing}` }),
        l.validate(image, { checks: `- command: ${passing}` }),
      ]);
      expect([failed?.outputs['verdict'], passed?.outputs['verdict'], verdict(image).result]).toEqual(['failed', 'passed', 'failed']);
    }
    const ran = await l.validate(failsFirst);
    expect([ran.exitCode, verdict(failsFirst).result]).toEqual([0, 'passed']);
  });

  test('an inconclusive validation keeps the earlier verdict and reports that', async () => {
    await l.validate(good);
    l.lab.faults.add({ operation: 'SendCommand', action: { error: 'AccessDeniedException', message: 'no' } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(ran.errors.join()).toMatch(new RegExp(`Left behind:\n- ${good} keeps its earlier verdict: passed validation at 20\\S+Z`));
    expect(verdict(good).result).toBe('passed');
  });

  test('a verdict over other checks does not pass a promotion that requires these', async () => {
    const { checks = '' } = (await l.validate(good)).outputs;
    const promote = (required: string) =>
      runAction({
        mode: 'promote',
        with: { family: 'web', image: good, environment: 'stage', strategy: 'none', 'require-checks': required },
        lab: l.lab,
      });
    const other = await promote('0'.repeat(32));
    expect([other.exitCode, other.outputs['outcome'], parameters(l.home).has('/ami/web/stage')]).toEqual([1, 'rejected', false]);
    expect(other.errors.join()).toContain(`, but with other checks (${checks}) than required (${'0'.repeat(32)})`);
    expect(await promote(checks)).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(parameters(l.home).get('/ami/web/stage')?.versions.at(-1)?.value).toBe(good);
  });

  test('a dry run prints the plan, and launches and writes nothing', async () => {
    const mark = l.lab.calls.mark();
    const ran = await l.validate(good, { 'dry-run': 'true' });
    expect(ran.outputs).toMatchObject({ outcome: 'planned', 'ami-id': good });
    expect(l.lab.calls.count('RunInstances', mark) + l.lab.calls.count('CreateTags', mark)).toBe(0);
  });

  test('an image of another family gets a report, and no tag', async () => {
    const other = await l.bake('other', 'true', { 'ami-action:family': 'api' });
    const ran = await l.validate(other);
    expect(ran.outputs['verdict']).toBe('passed');
    expect(l.tagsOf(other)).toEqual({ 'ami-action:family': 'api' });
    expect(ran.warnings.join()).toContain('is not tagged ami-action:family=web');
  });
});

describe('launch', () => {
  test('scenario 20: an instance that is not visible yet is awaited', async () => {
    l.lab.faults.add({ operation: 'DescribeInstances', action: { hideNewIds: 3 } });
    const ran = await l.validate(good);
    expect(ran.outputs['verdict']).toBe('passed');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 20: one that never becomes visible fails at the deadline, and is terminated all the same', async () => {
    l.lab.faults.add({ operation: 'DescribeInstances', action: { hideNewIds: 1_000_000 } });
    const ran = await l.validate(good, { 'boot-timeout': '30s' });
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'timeout' });
    expect(ran.errors.join()).toMatch(/gave up after 30s\. Last seen: not visible yet/);
    expect(ran.errors.join()).toMatch(
      /Left behind:\n- test instance i-\w+ may still run: EC2 does not show it. It terminates itself at 20/,
    );
    expect(l.alive()).toEqual([]);
  });

  test('scenario 21: after a lost answer the retry launches no second instance', async () => {
    const before = l.all();
    l.lab.faults.add({ operation: 'RunInstances', nth: 1, action: { reset: 'after' } });
    const ran = await l.validate(good);
    expect(ran.outputs['verdict']).toBe('passed');
    expect(madeSince(before)).toBe(1);
    expect(l.alive()).toEqual([]);
  });

  test('scenario 21: where every answer is lost, the instance is found by its token and terminated', async () => {
    const before = l.all();
    l.lab.faults.add({ operation: 'RunInstances', action: { reset: 'after' } });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'access' });
    expect(madeSince(before)).toBe(1);
    expect(l.alive()).toEqual([]);
  });

  test('scenario 22: a second attempt with other parameters, and a second leg with the same, each get their own instance', async () => {
    const mark = l.lab.calls.mark();
    await l.validate(good, { 'test-instance-types': 't3.micro' });
    const again = await l.validate(good, { 'test-instance-types': 't3.small' }, { env: { GITHUB_RUN_ATTEMPT: '2' } });
    expect(again.errors).toEqual([]);
    const legs = await Promise.all([l.validate(good), l.validate(good)]);
    expect(legs.map(({ outputs }) => outputs['verdict'])).toEqual(['passed', 'passed']);
    expect(machines(mark)).toBe(4);
    expect(new Set(l.lab.calls.since(mark).flatMap(({ input }) => input['ClientToken'] ?? [])).size).toBe(4);
  });

  test('scenario 23: without capacity the next subnet and the next type are used', async () => {
    l.mishaps.noCapacity.add('t3.micro');
    const ran = await l.validate(good, { 'test-instance-types': 't3.micro | t3a.micro' });
    expect(reportOf(ran).instances.map(({ instanceType }) => instanceType)).toEqual(['t3a.micro']);
    expect(ran.outputs['verdict']).toBe('passed');
    const [full = '', free = ''] = (await l.ec2.send(new DescribeSubnetsCommand({}))).Subnets?.map(({ SubnetId }) => SubnetId) ?? [];
    const action = { error: 'InsufficientInstanceCapacity', message: 'We currently do not have sufficient capacity', status: 500 };
    l.lab.faults.add({ operation: 'RunInstances', when: ({ input }) => input['SubnetId'] === full, action });
    const next = await l.validate(good, { 'test-instance-types': 't3.small', subnet: `${full}, ${free}` });
    expect([next.outputs['verdict'], l.all().at(-1)?.subnetId, l.alive()]).toEqual(['passed', free, []]);
  });

  test('scenario 23: without any capacity it fails clearly, and nothing remains', async () => {
    l.mishaps.noCapacity.add('t3.micro');
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'rejected' });
    expect(ran.errors.join()).toContain(
      'No capacity for a test instance in eu-central-1 of account 111122223333: t3.micro: InsufficientInstanceCapacity: We currently do not have sufficient t3.micro capacity',
    );
    expect(ran.errors.join()).toContain('Next: Re-run the job later, or set alternatives: test-instance-types');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 24: one that terminates at once fails fast, with the reason and a hint about the key', async () => {
    l.mishaps.launchFails.set(good, { code: 'Client.InternalError', message: 'Client error on launch' });
    const ran = await l.validate(good);
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'rejected' });
    expect(ran.errors.join()).toMatch(
      /terminated: Client.InternalError.*Client error on launch.*the KMS key of its volumes: allow the role kms:CreateGrant/,
    );
    expect(l.alive()).toEqual([]);
  });

  test.each([
    [
      'VPCIdNotSpecified',
      'No default VPC for this user',
      'usage',
      'eu-central-1 of account 111122223333 has no default VPC with a subnet, and "subnet" is not set: ',
    ],
    [
      'AuthFailure',
      'Not authorized for images: [ami-0123]',
      'access',
      'ami-0123 is not shared with this account, or does not exist any more',
    ],
  ])('a launch that is refused with %s names who must act', async (error, message, outcome, says) => {
    l.lab.faults.add({ operation: 'RunInstances', action: { error, message } });
    const ran = await l.validate(good);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['verdict'], ran.state['journal']]).toEqual([
      1,
      outcome,
      'inconclusive',
      '[]',
    ]);
    expect(ran.errors.join()).toContain(says);
  });

  test('scenario 35: a type of another architecture is refused before anything is launched', async () => {
    const mark = l.lab.calls.mark();
    const arm = l.base('arm64');
    const ran = await l.validate(arm, { 'test-instance-types': 't3.micro' });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain(`"test-instance-types": t3.micro runs x86_64, and image ${arm} is arm64`);
    expect(l.lab.calls.count('RunInstances', mark)).toBe(0);
  });

  test('an image for Windows is refused before anything is launched, also in a dry run', async () => {
    const windows = await l.bake('windows');
    Object.assign(l.imageOf(windows) ?? {}, { platform: 'windows' });
    const mark = l.lab.calls.mark();
    for (const dry of ['true', 'false']) {
      const ran = await l.validate(windows, { 'dry-run': dry });
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'usage']);
      expect(ran.errors.join()).toContain(`Image ${windows} is for Windows, and checks run on Linux only\nNo changes were made.`);
      expect(ran.errors.join()).toContain('Next: Remove validate, share and promote for this family');
    }
    expect([l.lab.calls.count('RunInstances', mark), l.lab.calls.count('CreateTags', mark)]).toEqual([0, 0]);
  });

  test('scenario 36: an image that can never be available fails at once, with the reason of AWS', async () => {
    const disabled = await l.bake('disabled');
    await l.ec2.send(new DisableImageCommand({ ImageId: disabled }));
    l.mishaps.imageFails.set('broken', 'Client.InternalError: Client error on creation of the snapshot');
    const failed = await l.bake('broken');
    const mark = l.lab.calls.mark();
    const off = await l.validate(disabled);
    expect(off.errors.join()).toContain(`Image ${disabled}: disabled`);
    const ran = await l.validate(failed);
    expect(ran.errors.join()).toMatch(new RegExp(`Image ${failed}: failed: .*Client error on creation of the snapshot`));
    expect([off, ran].map(({ outputs }) => outputs['outcome'])).toEqual(['rejected', 'rejected']);
    expect(l.lab.calls.count('RunInstances', mark)).toBe(0);
  });

  test('scenario 36: a pending image is awaited until it is available or failed', async () => {
    const slow = await l.bake('slow');
    const becomes = (state: string, stateReason: object | undefined) => {
      Object.assign(l.imageOf(slow) ?? {}, { state: 'pending' });
      const run = () => void Object.assign(l.imageOf(slow) ?? {}, { state, stateReason });
      l.lab.faults.add({ operation: 'DescribeImages', nth: 3, action: { run, at: 'before' } });
      return l.validate(slow);
    };
    expect(await becomes('available', undefined)).toMatchObject({ exitCode: 0, outputs: { verdict: 'passed' } });
    l.lab.faults.clear();
    const mark = l.lab.calls.mark();
    const ran = await becomes('failed', { code: 'Client.InternalError', message: 'Client error on creation of the snapshot' });
    expect([ran.exitCode, ran.outputs['outcome'], l.lab.calls.count('RunInstances', mark)]).toEqual([1, 'rejected', 0]);
    expect(ran.errors.join()).toContain(`Image ${slow}: failed: Client error on creation of the snapshot`);
    expect(l.lab.calls.count('DescribeImages', mark)).toBe(3);
  });
});
