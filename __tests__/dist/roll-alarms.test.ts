import { afterAll, afterEach, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** AWS starts no refresh with an alarm that is not OK. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const isWrite = ({ operation }: { operation: string }) => !/^(Describe|Get|List)/.test(operation);

async function stage() {
  l = await rollLab({ speed: 240, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const [a, b] = [l.image('web-a'), l.image('web-b')];
  await l.pointerTo(a);
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '$Latest' });
  return { a, b };
}

test('a promotion is refused before the first write; a rollback starts while the alarm rings', async () => {
  const { a, b } = await stage();
  const settings = { groups: 'web', 'warm-up': '0s', bake: '1m', alarms: 'errors' };
  await l.alarm('errors', 'INSUFFICIENT_DATA');
  const mark = l.lab.calls.mark();
  const refused = await l.act('promote', { ...settings, image: b, alarms: 'errors, latency' });
  expect(refused.errors.join('\n')).toMatch(
    /web: alarm "errors" is INSUFFICIENT_DATA, and AWS starts no refresh until it is OK[\s\S]*alarm "latency" does not exist/,
  );
  expect([l.lab.calls.since(mark).filter(isWrite), l.launches('web')?.LaunchTemplate?.Version]).toEqual([[], '$Latest']);

  await l.alarm('errors', 'OK');
  expect((await l.act('promote', { ...settings, image: b })).outputs['outcome']).toBe('done');
  await l.alarm('errors', 'ALARM');
  const back = await l.act('rollback', settings);
  expect([back.exitCode, back.outputs['ami-id'], l.runs('web'), l.pointer()]).toEqual([0, a, [a, a], a]);
});

test('a quota that is used up is told apart from contention: the rollout is refused, and re-running does not help', async () => {
  const { a, b } = await stage();
  const message = 'You have already reached a limit for your Amazon EC2 Auto Scaling resources.';
  l.lab.faults.add({ operation: 'StartInstanceRefresh', action: { error: 'LimitExceeded', message } });
  const ran = await l.act('promote', { groups: 'web', 'warm-up': '0s', bake: '1m', image: b });
  expect([ran.outputs['outcome'], l.runs('web'), l.pointer()]).toEqual(['rejected', [a, a], a]);
  expect(ran.errors.join('\n')).toMatch(
    new RegExp(
      `An Auto Scaling quota does not allow to start an instance refresh of web: ${message}[\\s\\S]*Next: Increase the quota in Service Quotas`,
    ),
  );
});
