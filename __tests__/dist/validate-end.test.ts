import { RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { verdictOf, verdictValue } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { until, type ValidateLab, validateLab } from './validate-lab.ts';

let l: ValidateLab;
let good: string;

beforeAll(async () => {
  l = await validateLab();
  good = await l.bake('good');
});
afterEach(() => {
  l.lab.faults.clear();
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const verdict = (image: string) => verdictOf({ id: image, tags: l.tagsOf(image) }, { prefix: 'ami-action:', commitKey: '' }).result;

describe('the end', () => {
  test('scenario 34: an instance that cannot be terminated fails the job, with its ID; post: terminates it when allowed', async () => {
    l.lab.faults.add({
      operation: 'TerminateInstances',
      action: { error: 'UnauthorizedOperation', message: 'You are not authorized to perform this operation.', status: 403 },
    });
    const ran = await l.validate(good);
    const id = ran.outputs['instance-id'] ?? '';
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'passed', outcome: 'access' });
    expect(ran.errors.join()).toMatch(
      new RegExp(
        `passed validation, but its test instance could not be terminated.\\nLeft behind:\\n- test instance ${id} may still run: Not allowed to terminate ${id}`,
      ),
    );
    expect(l.alive().map(machine => machine.id)).toEqual([id]);
    l.lab.faults.clear();
    const after = await l.validate(good, {}, { postOf: ran });
    expect(after.errors).toEqual([]);
    expect(l.alive()).toEqual([]);
  });

  test('scenario 34: termination protection is named as the cause', async () => {
    const denied = {
      error: 'OperationNotPermitted',
      message: "The instance may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
    };
    const rule = l.lab.faults.add({ operation: 'TerminateInstances', action: denied });
    const ran = await l.validate(good, { checks: '- command: exit 1' });
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toContain('disableApiTermination');
    rule();
    await l.validate(good, {}, { postOf: ran });
    expect(l.alive()).toEqual([]);
  });

  test('cancelled while it runs, it terminates its instance and writes no verdict', async () => {
    const fresh = await l.bake('cancelled');
    const ran = await l.validate(
      fresh,
      { checks: '- command: sleep 20' },
      {
        onStart: child =>
          void until(
            () => l.lab.calls.all().findLast(({ operation }) => operation === 'SendCommand')?.outcome === 'ok' && l.alive().length > 0,
          ).then(() => child.kill('SIGINT')),
      },
    );
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs['outcome']).toBe('cancelled');
    expect(verdict(fresh)).toBe('none');
    expect(ran.state['journal']).toBe('[]');
    expect(l.alive()).toEqual([]);
  });

  test('cancelled or killed while a control instance runs, it or post: terminates both, and no verdict is written', async () => {
    const mute = await l.bake('mute', 'systemctl disable amazon-ssm-agent');
    setTags(l.home, good, { 'ami-action:verdict': verdictValue(good, { result: 'passed', checks: 'a'.repeat(32), at: new Date() }) });
    const stopped = (signal: 'SIGINT' | 'SIGKILL') =>
      l.validate(
        mute,
        { 'agent-timeout': '30s' },
        { onStart: child => void until(() => l.alive().some(({ imageId }) => imageId === good)).then(() => child.kill(signal)) },
      );
    const cancelled = await stopped('SIGINT');
    expect([cancelled.outputs['outcome'], cancelled.state['journal'], l.alive()]).toEqual(['cancelled', '[]', []]);
    const killed = await stopped('SIGKILL');
    expect(l.alive().map(({ imageId }) => imageId)).toEqual([mute, good]);
    await l.validate(mute, {}, { postOf: killed });
    expect([verdict(mute), l.alive()]).toEqual(['none', []]);
  });

  test.each([
    ['passed', '"true"'],
    ['failed', 'exit 1'],
  ])(
    'cancelled while it is being stored that it has %s: cancelled, with what was found; nothing further is done to the image',
    async (found, command) => {
      const fresh = await l.bake(`stored-${found}`);
      const ran = await l.validate(
        fresh,
        { checks: `- command: ${command}`, 'on-failure': 'deprecate' },
        {
          onStart: child => {
            const cancel = async () => {
              child.kill('SIGINT');
              await new Promise(done => setTimeout(done, 500));
            };
            const stores = ({ input }: CallRecord) => JSON.stringify(input).includes('ami-action:verdict');
            l.lab.faults.add({ operation: 'DescribeImages', action: { stale: true } });
            l.lab.faults.add({ operation: 'CreateTags', when: stores, nth: 1, action: { run: cancel, at: 'before' } });
          },
        },
      );
      expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['verdict']]).toEqual([1, 'cancelled', found]);
      expect(ran.errors.join()).toContain(
        `Cancelled while the verdict "${found}" was stored on ${fresh}: it may not be visible to other runs.`,
      );
      expect(ran.errors.join()).toContain(`${fresh} may still have an older verdict: Cancelled.`);
      expect([l.imageOf(fresh)?.deprecateAt, l.alive()]).toEqual([undefined, []]);
    },
  );

  test('cancelled while a failed image is removed: cancelled, with the verdict that was stored', async () => {
    const fresh = await l.bake('half-removed');
    const ran = await l.validate(
      fresh,
      { checks: '- command: exit 1', 'on-failure': 'delete' },
      {
        onStart: child => {
          const cancel = async () => {
            child.kill('SIGINT');
            await new Promise(done => setTimeout(done, 500));
          };
          l.lab.faults.add({ operation: 'DescribeLaunchConfigurations', nth: 1, action: { run: cancel, at: 'before' } });
        },
      },
    );
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['verdict'], verdict(fresh)]).toEqual([1, 'cancelled', 'failed', 'failed']);
    expect(ran.errors.join()).toContain(`Left behind:\n- image ${fresh}, which failed validation`);
    expect([l.imageOf(fresh)?.state, l.alive()]).toEqual(['available', []]);
  });

  test('kept for debugging: the report has the command to connect and the time of termination', async () => {
    const ran = await l.validate(good, { checks: '- command: exit 1', 'keep-on-failure': '1h' });
    const id = ran.outputs['instance-id'] ?? '';
    expect(ran.errors.join()).toMatch(
      new RegExp(
        `test instance ${id} is kept for debugging and terminates itself at 20[^:]+:.*: aws ssm start-session --region eu-central-1 --target ${id}`,
      ),
    );
    expect(ran.errors.join()).toContain('Next: Debug on the instance with the command above, fix the image, and build it again.');
    expect(l.alive().map(machine => machine.id)).toEqual([id]);
    expect(ran.state['journal']).toBe('[]');
    const passed = await l.validate(good, { 'keep-on-failure': '1h' });
    expect(passed.outputs['verdict']).toBe('passed');
    expect(l.alive().map(machine => machine.id)).toEqual([id]);
    await l.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
  });

  test('a failed image is deprecated or deleted as asked, but not while something uses it', async () => {
    const [first, second] = await Promise.all([l.bake('first'), l.bake('second')]);
    const failing = { checks: '- command: exit 1' };
    const deprecated = await l.validate(first, { ...failing, 'on-failure': 'deprecate' });
    expect(deprecated.errors.join()).toContain('The image is deprecated.');
    expect(l.imageOf(first)?.deprecateAt).toBeDefined();
    const deleted = await l.validate(second, { ...failing, 'on-failure': 'delete' });
    expect(deleted.errors.join()).toContain('The image and its snapshots are deleted.');
    expect(l.imageOf(second)?.state ?? 'deregistered').toBe('deregistered');
    const third = await l.bake('third');
    await l.ec2.send(new RunInstancesCommand({ ImageId: third, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    const spared = await l.validate(third, { ...failing, 'on-failure': 'delete' });
    expect(spared.errors.join()).toMatch(/The image is kept: used by instance i-/);
    expect(l.imageOf(third)?.state).toBe('available');
    await l.ec2.send(new TerminateInstancesCommand({ InstanceIds: l.alive().map(({ id }) => id) }));
  });

  test('revalidate: changed: an image that passed the same checks is skipped; any other is tested', async () => {
    const image = await l.bake('again');
    const calls = async (wanted: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}) => {
      const since = l.lab.calls.mark();
      const ran = await l.validate(image, { revalidate: 'changed', ...wanted }, { files });
      const launched = l.lab.calls.since(since).filter(({ operation }) => operation === 'RunInstances').length;
      return { ran, launched };
    };
    const first = await calls({});
    expect(first).toMatchObject({ launched: 1, ran: { outputs: { verdict: 'passed', outcome: 'done' } } });

    const again = await calls({});
    expect(again.launched).toBe(0);
    const { checks = '' } = first.ran.outputs;
    expect(again.ran.outputs).toEqual({ verdict: 'passed', 'ami-id': image, checks, outcome: 'unchanged' });
    expect(again.ran.log).toMatch(new RegExp(`${image} passed validation at 20\\S+Z. To validate it again, set "revalidate: always".`));

    expect((await calls({ revalidate: 'always' })).launched).toBe(1);
    expect((await calls({ 'test-instance-types': 't3.small' })).launched).toBe(1);
    expect((await calls({ 'user-data': 'setup.sh' }, { 'setup.sh': '#!/bin/sh\ntrue\n' })).launched).toBe(1);
    expect((await calls({ checks: '- command: exit 1' })).ran.outputs['verdict']).toBe('failed');
    // A failed verdict does not skip the second validation.
    expect((await calls({ checks: '- command: exit 1' })).launched).toBe(1);
  });
});
