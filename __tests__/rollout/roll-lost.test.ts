import { describe, expect, test } from '@jest/globals';
import { RejectedError, UnknownError } from '../../src/kit/errors.ts';
import { isVetoed } from '../../src/model/veto.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { A, B, C, failureOf, gone, group, image, parameter, settings, stage, use, version } from './roll-world.ts';

/** Leftovers when AWS stops answering, a run is killed, or a revert fails: each is reported, and the next run finds it. */

const POINTER = '/ami/web/stage';
const CANDIDATE = `${POINTER}/candidate`;
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };

const both = { ...settings, groups: ['web', 'api'] };

describe('the network is gone while a healthy roll is watched', () => {
  const lost = () => {
    const made = stage({ script: ['InProgress'] });
    const { find } = made.groups;
    Object.assign(made.groups, {
      find: async (query: { names?: string[] }) => (query.names === undefined ? find(query) : Promise.reject(gone)),
    });
    return made;
  };

  test('for good: how it ends is unknown, nothing is undone or withdrawn, and the next run finishes it', async () => {
    const { world, calls, candidate, pointerNow, state, restore } = lost();
    const failure = await failureOf(promote(settings, world));
    expect(failure).toBeInstanceOf(UnknownError);
    expect(failure.leftovers).toEqual([
      'refresh r-1 of web is in progress',
      `${CANDIDATE} keeps the image from being pruned until the rollout has finished`,
    ]);
    expect(failure.next).toMatch(/^Re-run the job with the same settings: it finds the rollout.*Check region, network/);
    expect(calls().slice(2)).toEqual(['start r-1 of web to lt-1:2']);
    expect([candidate(), pointerNow()]).toEqual([B, A]);
    restore();
    state.script = ['Baking', 'Successful'];
    expect((await promote(settings, world)).outcome).toBe('done');
    expect([candidate(), pointerNow(), state.refreshes.length]).toEqual([undefined, B, 1]);
  });

  test('for some minutes: it is waited out', async () => {
    const { world, state, groups, pointerNow } = stage();
    const { find } = groups;
    const until = { at: 0 };
    Object.assign(groups, {
      find: async (query: { names?: string[] }) => {
        if (query.names !== undefined && until.at === 0) until.at = state.now + 800_000;
        // Twice, with one answer between.
        const answers = state.now >= until.at || state.now === until.at - 400_000;
        return answers ? find(query) : Promise.reject(gone);
      },
    });
    expect((await promote(settings, world)).outcome).toBe('done');
    expect(pointerNow()).toBe(B);
  });

  test('a rollback that is lost so keeps its veto, and the next one does not go one further', async () => {
    const { world, state, groups, restore, pointerNow } = stage({ pointer: [A, C, B], groups: [group('web')] });
    const { find } = groups;
    Object.assign(groups, {
      find: async (query: { names?: string[] }) => (query.names === undefined ? find(query) : Promise.reject(gone)),
    });
    const back = { ...settings, image: 'previous' };
    for (const { id } of state.groups.get('web')?.members ?? []) state.runs.set(id, B);
    expect((await failureOf(rollback(back, world))).outcome).toBe('unknown');
    expect(isVetoed(state.images.get(B) ?? image(B), scheme, 'stage')).toBe(true);
    restore();
    expect(await rollback(back, world)).toMatchObject({ outputs: { amiId: C, replacedAmiId: B } });
    expect([pointerNow(), ...state.runs.values()]).toEqual([C, C, C]);
  });
});

describe('the way back fails', () => {
  /** Bakes with an instance that runs another image; then the rollback call fails. */
  const stuck = () => {
    const made = stage({ script: ['InProgress', 'Baking'], pointer: [C, A] });
    const { imagesOf } = made.groups;
    Object.assign(made.groups, {
      imagesOf: async (ids: readonly string[]) =>
        new Map([...(await imagesOf(ids))].map(([id, runs]) => [id, id === 'i-web-b2' ? A : runs])),
      rollBack: async () => Promise.reject(gone),
    });
    return made;
  };

  test('of a promotion: what it announced stays, so a rollback leads to where it started and not one further', async () => {
    const { world, candidate, pointerNow, restore, state } = stuck();
    const failure = await failureOf(promote(settings, world));
    expect(failure).toBeInstanceOf(RejectedError);
    expect(failure.leftovers).toEqual([
      'web could not be rolled back: Cannot reach AWS (look): ENOTFOUND',
      'lt-1:2 stays: web uses it',
      `${CANDIDATE} is kept: it shows the next run where this one started`,
    ]);
    expect(failure.next).toMatch(/^Run mode "rollback" with the same groups: it reverts the rest\./);
    expect([candidate(), pointerNow()]).toEqual([B, A]);
    restore();
    state.script = ['Successful'];
    for (const each of state.refreshes) each.refresh = { ...each.refresh, status: 'Failed' };
    expect(await rollback({ ...settings, image: 'previous' }, world)).toMatchObject({ outputs: { amiId: A, replacedAmiId: B } });
    expect([candidate(), pointerNow(), ...new Set(state.runs.values())]).toEqual([undefined, A, A]);
  });

  // robustness.md, nits: "Run rollback with the same groups" cannot work once one of them was deleted.
  test('because the group was deleted: what must happen before a rollback is said', async () => {
    const made = stage({ script: ['InProgress'] });
    const { refresh } = made.groups;
    Object.assign(made.groups, {
      refresh: async (...which: Parameters<typeof refresh>) => {
        const seen = made.state.groups.has('web') ? await refresh(...which) : undefined;
        made.state.groups.delete('web');
        return seen;
      },
    });
    const failure = await failureOf(promote(settings, made.world));
    expect([failure.message, failure.leftovers[0]]).toEqual(['web: the group no longer exists', 'web no longer exists']);
    expect(failure.next).toBe(
      'Create web again, or remove it from "groups". Run mode "rollback" with the same groups: it reverts the rest. Or fix the cause and run the job again.',
    );
  });

  test('of a rollback: the veto stays with it', async () => {
    const { world, candidate, state } = stage({ script: ['Failed'], pointer: [A, B] });
    for (const { id } of state.groups.get('web')?.members ?? []) state.runs.set(id, B);
    state.onCall = call => {
      if (call.startsWith('start')) state.runs.set('i-web-a', A);
    };
    const failure = await failureOf(rollback({ ...settings, image: 'previous' }, world));
    expect(failure.leftovers[0]).toBe(`web: 1 of 2 instances run ${A}, and the group launches lt-1:1`);
    expect(failure.next).toBe('Fix the cause and run the job again: it continues this rollback.');
    expect([candidate(), isVetoed(state.images.get(B) ?? image(B), scheme, 'stage')]).toEqual([A, true]);
  });

  test('of a rollback from a promotion that was lost half way: the next rollback still leads to where that one started', async () => {
    const { world, state, restore, groups, candidate } = stage({ pointer: [C, A], script: ['Failed'] });
    state.onCall = call => {
      if (call.startsWith('start')) state.runs.set('i-web-a', B);
    };
    const { refresh } = groups;
    Object.assign(groups, { refresh: async () => Promise.reject(new UnknownError('The credentials expired.')) });
    expect((await failureOf(promote(settings, world))).outcome).toBe('unknown');
    Object.assign(groups, { refresh });
    await refresh('web', 'r-1');
    const back = { ...settings, image: 'previous' };
    state.onCall = () => {};
    Object.assign(groups, { start: async () => Promise.reject(new RejectedError('AWS refused to start an instance refresh')) });
    const failure = await failureOf(rollback(back, world));
    expect(failure.leftovers).toEqual([
      'Reverted: every group launches and runs what it did before',
      `an unfinished rollout of ${B} by an earlier run`,
      `${CANDIDATE} is kept: it shows the next run where this one started`,
    ]);
    expect(candidate()).toBe(A);
    restore();
    state.script = ['Successful'];
    expect(await rollback(back, world)).toMatchObject({ outputs: { amiId: A, replacedAmiId: B } });
  });

  test('one that was asked for and never answered is adopted, and so is one that AWS says is running', async () => {
    for (const unanswered of [true, false]) {
      const { world, groups, state, candidate, log } = stage({ groups: [group('web'), group('api')] });
      const { start, refresh } = groups;
      Object.assign(groups, {
        start: async (order: { launch: { template: { version: string } } }) => {
          const id = await start(order as never);
          if (order.launch.template.version !== '1') return id;
          return unanswered ? Promise.reject(gone) : undefined;
        },
        refresh: async (name: string, id: string) => {
          state.script =
            id === 'r-2' ? [state.refreshes[0]?.refresh.status === 'Successful' ? 'RollbackSuccessful' : 'InProgress'] : ['Successful'];
          return refresh(name, id);
        },
      });
      const failure = await failureOf(promote(both, world));
      expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
      expect(log.filter(line => line.startsWith('start r-'))).toHaveLength(3);
      expect([candidate(), ...state.runs.values()]).toEqual([undefined, A, A, A, A]);
    }
  });

  test('a refresh of another process in between is not taken for ours', async () => {
    const { world, groups, state, calls } = stage();
    const { start } = groups;
    Object.assign(groups, {
      start: async (order: { launch: unknown }) => {
        await start({ ...order, launch: { kind: 'template', template: use('1') } } as never);
        return undefined;
      },
    });
    const failure = await failureOf(promote(settings, world));
    expect([failure.message, failure.next]).toEqual([
      'web: another process started an instance refresh.',
      'Re-run the job when that refresh has ended.',
    ]);
    expect(calls()).not.toContain('roll back web');
    expect(state.refreshes[0]?.refresh.status).toBe('Pending');
  });

  test('a refresh whose start had no answer is found and reverted', async () => {
    const { world, groups, state, calls, candidate } = stage({ groups: [group('web'), group('api')], script: ['InProgress'] });
    const { start, refreshes } = groups;
    let blind = false;
    Object.assign(groups, {
      start: async (order: { group: string }) => {
        const id = await start(order as never);
        if (order.group === 'web') return id;
        blind = true;
        throw new RejectedError('AWS refused to start an instance refresh of api: ValidationError');
      },
      refreshes: async (name: string) => (blind ? refreshes(name) : []),
    });
    const failure = await failureOf(promote(both, world));
    expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
    expect(
      calls()
        .filter(call => call.startsWith('roll back'))
        .sort(),
    ).toEqual(['roll back api', 'roll back web']);
    expect([candidate(), ...new Set(state.runs.values())]).toEqual([undefined, A]);
  });
});

describe('run again after a run that was lost, and now another group fails', () => {
  /** web is through, api is under way, and we cannot look any more. Afterwards api is rolled back. */
  const lostThenFailed = async (change: (made: ReturnType<typeof stage>) => void = () => {}) => {
    const api = group('api', { launch: { kind: 'template', template: use('1', 'lt-2') } });
    const made = stage({ groups: [group('web'), api] });
    const { groups, state } = made;
    const { refresh } = groups;
    let again = false;
    Object.assign(groups, {
      refresh: async (name: string, id: string) => {
        if (!again && name === 'api' && state.refreshes[0]?.refresh.status === 'Successful') throw gone;
        state.script = name === 'api' ? [again ? 'RollbackSuccessful' : 'InProgress'] : ['Successful'];
        return refresh(name, id);
      },
    });
    expect((await failureOf(promote(both, made.world))).outcome).toBe('unknown');
    const runs = (name: string) => state.groups.get(name)?.members.map(({ id }) => state.runs.get(id));
    expect([runs('web'), runs('api')]).toEqual([
      [B, B],
      [A, A],
    ]);
    again = true;
    change(made);
    return { ...made, runs };
  };

  test('the one that was through goes back too', async () => {
    const { world, runs, candidate, calls } = await lostThenFailed();
    const failure = await failureOf(promote(both, world));
    expect(failure.message).toContain('api: AWS rolled the refresh back');
    expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
    expect(calls().slice(-4)).toEqual([
      'start r-3 of web to lt-1:1 without rollback',
      'remove lt-2:2',
      'remove lt-1:2',
      `remove ${CANDIDATE}`,
    ]);
    expect([runs('web'), runs('api'), candidate()]).toEqual([[A, A], [A, A], undefined]);
  });

  test('where no version shows what it launched, it is reported, and a rollback ends it', async () => {
    const { world, state, candidate } = await lostThenFailed(made => {
      const [first = version(1, A)] = made.state.versions;
      made.state.versions[0] = { ...first, content: '{"InstanceType":"c9"}' };
    });
    const failure = await failureOf(promote(both, world));
    expect(failure.leftovers[0]).toBe(`web runs ${B} since an earlier run, and no version like lt-1:2 has ${A}`);
    expect(failure.next).toMatch(/^Run mode "rollback" with the same groups/);
    expect([candidate(), state.parameters.get(POINTER)?.[0]?.value]).toEqual([B, A]);
    await rollback({ ...both, image: 'previous' }, world).catch(() => {});
    expect(state.refreshes.some(({ refresh }) => refresh.group === 'web' && refresh.id !== 'r-1')).toBe(true);
  });

  test('with undo: failed only the failed one is reverted, and the other is reported', async () => {
    const { world, runs, candidate } = await lostThenFailed();
    const failure = await failureOf(promote({ ...both, undo: 'failed' }, world));
    expect(failure.leftovers[0]).toBe(`web runs ${B}`);
    expect([runs('web'), runs('api'), candidate()]).toEqual([[B, B], [A, A], B]);
  });

  test('when the pointer had moved, all but the new one had proven it: they stay, and so does the pointer', async () => {
    const { world, state, groups, candidate, pointerNow } = stage({ groups: [group('web'), group('api')] });
    const { parameters } = world.inRegion({ region: '' });
    const { remove } = parameters;
    Object.assign(parameters, { remove: async () => Promise.reject(gone) });
    expect((await failureOf(promote({ ...settings, groups: ['web'] }, world))).leftovers[1]).toBe(`${POINTER} names ${B}`);
    Object.assign(parameters, { remove });
    const { refresh } = groups;
    Object.assign(groups, {
      refresh: async (name: string, id: string) => {
        state.script = ['RollbackSuccessful'];
        return refresh(name, id);
      },
    });
    await failureOf(promote(both, world));
    expect([state.runs.get('i-api-a'), [...state.runs.values()].filter(runs => runs === B).length]).toEqual([A, 2]);
    expect([pointerNow(), candidate()]).toEqual([B, undefined]);
    // And what it had announced holds up no other image that fails.
    state.parameters.set(CANDIDATE, [parameter(CANDIDATE, B, 1, `ami-action promote: was ${A}, commit x, run y`)]);
    const failure = await failureOf(promote({ ...both, image: C }, world));
    expect([failure.leftovers, candidate()]).toEqual([['Reverted: every group launches and runs what it did before'], undefined]);
  });

  test('a group that ran the image before anybody promoted it is left alone', async () => {
    const { world, state, candidate } = stage({
      groups: [group('web', { launch: { kind: 'template', template: use('2') } }), group('api')],
    });
    state.versions.push(version(2, B, 'lt-1', 'by hand'));
    for (const end of ['a', 'b']) state.runs.set(`i-web-${end}`, B);
    state.script = ['RollbackSuccessful'];
    const failure = await failureOf(promote(both, world));
    expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
    expect([state.runs.get('i-web-a'), candidate(), state.refreshes.length]).toEqual([B, undefined, 1]);
  });
});

describe('a refresh that leads back and that AWS calls successful', () => {
  /** Successful, although one instance runs C; and then nothing changes any more. */
  function lying(onTheWayBack: string) {
    const l = stage();
    const { start } = l.groups;
    let refreshes = 0;
    Object.assign(l.groups, {
      start: async (order: Parameters<typeof start>[0]) => {
        refreshes += 1;
        return start(order);
      },
      imagesOf: async (ids: readonly string[]) =>
        new Map(ids.map((id, i) => [id, refreshes === 0 ? A : refreshes === 1 ? (i === 0 ? B : C) : onTheWayBack])),
    });
    return l;
  }

  test('is no revert where instances still run the image: they are counted', async () => {
    const l = lying(B);
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.leftovers).toEqual([
      `web: 2 of 2 instances run ${B}, and the group launches lt-1:1`,
      `${CANDIDATE} is kept: it shows the next run where this one started`,
    ]);
    expect([l.pointerNow(), l.candidate()]).toEqual([A, B]);
  });

  test('is one where none does', async () => {
    const l = lying(A);
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
    expect([l.pointerNow(), l.candidate()]).toEqual([A, undefined]);
  });
});
