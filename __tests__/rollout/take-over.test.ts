import { describe, expect, test } from '@jest/globals';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { ownMin } from '../../src/rollout/rules/group-pair.ts';
import { A, B, C, failureOf, group, parameter, settings, stage, use } from './roll-world.ts';

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

describe('another run takes over', () => {
  test('between two groups: no further group is touched, and nothing is reverted under the hands of the other run', async () => {
    const { world, calls, candidate, pointerNow } = takenOverAt('r-1', twoGroups());
    const failure = await failureOf(promote(both, world));
    expect(failure.message).toBe(`Another run took over the environment before this one had finished: ${CANDIDATE} names ${C}, not ${B}.`);
    expect(failure.leftovers).toEqual([`/ami/web/stage still names ${A}`, 'refresh r-1 of web is not reverted']);
    expect(calls().filter(call => /^(start|roll back|remove|cancel)/.test(call))).toEqual(['start r-1 of web to lt-1:2']);
    expect([candidate(), pointerNow()]).toEqual([C, A]);
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
