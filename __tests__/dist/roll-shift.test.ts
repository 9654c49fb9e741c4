import { ModifyListenerCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { type Kind, type Pairing, type ShiftLab, shiftLab } from './shift-lab.ts';

/** Blue-green with a target group for each group: the traffic moves by weights, in steps. */

let s: ShiftLab;
afterEach(() => s.l.lab.close());
afterAll(removeWorkspaces);

const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<ShiftLab['l']['act']>[2] = {}) =>
  s.l.act('promote', { ...s.settings, image, ...wanted }, more);

const ALL_STEPS = ['a 100', 'a 90, b 10', 'a 50, b 50', 'b 100'];

describe('a story of each kind', () => {
  test.each<[Kind, Pairing]>([
    ['rule', 'temporary'],
    ['listener', 'permanent'],
    ['network', 'temporary'],
    ['network', 'permanent'],
  ])('%s, %s: 10, 50, 100 %% of the requests, none unanswered, then the pointer; and back again', async (kind, pairing) => {
    s = await shiftLab(kind, pairing);
    const { a, b, l } = s;
    const planned = await promote(b, { 'dry-run': 'true' });
    expect(planned.errors).toEqual([]);
    expect(planned.log).toContain(`takes 10, 50, 100 % of the traffic by ${s.at}, 30s at each step (deregistration delay 5s)`);
    expect(planned.log).toContain(`one call sends all traffic to ${s.targets.blue} again, then`);
    expect(l.lab.calls.count('ModifyListener') + l.lab.calls.count('ModifyRule')).toBe(0);

    const shares = s.visit();
    const ran = await promote(b);
    expect(ran.errors).toEqual([]);
    expect([ran.outputs['outcome'], shares]).toEqual(['done', ALL_STEPS]);
    const [old = '', successor = ''] = pairing === 'temporary' ? ['web', 'web-green'] : ['web-blue', 'web-green'];
    const after = pairing === 'temporary' ? { [successor]: b } : { [old]: '', [successor]: b };
    expect(s.state()).toEqual({ runs: after, weights: '0/100', pointer: b, candidate: false, tags: [] });
    expect(JSON.parse(ran.outputs['refreshes'] ?? '')).toMatchObject([{ group: old, successor, shifted: 100 }]);
    for (const percent of [10, 50, 100]) expect(ran.log).toContain(`Shift ${percent} % of the traffic to ${successor}`);

    const back = await l.act('rollback', { ...s.settings, shift: '50, 100' });
    expect(back.errors).toEqual([]);
    expect(shares.slice(ALL_STEPS.length)).toEqual(['a 50, b 50', 'a 100']);
    expect(s.state()).toEqual({
      ...{ runs: pairing === 'temporary' ? { [old]: a } : { [old]: a, [successor]: '' }, weights: '100/0' },
      ...{ pointer: a, candidate: false, tags: [] },
    });
  });
});

describe('a bad image', () => {
  test.each<[Pairing, number]>([
    ['temporary', 10],
    ['permanent', 50],
  ])('%s, sick at %d %%: all traffic goes back in one call, and everything is as before', async (pairing, percent) => {
    s = await shiftLab('rule', pairing);
    const { a, b, l } = s;
    const before = s.state();
    const shares = s.visit();
    const running = promote(b);
    await until(() => shares.at(-1)?.endsWith(`b ${percent}`) === true);
    l.sick.add(b);
    const ran = await running;
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toContain('Reverted: every group launches and runs what it did before');
    expect(s.state()).toEqual({ ...before, weights: '1/0' });
    expect([l.pointer(), shares.at(-1)]).toEqual([a, 'a 100']);
    // The old side is never without targets, and the green group goes only after the weights.
    const calls = l.lab.calls.all().map(({ operation }) => operation);
    expect(calls.lastIndexOf('ModifyRule')).toBeLessThan(calls.lastIndexOf('UpdateAutoScalingGroup'));
  });

  test('an alarm at 50 % sends all traffic back', async () => {
    s = await shiftLab('listener', 'temporary');
    const { a, b, l } = s;
    await l.alarm('errors', 'OK');
    const before = s.state();
    const shares = s.visit();
    const running = promote(b, { alarms: 'errors' });
    await until(() => shares.at(-1) === 'a 50, b 50');
    await l.alarm('errors', 'ALARM');
    const ran = await running;
    expect(ran.errors.join('\n')).toContain('alarm "errors" is ALARM at 50 % of the traffic');
    expect([s.state(), shares.at(-1), l.pointer()]).toEqual([before, 'a 100', a]);
  });
});

describe('interrupted', () => {
  test('cancelled at 10 %: the traffic goes back at once; the same settings again finish it', async () => {
    s = await shiftLab('rule', 'temporary');
    const { a, b } = s;
    const shares = s.visit();
    const ran = await promote(
      b,
      {},
      endedWhen('SIGTERM', () => shares.at(-1) === 'a 90, b 10'),
    );
    expect(ran.outputs['outcome']).toBe('cancelled');
    expect(ran.errors.join('\n')).toContain('web-green exists next to web, which still serves');
    expect([s.weights(), s.l.runs('web'), s.l.pointer()]).toEqual(['1/0', [a, a], a]);
    expect((await promote(b)).outputs['outcome']).toBe('done');
    expect(s.state()).toEqual({ runs: { 'web-green': b }, weights: '0/100', pointer: b, candidate: false, tags: [] });
  });

  test.each(['promote', 'rollback'] as const)('killed at 50 %%: %s takes it from there', async next => {
    s = await shiftLab('rule', 'permanent');
    const { a, b, l } = s;
    const before = s.state();
    const shares = s.visit();
    await promote(
      b,
      {},
      endedWhen('SIGKILL', () => shares.at(-1) === 'a 50, b 50'),
    );
    expect(s.weights()).toBe('50/50');
    if (next === 'rollback') {
      expect((await l.act('rollback', s.settings)).errors).toEqual([]);
      expect([s.state(), shares.at(-1)]).toEqual([{ ...before, pointer: a }, 'a 100']);
      return;
    }
    expect((await promote(b)).errors).toEqual([]);
    expect(shares).toEqual(ALL_STEPS);
    expect(s.state()).toEqual({ runs: { 'web-blue': '', 'web-green': b }, weights: '0/100', pointer: b, candidate: false, tags: [] });
  });
});

describe('what another process does', () => {
  test('it changes the weights: the run stops, changes them no more, and keeps both groups', async () => {
    s = await shiftLab('listener', 'temporary');
    const { a, b, l } = s;
    const shares = s.visit();
    const running = promote(b);
    await until(() => shares.at(-1) === 'a 90, b 10');
    const TargetGroups = [
      { TargetGroupArn: s.targets.blue, Weight: 70 },
      { TargetGroupArn: s.targets.green, Weight: 30 },
    ];
    await l.cloud.balancing.send(
      new ModifyListenerCommand({ ListenerArn: s.at, DefaultActions: [{ Type: 'forward', ForwardConfig: { TargetGroups } }] }),
    );
    const ran = await running;
    expect(ran.errors.join('\n')).toContain(
      `${s.at} has the weights 70 (${s.targets.blue}) and 30 (${s.targets.green}), which another process set.`,
    );
    expect([s.weights(), l.runs('web'), l.runs('web-green'), l.pointer()]).toEqual(['70/30', [a, a], [b, b], a]);
    const mark = l.lab.calls.mark();
    expect((await promote(b)).errors.join('\n')).toContain('which another process set: set them to 1 and 0');
    expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List)/.test(operation))).toEqual([]);
  });
});

const endedWhen = (signal: 'SIGTERM' | 'SIGKILL', isTime: () => boolean): Parameters<typeof promote>[2] => ({
  onStart: child => void until(isTime).then(() => child.kill(signal)),
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let waited = 0; !isTrue() && waited < 3600; waited += 1) await s.l.lab.clock.sleep(1);
  expect(isTrue()).toBe(true);
}
