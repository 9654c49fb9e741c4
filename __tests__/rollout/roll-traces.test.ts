import { describe, expect, test } from '@jest/globals';
import { AccessError, RejectedError, TimeoutError, UnknownError } from '../../src/kit/errors.ts';
import type { Group } from '../../src/model/group.ts';
import type { ParameterWrite } from '../../src/ports/groups.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { A, B, C, failureOf, gone, group, parameter, type Start, settings, stage, use, version } from './roll-world.ts';

/** What a rollout writes in addition to the groups: template versions, the pointer and its candidate. Each is removed, kept or reported. */

const POINTER = '/ami/web/stage';
const CANDIDATE = `${POINTER}/candidate`;

describe('a template version without use', () => {
  test('is removed although an instance that is being terminated came from it', async () => {
    const { world, state, calls } = stage({ script: ['InProgress', 'RollbackSuccessful'] });
    state.onCall = call => {
      if (!call.startsWith('start')) return;
      const leaving = { id: 'i-x', state: 'Terminating:Wait', healthy: false, protected: false, template: use('2') };
      state.groups.set('other', group('other', { members: [leaving] }));
    };
    await failureOf(promote(settings, world));
    expect(calls()).toContain('remove lt-1:2');
  });

  const failing = (start: Start = {}) => stage({ script: ['RollbackSuccessful'], ...start });
  const other = (change: Partial<ReturnType<typeof group>>) => group('other', { members: [], desired: 0, ...change });
  const at = (name: string) => ({ kind: 'template' as const, template: use(name) });

  test('is removed', async () => {
    const { world, calls } = failing({ groups: [group('web'), other({})] });
    await failureOf(promote(settings, world));
    expect(calls()).toContain('remove lt-1:2');
  });

  test.each([
    ['a group launches it by number', other({ launch: at('2') })],
    ['a group launches $Latest, which it is', other({ launch: at('$Latest') })],
    [
      'an instance came from it',
      other({ launch: at('1'), members: [{ id: 'i-x', state: 'InService', healthy: true, protected: false, template: use('2') }] }),
    ],
  ])('stays where %s', async (_, comes) => {
    const { world, calls, state } = failing();
    // In between: at the time of the plan no group did.
    state.onCall = call => void (call.startsWith('start') && state.groups.set('other', comes));
    const failure = await failureOf(promote(settings, world));
    expect(failure.leftovers).toEqual(['lt-1:2 stays: other uses it']);
    expect(calls()).not.toContain('remove lt-1:2');
  });

  test('stays where a refresh is bringing it to a group', async () => {
    const { world, calls, state } = failing({ groups: [group('web'), other({})] });
    const desired = at('2');
    const active = {
      id: 'r-x',
      group: 'other',
      status: 'InProgress' as const,
      reason: '',
      percent: 0,
      toUpdate: 1,
      startedAt: undefined,
      desired,
    };
    state.onCall = call => void (call.startsWith('start') && state.refreshes.unshift({ refresh: active, looks: 0, before: at('1') }));
    expect((await failureOf(promote(settings, world))).leftovers).toEqual(['lt-1:2 stays: other uses it']);
    expect(calls()).not.toContain('remove lt-1:2');
  });

  test('stays where another process made it the default', async () => {
    const { world, calls, state } = failing();
    state.onCall = call => {
      if (call.startsWith('start')) state.versions = state.versions.map(each => ({ ...each, isDefault: each.number === 2 }));
    };
    expect((await failureOf(promote(settings, world))).leftovers).toEqual([
      'lt-1:2 stays: everything that launches the default version uses it',
    ]);
    expect(calls()).not.toContain('remove lt-1:2');
  });

  test('stays where we did not make it', async () => {
    const { world, calls, state } = failing();
    state.versions.push(version(2, B, 'lt-1', 'by hand'));
    await failureOf(promote(settings, world));
    expect(calls().filter(call => call.startsWith('remove'))).toEqual([`remove ${CANDIDATE}`]);
  });

  test('stays where it cannot be read who uses it', async () => {
    const { world, calls, groups } = failing();
    const { refreshes } = groups;
    let asked = 0;
    Object.assign(groups, { refreshes: async (name: string) => (++asked > 1 ? Promise.reject(gone) : refreshes(name)) });
    expect((await failureOf(promote(settings, world))).leftovers).toEqual([
      'created template versions could not be deleted: Cannot reach AWS (look): ENOTFOUND',
    ]);
    expect(calls()).not.toContain('remove lt-1:2');
  });
});

describe('the pointer', () => {
  type Write = ReturnType<typeof stage>['parameters']['write'];
  const writes = (made: ReturnType<typeof stage>, of: (write: Write, order: ParameterWrite) => ReturnType<Write>) => {
    const { write } = made.parameters;
    Object.assign(made.parameters, { write: (order: ParameterWrite) => of(write, order) });
  };
  const ofPointer = ({ name }: ParameterWrite) => name === POINTER;

  test('written, and not answered when it is read back: unknown, with the command to look', async () => {
    const made = stage();
    const { read } = made.parameters;
    Object.assign(made.parameters, {
      read: async (name: string) =>
        made.state.parameters.get(name)?.[0]?.value === B ? Promise.reject(new TimeoutError('AWS throttled all retries')) : read(name),
    });
    const failure = await failureOf(promote({ ...settings, groups: undefined, strategy: 'none' }, made.world));
    expect(failure).toBeInstanceOf(UnknownError);
    expect(failure.message).toBe(`${CANDIDATE} was set to ${B} (version 1), but could not be read back: AWS throttled all retries`);
    expect(failure.next).toBe(`Check it (aws ssm get-parameter --name ${CANDIDATE}), then run the job again with the same settings.`);
  });

  describe('found standing behind VPC Lattice, which is heard only after the grace period', () => {
    const lattice = 'arn:aws:vpc-lattice:eu-central-1:111122223333:targetgroup/tg-1';
    const behind = group('web', { balancers: [lattice], healthCheck: 'ELB', graceSeconds: 300 });
    const standing = async () => {
      const made = stage({ groups: [behind] });
      Object.assign(made.groups, { sources: async () => [{ name: lattice, type: 'vpc-lattice', state: 'InService' }] });
      made.state.onCall = call => {
        if (call === `write ${POINTER} = ${B}`) throw new Error('killed');
      };
      await promote(settings, made.world).catch(() => {});
      made.state.onCall = () => {};
      return { ...made, since: made.state.now };
    };

    test('it is watched for so long', async () => {
      const made = await standing();
      expect(await promote(settings, made.world)).toMatchObject({ outcome: 'done' });
      expect(made.state.now - made.since).toBeGreaterThanOrEqual(360_000);
    });

    test('what dies in between is not called proven', async () => {
      const made = await standing();
      const { find } = made.groups;
      const isSick = () => made.state.now - made.since > 200_000;
      const sick = (each: Group): Group =>
        isSick() ? { ...each, members: each.members.map(member => ({ ...member, healthy: false })) } : each;
      Object.assign(made.groups, { find: async (query: Parameters<typeof find>[0]) => (await find(query)).map(sick) });
      const failure = await failureOf(promote(settings, made.world));
      expect(failure).toBeInstanceOf(RejectedError);
      expect([made.pointerNow(), made.candidate()]).toEqual([A, B]);
    });
  });

  test('throttled for a minute while it is read back is no failure', async () => {
    const made = stage();
    const { read } = made.parameters;
    const throttled = () => made.state.now < 60_000;
    Object.assign(made.parameters, {
      read: async (name: string) => (name === CANDIDATE && throttled() ? Promise.reject(new TimeoutError('Throttling')) : read(name)),
    });
    expect((await promote(settings, made.world)).outcome).toBe('done');
    expect(throttled()).toBe(false);
  });

  test('written twice by one call: both are ours, without a conflict', async () => {
    const made = stage();
    writes(made, async (write, order) => {
      if (ofPointer(order)) await write(order);
      return write(order);
    });
    expect(await promote(settings, made.world)).toMatchObject({ outcome: 'done', outputs: { pointerVersion: 3 } });
  });

  test.each([
    [
      'forbidden',
      new AccessError('Not allowed to write', { next: 'Grant it to the role.' }),
      'access',
      `${POINTER} still names ${A}`,
      /^Grant it to the role\. Re-run the job with the same settings/,
    ],
    ['out of reach', gone, 'unknown', `${POINTER} may still name ${A}`, /^Re-run the job with the same settings.*Check region/],
    [
      'too late',
      new UnknownError('The credentials expired.', { next: 'Run the job again: it finds what it started.' }),
      'unknown',
      `${POINTER} may still name ${A}`,
      /^Run the job again: it finds/,
    ],
  ])('last of all, and %s: what is proven and what is left, and the next run moves it', async (_, cause, outcome, says, next) => {
    const made = stage();
    let forbidden = true;
    writes(made, (write, order) => (ofPointer(order) && forbidden ? Promise.reject(cause) : write(order)));
    const failure = await failureOf(promote(settings, made.world));
    expect([failure.outcome, failure.leftovers]).toEqual([
      outcome,
      ['web launches and runs ami-bbbbbbbb (verified)', says, `${CANDIDATE} is kept until the end`],
    ]);
    expect(failure.next).toMatch(next);
    forbidden = false;
    expect((await promote(settings, made.world)).outcome).toBe('done');
    expect([made.pointerNow(), made.candidate(), made.state.refreshes.length]).toEqual([B, undefined, 1]);
  });
});

describe('the announcement', () => {
  /** "It exists already": the answer to `times` writes of the candidate. */
  const contested = (made: ReturnType<typeof stage>, times: number, doing: (order: ParameterWrite) => void = () => {}) => {
    const { write } = made.parameters;
    let asked = 0;
    Object.assign(made.parameters, {
      write: async (order: ParameterWrite) => {
        if (order.name !== CANDIDATE || ++asked > times) return write(order);
        doing(order);
        return undefined;
      },
    });
  };
  const hold = (made: ReturnType<typeof stage>, value: string, description: string) =>
    made.state.parameters.set(CANDIDATE, [parameter(CANDIDATE, value, 1, description)]);

  test('was ours, and its answer got lost', async () => {
    const made = stage();
    contested(made, 1, ({ value, description }) => hold(made, value, description));
    expect((await promote(settings, made.world)).outcome).toBe('done');
    expect(made.calls()).not.toContain(`write ${CANDIDATE} = ${B}`);
  });

  test('of another run that is about the same is as good as ours', async () => {
    const made = stage();
    contested(made, 1, () => hold(made, B, `ami-action promote: was ${A}, commit x, run z`));
    expect((await promote(settings, made.world)).outcome).toBe('done');
  });

  test('of another run that is about something else stops us, and it is not ours to remove', async () => {
    const made = stage();
    contested(made, 1, () => hold(made, C, `ami-action promote: was ${A}, commit x, run z`));
    const failure = await failureOf(promote(settings, made.world));
    expect(failure.message).toBe(
      `Another process wrote ${CANDIDATE} at the same time: it names ${C}, with the description "ami-action promote: was ${A}, commit x, run z".`,
    );
    expect([failure.outcome, failure.next, made.candidate()]).toEqual(['rejected', 'Run the job again when that process has finished.', C]);
  });

  test('has a name that was deleted a moment ago: it is free again after half a minute', async () => {
    const made = stage();
    contested(made, 6);
    expect((await promote(settings, made.world)).outcome).toBe('done');
    const blocked = stage();
    contested(blocked, 100);
    const failure = await failureOf(promote(settings, blocked.world));
    expect([failure.outcome, failure.next]).toEqual(['timeout', 'Run the job again in a minute.']);
    expect(blocked.state.refreshes).toEqual([]);
  });

  const other = `ami-action promote: was ${A}, commit x, run z`;

  test('F8: names the image of another run before the pointer moves: this run fails, and the pointer is left to that one', async () => {
    const made = stage();
    made.state.onCall = call => void (call.startsWith('start') && hold(made, C, other));
    const failure = await failureOf(promote(settings, made.world));
    expect([failure.outcome, failure.message]).toEqual([
      'rejected',
      `Another run took over the environment before this one had finished: ${CANDIDATE} names ${C}, not ${B}.`,
    ]);
    expect([failure.leftovers, failure.next]).toEqual([
      [`${POINTER} still names ${A}`],
      `Wait for that run. Run the job again if ${B} must run.`,
    ]);
    expect([made.pointerNow(), made.candidate()]).toEqual([A, C]);
  });

  test('F8: names the image of another run after the pointer moved: not green', async () => {
    const made = stage();
    made.state.onCall = call => void (call === `write ${POINTER} = ${B}` && hold(made, C, other));
    const failure = await failureOf(promote(settings, made.world));
    expect([failure.outcome, made.pointerNow(), made.candidate()]).toEqual(['rejected', B, C]);
    expect(failure.message).toMatch(/^Another run took over the environment before this one had finished/);
  });

  test('F8: was removed by a run that reverted the same image: not green; by one that finished it: green', async () => {
    for (const finished of [false, true]) {
      const made = stage();
      made.state.onCall = call => {
        if (!call.startsWith('start')) return;
        made.state.parameters.delete(CANDIDATE);
        if (finished) made.state.parameters.set(POINTER, [parameter(POINTER, B, 2, other), ...(made.state.parameters.get(POINTER) ?? [])]);
      };
      const outcome = await promote(settings, made.world).then(
        ended => ended.outcome,
        failure => failure.message,
      );
      expect(outcome).toBe(
        finished ? 'done' : `Another run took over the environment before this one had finished: ${CANDIDATE} was removed.`,
      );
    }
  });
});
