import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

/** Promotions and rollbacks that lose the network, their rights or their process: what is left, what is said, and how the next run ends it. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const CANDIDATE = `${POINTER}/candidate`;
const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { ...quick, image, ...wanted }, more);
const rollback = (wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('rollback', { ...quick, ...wanted }, more);

async function stage(names: readonly string[] = ['web'], options: Parameters<typeof rollLab>[0] = {}) {
  l = await rollLab({ ...options, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1, ...options.timings } });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  for (const name of names) await l.group(name, { LaunchTemplateId: await l.template(name, { ImageId: a }), Version: '1' });
  return { a, b, c };
}

const runs = (group: string) => [...new Set(l.runs(group))];
const vetoed = (image: string) => l.tags(image)['ami-action:vetoed-in'];

/** From this line on nothing answers, until it is restored. */
function networkGoneAt(text: string) {
  let gone = false;
  const restore = l.lab.faults.add({ when: () => gone, action: { reset: 'before' } });
  const onLine = (line: string) => {
    if (line.includes(text)) gone = true;
  };
  return { restore, onLine };
}

const killAfter = (operation: string, nth = 1) => ({
  onStart: (child: { kill(signal: 'SIGKILL'): unknown }) =>
    void l.lab.faults.add({ operation, nth, action: { run: () => void child.kill('SIGKILL'), at: 'after' } }),
});

describe('the network is gone while the groups are rolled', () => {
  test('by a promotion: outcome unknown, the healthy roll goes on, and the next run finishes it', async () => {
    const { a, b } = await stage();
    const { restore, onLine } = networkGoneAt('started');
    const ran = await promote(b, {}, { onLine });
    expect([ran.exitCode, ran.outputs['outcome'], l.pointer(), l.candidate()]).toEqual([1, 'unknown', a, true]);
    expect(ran.errors.join('\n')).toMatch(
      /^Cannot reach AWS \([\s\S]*- refresh \S+ of web is in progress\n- \S+\/candidate keeps the image[\s\S]*Next: Re-run the job with the same settings: it finds the rollout/,
    );
    expect(l.lab.calls.count('RollbackInstanceRefresh')).toBe(0);
    restore();
    const again = await promote(b);
    expect([again.exitCode, l.refreshes('web'), runs('web'), l.pointer(), l.candidate()]).toEqual([0, ['Successful'], [b], b, false]);
  });

  test('by a rollback: the veto stays, and the next run goes back once and not twice', async () => {
    const { b, c } = await stage();
    for (const image of [b, c]) expect((await promote(image)).exitCode).toBe(0);
    const { restore, onLine } = networkGoneAt('started');
    const ran = await rollback({}, { onLine });
    expect([ran.outputs['outcome'], l.pointer(), l.candidate(), vetoed(c)]).toEqual(['unknown', c, true, 'stage']);
    restore();
    expect((await rollback()).outputs['ami-id']).toBe(b);
    expect([runs('web'), l.pointer(), l.candidate(), vetoed(b), vetoed(c)]).toEqual([[b], b, false, undefined, 'stage']);
  });
});

test('the way back fails: what is left keeps the announcement, and a rollback leads to where it started, not one further', async () => {
  const { a, b, c } = await stage(['web', 'api']);
  for (const ran of [c, a]) await l.pointerTo(ran);
  const wanted = { groups: 'web, api', order: 'one-by-one' };
  l.fails.add('api');
  const allow = l.lab.faults.add({ operation: 'StartInstanceRefresh', nth: 3, action: { error: 'AccessDenied' } });
  const ran = await promote(b, wanted);
  allow();
  expect([ran.outputs['outcome'], runs('web'), runs('api'), l.pointer(), l.candidate()]).toEqual(['rejected', [b], [a], a, true]);
  expect(ran.errors.join('\n')).toMatch(
    /- web could not be rolled back: Not allowed to start[\s\S]*- web:2 stays: web uses it\n- \S+\/candidate is kept: it shows the next run where this one started\nNext: Run mode "rollback" with the same groups/,
  );
  const back = await rollback(wanted);
  expect([back.exitCode, back.outputs['ami-id'], back.outputs['replaced-ami-id']]).toEqual([0, a, b]);
  expect([runs('web'), runs('api'), l.pointer(), l.candidate(), vetoed(b)]).toEqual([[a], [a], a, false, 'stage']);
});

describe('lost, and run again', () => {
  test('with another group failing now: the one that was through goes back too', async () => {
    const { a, b } = await stage(['web', 'api']);
    const wanted = { groups: 'web, api', order: 'one-by-one' };
    expect((await promote(b, wanted, killAfter('StartInstanceRefresh', 2))).signal).toBe('SIGKILL');
    expect(runs('web')).toEqual([b]);
    l.fails.add('api');
    const ran = await promote(b, wanted);
    expect(ran.errors.join('\n')).toMatch(
      /api: (AWS rolled the refresh back|during the bake time, (the load balancer|\d new instances became unhealthy))[\s\S]*Reverted: every group launches and runs what it did before/,
    );
    expect([runs('web'), runs('api'), l.versions('web'), l.versions('api')]).toEqual([[a], [a], [1], [1]]);
    expect([l.launches('web')?.LaunchTemplate?.Version, l.pointer(), l.candidate()]).toEqual(['1', a, false]);
  });
});

describe('the pointer', () => {
  const write = (name: string) => ({
    operation: 'PutParameter',
    when: ({ input }: { input: Readonly<Record<string, unknown>> }) => input['Name'] === name,
    nth: 1,
  });

  test('cannot be written when all is proven: what is there is said, and the next run only moves it', async () => {
    const { a, b } = await stage();
    l.lab.faults.add({ ...write(POINTER), action: { error: 'AccessDeniedException' } });
    const ran = await promote(b);
    expect([ran.outputs['outcome'], runs('web'), l.pointer(), l.candidate()]).toEqual(['access', [b], a, true]);
    expect(ran.errors.join('\n')).toContain(
      `State now:\n- web launches and runs ${b} (verified)\n- ${POINTER} still names ${a}\n- ${CANDIDATE} is kept until the end\nNext: Grant it to the role`,
    );
    const again = await promote(b);
    expect([again.exitCode, l.refreshes('web'), l.pointer(), l.candidate()]).toEqual([0, ['Successful'], b, false]);
  });

  test.each([
    ['at once', 0.1],
    ['and it is being checked for a while', 20],
  ])('the answer to the first write of its candidate is lost %s: it was ours', async (_, parameterCheck) => {
    const { b } = await stage([], { timings: { parameterCheck } });
    l.lab.faults.add({ ...write(CANDIDATE), action: { reset: 'after' } });
    const ran = await promote(b, { strategy: 'none', groups: '' });
    expect([ran.errors, ran.exitCode, l.pointer(), l.candidate()]).toEqual([[], 0, b, false]);
  });

  test('scenario 41: the answer to its own write is lost: two versions, both ours, and no conflict', async () => {
    const { b } = await stage([], { timings: { parameterCheck: 0.01 } });
    l.lab.faults.add({ ...write(POINTER), action: { reset: 'after' } });
    const ran = await promote(b, { strategy: 'none', groups: '' });
    expect([ran.errors, ran.exitCode, l.pointer(), l.pointerVersions()]).toEqual([[], 0, b, 3]);
  });

  test('scenario 64: another process writes it while groups read it: it moves back first, and no group runs an unproven image', async () => {
    const { a, b, c } = await stage();
    await l.group('reads', { LaunchTemplateId: await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` }), Version: '1' });
    l.lab.faults.add({ ...write(POINTER), action: { run: () => l.pointerTo(c).then(() => {}), at: 'before' } });
    const ran = await promote(b, { groups: 'web, reads', 'parameter-templates': 'follow' });
    expect(ran.errors.join('\n')).toContain('another process wrote version 2 at the same time; version 3 of this run');
    expect([l.pointer(), runs('web'), runs('reads'), l.candidate()]).toEqual([a, [a], [a], false]);
  });
});

// The lab's default of two minutes is a quarter of a second here: a machine that stalls once would fail the refresh.
const AS_LONG_AS_AWS = 3600;

/** A call that only reads leaves the account as the write before it did; promote's own loop kills at those too. */
const isWrite = ({ operation }: { operation: string }) => !/^(Describe|Get|List)/.test(operation);

test('several groups, one of which reads the pointer: killed at any write and run again, all are on the image that it names', async () => {
  const { a, b } = await stage(['web', 'api'], { speed: 500, timings: { refreshPatience: AS_LONG_AS_AWS } });
  await l.group('reads', { LaunchTemplateId: await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` }), Version: '1' });
  const wanted = { groups: 'web, api, reads', 'parameter-templates': 'follow' };
  let writes = Number.POSITIVE_INFINITY;
  for (let nth = 1; nth <= writes; nth += 1) {
    const to = l.pointer() === a ? b : a;
    const victim = { kill: () => {} };
    const disarm = l.lab.faults.add({ when: isWrite, nth, action: { run: () => victim.kill(), at: 'after' } });
    const mark = l.lab.calls.mark();
    const ran = await promote(to, wanted, { onStart: child => Object.assign(victim, { kill: () => child.kill('SIGKILL') }) });
    disarm();
    if (ran.signal === null) writes = Math.min(writes, l.lab.calls.since(mark).filter(isWrite).length);
    const again = await promote(to, wanted);
    const stray = ['web', 'api', 'reads'].flatMap(l.refreshes).filter(status => status !== 'Successful');
    const ended = { exitCode: again.exitCode, runs: ['web', 'api', 'reads'].map(runs), pointer: l.pointer(), candidate: l.candidate() };
    expect({ nth, ...ended, versions: [l.versions('web'), l.versions('api'), l.versions('reads')], stray }).toEqual({
      ...{ nth, exitCode: 0, runs: [[to], [to], [to]], pointer: to, candidate: false, stray: [] },
      versions: [[1, 2], [1, 2], [1]],
    });
  }
  expect(writes).toBeGreaterThanOrEqual(6);
}, 300_000);
