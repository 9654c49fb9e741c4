import { describe, expect, test } from '@jest/globals';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { ownMin } from '../../src/rollout/rules/group-pair.ts';
import { A, B, C, failureOf, group, parameter, settings, stage, use, version } from './roll-world.ts';

/** A newer run takes the environment over while an older one is between two steps. */

const CANDIDATE = '/ami/web/stage/candidate';
const both = { ...settings, groups: ['web', 'api'], order: 'one-by-one' as const };

/** Another run writes its candidate once this one has started `refresh`. */
function takenOverAt(refresh: string, made: ReturnType<typeof stage>) {
  made.state.onCall = call => {
    if (!call.startsWith(`start ${refresh}`)) return;
    made.state.parameters.set(CANDIDATE, [parameter(CANDIDATE, C, 9, `ami-action promote: was ${A}, commit x, run y`)]);
  };
  return made;
}

const twoGroups = () => stage({ groups: [group('web'), group('api', { launch: { kind: 'template', template: use('1', 'lt-2') } })] });

test('another process moves the pointer while the groups that read it are watched: no success', async () => {
  const made = stage();
  made.state.versions = [version(1, 'resolve:ssm:/ami/web/stage')];
  Object.assign(made.groups, {
    start: async () => {
      const members = group('web').members.map(member => ({ ...member, id: `${member.id}-new` }));
      for (const { id } of members) made.state.runs.set(id, B);
      made.state.groups.set('web', group('web', { members }));
      const refresh = { id: 'r-1', group: 'web', status: 'Pending' as const, reason: '', percent: 0, toUpdate: 2, startedAt: undefined };
      made.state.refreshes.push({ refresh: { ...refresh, desired: undefined }, looks: 0, before: group('web').launch });
      return 'r-1';
    },
    refresh: async () => {
      made.state.parameters.set('/ami/web/stage', [parameter('/ami/web/stage', C, 9, 'by hand')]);
      return { ...made.state.refreshes[0]?.refresh, status: 'Successful' };
    },
  });
  const failure = await failureOf(promote({ ...settings, parameterTemplates: 'follow', skipMatching: false }, made.world));
  expect(failure.message).toMatch(/^Parameter \/ami\/web\/stage changed during the promotion: it names ami-cccccccc \(version 9\)/);
});

test('another process deletes the pointer while a refresh of an earlier run goes on, which reads it: no group is reverted', async () => {
  const reader = group('reader', { launch: { kind: 'template', template: use('1', 'lt-2') } });
  const made = stage({
    groups: [group('web', { launch: { kind: 'template', template: use('2') } }), reader],
    pointer: [A, B],
    was: B,
  });
  made.state.versions = [version(1, A), version(2, B), version(1, 'resolve:ssm:/ami/web/stage', 'lt-2')];
  made.state.parameters.set(CANDIDATE, [parameter(CANDIDATE, B, 1, `ami-action promote: was ${A}, commit x, run y`)]);
  const refresh = { id: 'r-1', group: 'reader', status: 'Baking' as const, reason: '', percent: 100, toUpdate: 0, startedAt: undefined };
  made.state.refreshes.push({ refresh: { ...refresh, desired: undefined }, looks: 0, before: reader.launch });
  made.state.onCall = call => void (call === `write ${CANDIDATE} = ${B}` && made.state.parameters.delete('/ami/web/stage'));
  const failure = await failureOf(promote({ ...settings, groups: ['web', 'reader'], parameterTemplates: 'follow' }, made.world));
  expect(failure.message).toMatch(/^Parameter \/ami\/web\/stage changed during the promotion: it names nothing \(version 0\)/);
  expect(failure.leftovers.slice(0, 2)).toEqual([`some instances of reader may run ${B}`, `web runs ${B}`]);
  expect([made.calls().filter(call => /^(start|cancel|roll back|set)/.test(call)), made.candidate()]).toEqual([[], B]);
});

describe('another run takes over', () => {
  test('between two groups: no further group is touched, and nothing is reverted under the hands of the other run', async () => {
    const { world, calls, candidate, pointerNow } = takenOverAt('r-1', twoGroups());
    const failure = await failureOf(promote(both, world));
    expect(failure.message).toBe(`Another run took over the environment before this one had finished: ${CANDIDATE} names ${C}, not ${B}.`);
    expect(failure.leftovers).toEqual([`/ami/web/stage still names ${A}`, 'refresh r-1 of web is not reverted']);
    expect(calls().filter(call => /^(start|roll back|remove|cancel)/.test(call))).toEqual(['start r-1 of web to lt-1:2']);
    expect([candidate(), pointerNow()]).toEqual([C, A]);
  });

  const replacedAt = (call: string, made: ReturnType<typeof stage>) => {
    made.state.onCall = seen => {
      if (!seen.startsWith(call)) return;
      made.state.parameters.set(CANDIDATE, [parameter(CANDIDATE, C, 9, `ami-action promote: was ${A}, commit x, run y`)]);
    };
    return made;
  };

  test('and ends the refresh of this one: it reverts nothing, because the other run has the groups now', async () => {
    const { world, calls, candidate } = takenOverAt('r-1', stage({ script: ['InProgress', 'Cancelled'] }));
    const failure = await failureOf(promote(settings, world));
    expect(failure.message).toBe(`Another run took over the environment before this one had finished: ${CANDIDATE} names ${C}, not ${B}.`);
    expect(failure.leftovers).toContain('refresh r-1 of web is not reverted');
    expect(calls().at(-1)).toBe('start r-1 of web to lt-1:2');
    expect(candidate()).toBe(C);
  });

  test('with the same image: the candidate was written again, so the run before stops', async () => {
    const made = stage();
    made.state.onCall = call => {
      if (!call.startsWith('start r-1')) return;
      made.state.parameters.set(CANDIDATE, [parameter(CANDIDATE, B, 9, `ami-action promote: was ${A}, commit x, run y`)]);
    };
    const failure = await failureOf(promote(settings, made.world));
    expect(failure.message).toBe(
      `Another run took over the environment before this one had finished: ${CANDIDATE} was written again (version 9).`,
    );
    expect([made.candidate(), made.pointerNow()]).toEqual([B, A]);
  });

  test('before the first group: none is touched', async () => {
    const { world, calls } = replacedAt('create lt-1:2', stage());
    const failure = await failureOf(promote(settings, world));
    expect(failure.message).toBe(`Another run took over the environment before this one had finished: ${CANDIDATE} names ${C}, not ${B}.`);
    expect(calls().filter(call => call.startsWith('start'))).toEqual([]);
  });

  test('while the pointer moves: the groups that read it are not touched', async () => {
    const made = replacedAt(`write /ami/web/stage = ${B}`, stage());
    made.state.versions = [version(1, 'resolve:ssm:/ami/web/stage')];
    const failure = await failureOf(promote({ ...settings, parameterTemplates: 'follow' }, made.world));
    expect(failure.message).toBe(`Another run took over the environment before this one had finished: ${CANDIDATE} names ${C}, not ${B}.`);
    expect(made.calls().filter(call => call.startsWith('start'))).toEqual([]);
  });

  const takesOver = (whileItWaits: (made: ReturnType<typeof stage>) => void) => {
    const made = stage();
    made.state.parameters.set(CANDIDATE, [parameter(CANDIDATE, C, 1, `ami-action promote: was ${A}, commit x, run y`)]);
    const { clock } = made.world;
    const { sleep } = clock;
    let waits = 0;
    Object.assign(clock, {
      sleep: async (ms: number) => {
        if (ms === 15_000 && waits++ === 0) whileItWaits(made);
        await sleep(ms);
      },
    });
    return made;
  };

  test('of an environment in which the other run then starts its refresh: it is planned again, and refused', async () => {
    const made = takesOver(({ state }) => {
      const refresh = { group: 'web', status: 'InProgress' as const, reason: '', percent: 0, toUpdate: 2, startedAt: undefined };
      const launch = { kind: 'template' as const, template: use('9') };
      state.refreshes.push({ refresh: { ...refresh, id: 'r-other', desired: launch }, looks: 0, before: launch });
    });
    const failure = await failureOf(promote(settings, made.world));
    expect(failure.message).toMatch(
      /^Refused to promote ami-bbbbbbbb in stage: web: refresh r-other \(not started by ami-action\) is InProgress/,
    );
    expect(made.calls().filter(call => /^(start|create)/.test(call))).toEqual([]);
  });

  test('of an environment whose pointer the other run then moves: nothing is rolled out', async () => {
    const made = takesOver(({ state }) => {
      const moved = parameter('/ami/web/stage', C, 2, `ami-action promote: was ${A}, commit x, run y`);
      state.parameters.set('/ami/web/stage', [moved, ...(state.parameters.get('/ami/web/stage') ?? [])]);
    });
    const failure = await failureOf(promote(settings, made.world));
    expect(failure.message).toMatch(/^Parameter \/ami\/web\/stage changed during the promotion: it names ami-cccccccc \(version 2\)/);
    expect(made.calls().filter(call => /^(start|create)/.test(call))).toEqual([]);
  });

  test('of a rollback: the veto of the image that it went back from stays', async () => {
    const made = takenOverAt('r-1', twoGroups());
    made.state.parameters
      .get('/ami/web/stage')
      ?.unshift(parameter('/ami/web/stage', B, 2, `ami-action promote: was ${A}, commit x, run y`));
    for (const id of made.state.runs.keys()) made.state.runs.set(id, B);
    const failure = await failureOf(rollback({ ...both, image: 'previous' }, made.world));
    expect([failure.outcome, made.candidate(), made.state.images.get(B)?.tags['ami-action:vetoed-in']]).toEqual(['rejected', C, 'stage']);
  });
});

test('a group that was done and launches another image while the next one is rolled out is no success', async () => {
  const { world, state, groups, pointerNow } = twoGroups();
  const { refresh } = groups;
  Object.assign(groups, {
    refresh: async (name: string, id: string) => {
      const seen = await refresh(name, id);
      // web is done at once; an instance of it is replaced from the old version while api is rolled out.
      const web = state.groups.get('web');
      if (name === 'api' && state.now > 60_000 && web !== undefined) {
        state.runs.set('i-web-z', A);
        state.groups.set('web', { ...web, members: web.members.map((member, i) => (i === 0 ? { ...member, id: 'i-web-z' } : member)) });
      }
      const isOpen = name === 'api' && state.now < 120_000;
      return seen === undefined ? undefined : { ...seen, status: isOpen ? ('InProgress' as const) : seen.status };
    },
  });
  const failure = await failureOf(promote({ ...both, order: 'parallel' }, world));
  expect(failure.message).toMatch(
    /^Rollout of 2 groups: web: AWS calls the refresh successful, but i-web-z of 2 in service runs another image/,
  );
  expect(pointerNow()).toBe(A);
});

test.each([
  ['is the one that both groups of a pair kept raised', { 'ami-action:held-min': '1' }, 1],
  ['never grows', { 'ami-action:held-min': '5' }, 2],
  ['is the current one without the tag', {}, 2],
  ['is the current one where the tag is no number', { 'ami-action:held-min': 'two' }, 2],
])('the own minimum of a group %s', (_, tags, min) => {
  expect(ownMin({ tags, min: 2 })).toBe(min);
});
