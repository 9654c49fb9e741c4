import type { ChildProcess } from 'node:child_process';
import { afterAll, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type PruneLab, pruneLab } from './prune-lab.ts';

afterAll(removeWorkspaces);

const WANTED = { 'keep-newest': '1', 'keep-passed': '0', grace: '7d', 'dry-run': 'false' };
const DAY_MS = 86_400_000;

/** One of each: a newest, one to mark, one to unmark since prod uses it, two whose grace is over, and one that a stranger owns. */
async function stage(): Promise<PruneLab> {
  const l = await pruneLab({ pageSize: undefined });
  for (const daysOld of [10, 20, 30, 40, 50]) l.image(`d${daysOld}`, { daysOld });
  l.image('api', { daysOld: 90, tags: { 'ami-action:family': 'api' } });
  const marked = { 'ami-action:marked-at': new Date(l.lab.clock.now() - 8 * DAY_MS).toISOString() };
  for (const name of ['d30', 'd40', 'd50']) {
    setTags(l.home, l.id(name), marked);
    l.labImage(name).deprecateAt = new Date(l.lab.clock.now() - 8 * DAY_MS);
  }
  await l.parameter('/ami/web/prod', l.id('d30'));
  return l;
}

const state = (l: PruneLab) => ({
  there: l.there(),
  orphans: l.orphans(),
  marked: l.there().filter(name => 'ami-action:marked-at' in l.tags(name)),
  deprecated: l.there().filter(name => l.labImage(name).deprecateAt !== undefined),
});

const AS_IT_SHOULD_BE = { there: ['api', 'd30', 'd20', 'd10'], orphans: [], marked: ['d20'], deprecated: ['d20'] };

test('killed at any call, the next run makes it whole: nothing is left over, and nothing more is gone', async () => {
  const whole = await stage();
  const before = whole.lab.calls.mark();
  expect((await whole.act('prune', WANTED)).exitCode).toBe(0);
  const calls = whole.lab.calls.since(before).map(({ operation }) => operation);
  expect(state(whole)).toEqual(AS_IT_SHOULD_BE);
  await whole.lab.close();
  expect(calls.filter(operation => operation === 'DeregisterImage')).toHaveLength(2);

  for (let nth = 1; nth <= calls.length; nth++) {
    const l = await stage();
    let child: ChildProcess | undefined;
    const lift = l.lab.faults.killAtCall(nth, () => void child?.kill('SIGKILL'));
    const onStart = (started: ChildProcess) => {
      child = started;
    };
    const killed = await l.act('prune', WANTED, { onStart });
    lift();
    expect([nth, killed.signal]).toEqual([nth, 'SIGKILL']);
    expect([nth, l.there().filter(name => !['d40', 'd50'].includes(name))]).toEqual([nth, AS_IT_SHOULD_BE.there]);
    const next = await l.act('prune', WANTED);
    expect([nth, next.exitCode, state(l)]).toEqual([nth, 0, AS_IT_SHOULD_BE]);
    await l.lab.close();
  }
}, 600_000);
