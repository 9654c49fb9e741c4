import { RebootInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { until, type ValidateLab, validateLab } from './validate-lab.ts';

let l: ValidateLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const hasPassed = (image: string) =>
  setTags(l.home, image, { 'ami-action:verdict': verdictValue(image, { result: 'passed', checks: 'a'.repeat(32), at: new Date() }) });

/** One run that is killed at its nth call; true when it got so far. */
async function killedAt(n: number, image: string, attempt: number, at: 'before' | 'after' = 'before'): Promise<boolean> {
  let kill = () => {};
  const disarm = l.lab.faults.killAtCall(n, () => kill(), at);
  const ran = await l.validate(
    image,
    {},
    {
      env: { GITHUB_RUN_ATTEMPT: String(attempt) },
      onStart: child => {
        kill = () => void child.kill('SIGKILL');
      },
    },
  );
  disarm();
  return ran.signal === 'SIGKILL';
}

/** Killed after the nth call, counted from the launch of the second machine; true when it got so far. */
async function killedWithControlAt(n: number, mute: string, attempt: number): Promise<boolean> {
  let kill = () => {};
  const arm = () => void l.lab.faults.killAtCall(n - 1, () => kill(), 'after');
  const second = { operation: 'RunInstances', nth: 2 };
  l.lab.faults.add({ ...second, action: n === 1 ? { kill: () => kill(), at: 'after' } : { run: arm, at: 'before' } });
  const ran = await l.validate(
    mute,
    { 'agent-timeout': '10s' },
    {
      env: { GITHUB_RUN_ATTEMPT: String(attempt) },
      onStart: child => {
        kill = () => void child.kill('SIGKILL');
      },
    },
  );
  l.lab.faults.clear();
  return ran.signal === 'SIGKILL';
}

describe('killed', () => {
  test('at any call: the next attempt terminates what remains', async () => {
    l = await validateLab({ speed: 120 });
    const good = await l.bake('good');
    let calls = 0;
    // Each attempt is killed one call later, and sweeps what the one before has left.
    while (await killedAt(calls + 1, good, calls + 1)) calls += 1;
    expect(calls).toBeGreaterThan(15);
    expect(l.alive()).toEqual([]);
    const last = await l.validate(good, {}, { env: { GITHUB_RUN_ATTEMPT: String(calls + 2) } });
    expect(last.outputs['verdict']).toBe('passed');
    expect(l.alive()).toEqual([]);
  });

  test('at any call while a control instance runs, neither instance outlives the next attempt', async () => {
    l = await validateLab({ speed: 120 });
    const [good, mute] = await Promise.all([l.bake('good'), l.bake('mute', 'systemctl disable amazon-ssm-agent')]);
    hasPassed(good);
    // Until it is killed so late that the second machine has ended: from there on it is like a run with one.
    let killed = 0;
    for (let both = true; both; ) {
      killed += 1;
      expect(await killedWithControlAt(killed, mute, killed)).toBe(true);
      const left = l.alive().map(({ id, imageId }) => ({ imageId, run: l.tagsOf(id)['ami-action:run'] }));
      // What the attempts before this one had left is gone.
      expect(left.map(({ run }) => run)).toEqual(left.map(() => `1001/${killed}`));
      both = left.some(({ imageId }) => imageId === good);
    }
    expect(killed).toBeGreaterThan(8);
    const last = await l.validate(mute, { 'agent-timeout': '2m' }, { env: { GITHUB_RUN_ATTEMPT: String(killed + 1) } });
    expect([last.outputs['verdict'], l.alive()]).toEqual(['failed', []]);
  });

  test.each([
    ['its launch', 'good', 1, 600],
    ['the launch of a control instance', 'mute', 2, 240],
  ] as const)(
    'right after %s, without a later run: all instances terminate themselves, also after a reboot',
    async (_, tried, nth, speed) => {
      l = await validateLab({ speed });
      const baked = { good: await l.bake('good'), mute: await l.bake('mute', 'systemctl disable amazon-ssm-agent') };
      hasPassed(baked.good);
      const mark = l.lab.calls.mark();
      let kill = () => {};
      l.lab.faults.add({ operation: 'RunInstances', nth, action: { run: () => kill(), at: 'after' } });
      const short = { 'boot-timeout': nth === 1 ? '10s' : '5m', 'agent-timeout': '10s', 'checks-timeout': '10s' };
      const ran = await l.validate(baked[tried], short, {
        onStart: child => {
          kill = () => void child.kill('SIGKILL');
        },
      });
      expect(ran.signal).toBe('SIGKILL');
      const last = () => l.alive().find(({ imageId }) => imageId === baked.good);
      await until(() => last()?.state === 'running');
      await l.ec2.send(new RebootInstancesCommand({ InstanceIds: [last()?.id ?? ''] }));
      await until(() => l.alive().length === 0, 60);
      expect(l.lab.calls.count('TerminateInstances', mark)).toBe(0);
    },
  );

  test('the sweep of a later run terminates expired instances only', async () => {
    l = await validateLab();
    const good = await l.bake('good');
    const kept = await l.validate(good, { checks: '- command: exit 1', 'keep-on-failure': '1h' }, { env: { GITHUB_RUN_ID: '900' } });
    const id = kept.outputs['instance-id'] ?? '';
    const other = await l.validate(good);
    expect(other.outputs['verdict']).toBe('passed');
    expect(l.alive().map(machine => machine.id)).toEqual([id]);
    setTags(l.home, id, { 'ami-action:expires-at': new Date(l.lab.clock.now() - 1000).toISOString() });
    const later = await l.validate(good);
    expect(later.warnings.join()).toContain(`Terminated test instance ${id} of an earlier run: it expired at`);
    expect(l.alive()).toEqual([]);
  });
});
