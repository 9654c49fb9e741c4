import { ModifyListenerCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { guestOf, instances } from '../../lab/ec2/state.ts';
import { zones } from '../../lab/route53/records.ts';
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
    ['records', 'temporary'],
    ['records', 'permanent'],
    ['classic', 'temporary'],
    ['classic', 'permanent'],
  ])('%s, %s: 10, 50, 100 %% of the requests, none unanswered, then the pointer; and back again', async (kind, pairing) => {
    s = await shiftLab(kind, pairing);
    const { a, b, l } = s;
    const planned = await promote(b, { 'dry-run': 'true' });
    expect(planned.errors).toEqual([]);
    expect(planned.log).toContain(
      `with 2 instances (4 at once, about ${s.at.startsWith('Z') ? '6m 30s' : '3m 30s'})`.replace(
        'with',
        pairing === 'temporary' ? 'with' : 'to',
      ),
    );
    expect(planned.log).toContain(
      `takes 10, 50, 100 % of the traffic by ${s.at}, 30s at each step (deregistration delay ${kind === 'classic' ? '0s' : '5s'})`,
    );
    expect(planned.log).toContain(`one call sends all traffic to ${s.targets.blue} again, then`);
    expect(planned.log.includes('DNS: resolvers keep an answer for 1m (the TTL)')).toBe(s.at.startsWith('Z'));
    expect(l.lab.calls.all().filter(({ operation }) => /^(Modify(Listener|Rule)|Change)/.test(operation)).length).toBe(0);

    const shares = s.visit();
    const ran = await promote(b);
    expect(ran.errors).toEqual([]);
    expect([ran.outputs['outcome'], shares]).toEqual(['done', ALL_STEPS]);
    const [old = '', successor = ''] = pairing === 'temporary' ? ['web', 'web-green'] : ['web-blue', 'web-green'];
    const after = pairing === 'temporary' ? { [successor]: b } : { [old]: '', [successor]: b };
    expect(s.state()).toEqual({ runs: after, weights: '0/100', pointer: b, candidate: false, tags: [] });
    expect(JSON.parse(ran.outputs['refreshes'] ?? '')).toMatchObject([{ group: old, successor, shifted: 100 }]);
    for (const percent of [10, 50, 100])
      for (const text of [ran.log, ran.summary]) expect(text).toContain(`Shift ${percent} % of the traffic to ${successor}`);

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

  test.each<[Pairing, number, string]>([
    ['temporary', 1, '90/10'],
    ['permanent', 2, '50/50'],
  ])(
    '%s, checks that fail from change %i on: all traffic goes back from %s, and everything is as before',
    async (pairing, nth, weights) => {
      s = await shiftLab('rule', pairing, { sandbox: true, speed: 60 });
      const { a, b, l } = s;
      const before = s.state();
      const spoil = async () => {
        const green = [...instances(l.place).values()].filter(({ imageId }) => imageId === b);
        await Promise.all(green.map(machine => guestOf(machine)?.exec(['touch', '/srv/broken'])));
      };
      const seen: string[] = [];
      l.lab.faults.add({ operation: 'ModifyRule', nth, action: { run: spoil, at: 'before' } });
      l.lab.faults.add({ operation: 'ModifyRule', action: { run: () => void seen.push(s.weights()), at: 'after' } });
      const ran = await promote(b, { checks: '- name: web answers\n  command: test ! -e /srv/broken', 'checks-timeout': '20s' });
      expect(ran.errors.join('\n')).toMatch(/checks on i-[0-9a-f]+: 1 of 1 check failed; web answers /);
      expect([s.state(), l.pointer(), seen.at(-2), seen.at(-1)]).toEqual([before, a, weights, '1/0']);
    },
  );

  test('behind records: the traffic goes back, and the green group stays until no client follows it', async () => {
    s = await shiftLab('classic', 'temporary');
    const { b, l } = s;
    const before = s.state();
    const shares = s.visit();
    await l.alarm('errors', 'OK');
    const running = promote(b, { alarms: 'errors' });
    await until(() => shares.at(-1) === 'a 90, b 10');
    await l.alarm('errors', 'ALARM');
    const ran = await running;
    expect(ran.errors.join('\n')).toContain('alarm "errors" is ALARM at 10 % of the traffic');
    expect(ran.log).toContain('web-green: kept for 1m (the TTL), because clients may still use it');
    expect([s.state(), shares]).toEqual([before, ['a 100', 'a 90, b 10', 'a 100']]);
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
  test('held at 100 %: both groups stay, and a rollback sends the traffic back', async () => {
    s = await shiftLab('listener', 'temporary');
    const { a, b, l } = s;
    const before = s.state();
    const held = await promote(b, { hold: 'true', shift: '100' });
    expect(held.outputs['outcome']).toBe('unknown');
    expect([s.weights(), l.runs('web'), l.runs('web-green'), l.pointer()]).toEqual(['0/100', [a, a], [b, b], a]);
    expect((await l.act('rollback', s.settings)).errors).toEqual([]);
    expect(s.state()).toEqual(before);
  });

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

  test.each<Kind>(['network', 'records', 'classic'])(
    '%s: an answer is lost, cancelled at 10 %%, killed at 50 %%, then an alarm at 100 %%: every time the old group serves',
    async kind => {
      s = await shiftLab(kind, 'temporary');
      const { a, b, l } = s;
      const before = s.state();
      const shares = s.visit();
      await l.alarm('errors', 'OK');
      const isShare = (share: string) => () => shares.at(-1) === share;
      const operation = kind === 'network' ? 'ModifyListener' : 'ChangeResourceRecordSets';
      l.lab.faults.add({ operation, nth: 1, action: { reset: 'after' } });
      const cancelled = await promote(b, { alarms: 'errors' }, endedWhen('SIGTERM', isShare('a 90, b 10')));
      expect([cancelled.outputs['outcome'], s.weights(), l.runs('web'), l.pointer(), l.candidate()]).toEqual([
        ...['cancelled', '1/0', [a, a], a, true],
      ]);
      expect(cancelled.errors.join('\n')).toContain('web-green exists next to web, which still serves');
      const killed = await promote(b, { alarms: 'errors' }, endedWhen('SIGKILL', isShare('a 50, b 50')));
      expect([killed.signal, s.weights(), l.runs('web'), l.pointer()]).toEqual(['SIGKILL', '50/50', [a, a], a]);
      const running = promote(b, { alarms: 'errors' });
      await until(isShare('b 100'));
      await l.alarm('errors', 'ALARM');
      const failed = await running;
      expect([failed.outputs['outcome'], s.state(), shares.at(-1)]).toEqual(['rejected', before, 'a 100']);
      expect(failed.errors.join('\n')).toMatch(
        /alarm "errors" is ALARM at 100 % of the traffic[\s\S]*Reverted: every group launches and runs what it did before/,
      );
      expect(shares.filter(share => /none/.test(share))).toEqual([]);
    },
  );

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
  test('it changes a record between our look and our change: Route 53 refuses ours, and everything is as before', async () => {
    s = await shiftLab('records', 'temporary');
    const { a, b, l } = s;
    const before = s.state();
    const change = () => {
      const [[zone, records] = ['', []]] = [...zones(l.place)];
      zones(l.place).set(
        zone,
        records.map(record => (record.SetIdentifier === 'blue' ? { ...record, HealthCheckId: 'added' } : record)),
      );
    };
    l.lab.faults.add({ operation: 'ChangeResourceRecordSets', nth: 1, action: { run: change, at: 'before' } });
    const ran = await promote(b);
    expect(ran.errors.join('\n')).toContain(`Another process changed ${s.at} at the same time, so its weights were not changed.`);
    expect([s.state(), l.pointer()]).toEqual([before, a]);
    expect(
      zones(l.place)
        .get('Z0123456789ABC')
        ?.some(({ HealthCheckId }) => HealthCheckId === 'added'),
    ).toBe(true);
  });

  test('it changes the weights: the run stops, changes them no more, and keeps both groups', async () => {
    s = await shiftLab('listener', 'temporary');
    const { a, b, l } = s;
    const shares = s.visit();
    const running = promote(b);
    await until(() => shares.at(-1) === 'a 90, b 10');
    await setWeights(70, 30);
    const ran = await running;
    expect(ran.errors.join('\n')).toContain(
      `${s.at} has the weights 70 (${s.targets.blue}) and 30 (${s.targets.green}), which another process set.`,
    );
    expect([s.weights(), l.runs('web'), l.runs('web-green'), l.pointer()]).toEqual(['70/30', [a, a], [b, b], a]);
    const mark = l.lab.calls.mark();
    expect((await promote(b)).errors.join('\n')).toContain('which another process set: set them to 1 and 0');
    expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List)/.test(operation))).toEqual([]);
  });

  test.each<Pairing>(['temporary', 'permanent'])(
    '%s: it moves traffic back before the old group is emptied: that group stays',
    async pairing => {
      s = await shiftLab('listener', pairing);
      const { a, b, l } = s;
      const [old = '', successor = ''] = pairing === 'temporary' ? ['web', 'web-green'] : ['web-blue', 'web-green'];
      const isPointer = ({ input }: { input: object }) => (input as { Name?: string }).Name === '/ami/web/stage';
      l.lab.faults.add({ operation: 'PutParameter', when: isPointer, nth: 1, action: { run: () => setWeights(50, 50), at: 'after' } });
      const ran = await promote(b);
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
      expect(ran.errors.join('\n')).toContain(
        `${s.at} does not send all traffic to ${successor} any more: ${s.targets.blue} has weight 50.`,
      );
      expect([s.weights(), l.runs(old), l.runs(successor), l.pointer()]).toEqual(['50/50', [a, a], [b, b], b]);
      await setWeights(0, 100);
      expect((await promote(b)).errors).toEqual([]);
      const runs = pairing === 'temporary' ? { [successor]: b } : { [old]: '', [successor]: b };
      expect(s.state()).toEqual({ runs, weights: '0/100', pointer: b, candidate: false, tags: [] });
    },
  );
});

/** Another process. */
async function setWeights(blue: number, green: number): Promise<void> {
  const TargetGroups = [
    { TargetGroupArn: s.targets.blue, Weight: blue },
    { TargetGroupArn: s.targets.green, Weight: green },
  ];
  await s.l.cloud.balancing.send(
    new ModifyListenerCommand({ ListenerArn: s.at, DefaultActions: [{ Type: 'forward', ForwardConfig: { TargetGroups } }] }),
  );
}

const endedWhen = (signal: 'SIGTERM' | 'SIGKILL', isTime: () => boolean): Parameters<typeof promote>[2] => ({
  onStart: child => void until(isTime).then(() => child.kill(signal)),
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let waited = 0; !isTrue() && waited < 3600; waited += 1) await s.l.lab.clock.sleep(1);
  expect(isTrue()).toBe(true);
}
