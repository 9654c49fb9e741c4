import { describe, expect, test } from '@jest/globals';
import { AccessError, CancelledError, RejectedError } from '../../src/kit/errors.ts';
import type { Group, Launch } from '../../src/model/group.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { A, B, C, failureOf, settings as settingsOfRolling, stage } from './roll-world.ts';

/** Blue-green, lost while the old group is emptied: from then on only the new one serves. */

const settings = { ...settingsOfRolling, strategy: 'blue-green' as const };
const back = { ...settings, image: 'previous' };

/** Groups that can be copied, sized, tagged and removed. */
function pairs() {
  const made = stage();
  const { groups, state } = made;
  const said = (call: string) => state.onCall(call);
  const change = (name: string, to: Partial<Group>) => void state.groups.set(name, { ...(state.groups.get(name) as Group), ...to });
  const tagsOf = (name: string) => Object.entries(state.groups.get(name)?.tags ?? {});
  Object.assign(groups, {
    copy: async ({ from, as, launch, tags }: { from: string; as: string; launch: Extract<Launch, { kind: 'template' }>; tags: object }) => {
      said(`copy ${from} as ${as}`);
      const members = ['a', 'b'].map(end => ({
        ...{ id: `i-${as}-${end}${++state.launched}`, state: 'InService', healthy: true, protected: false, template: launch.template },
      }));
      const runs = state.versions.find(({ number }) => String(number) === launch.template.version)?.imageId ?? '';
      for (const { id } of members) state.runs.set(id, runs);
      state.groups.set(as, { ...(state.groups.get(from) as Group), name: as, launch, members, tags: { ...tags } });
    },
    resize: async (name: string, { min, max, desired }: Group) => {
      said(`resize ${name}`);
      change(name, { min, max, desired, ...(desired === 0 ? { members: [] } : {}) });
    },
    remove: async (name: string) => {
      said(`remove ${name}`);
      state.groups.delete(name);
    },
    tag: async (name: string, tags: object) => change(name, { tags: { ...Object.fromEntries(tagsOf(name)), ...tags } }),
    untag: async (name: string, keys: string[]) =>
      change(name, { tags: Object.fromEntries(tagsOf(name).filter(([key]) => !keys.includes(key))) }),
  });
  /** What serves: each group, and the images that its instances run. */
  const serving = () =>
    [...state.groups.values()].map(({ name, members }) => [name, ...new Set(members.map(({ id }) => state.runs.get(id)))].join(' '));
  return { ...made, serving, change };
}

/** The pointer has moved, `web` is empty, and it still exists. */
async function emptied() {
  const l = pairs();
  l.state.onCall = call => {
    if (call === 'remove web')
      throw new AccessError('Not allowed to delete web (autoscaling:DeleteAutoScalingGroup)', { next: 'Allow it.' });
  };
  expect(await failureOf(promote(settings, l.world))).toBeInstanceOf(AccessError);
  l.state.onCall = () => {};
  expect([l.serving(), l.pointerNow(), l.candidate()]).toEqual([['web', `web-green ${B}`], B, B]);
  return l;
}

describe('the old group was emptied, and is still there', () => {
  test('the same again finishes', async () => {
    const l = await emptied();
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
    expect([l.serving(), l.pointerNow(), l.candidate()]).toEqual([[`web-green ${B}`], B, undefined]);
  });

  test('a rollback lets the new one take over first, and brings another one: something serves all the while', async () => {
    const l = await emptied();
    const least: number[] = [];
    l.state.onCall = () => void least.push([...l.state.groups.values()].flatMap(({ members }) => members).length);
    expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done', outputs: { amiId: A, replacedAmiId: B } });
    expect([l.serving(), l.pointerNow(), l.candidate()]).toEqual([[`web ${A}`], A, undefined]);
    expect(Math.min(...least)).toBe(2);
  });

  test('so does another image that supersedes it', async () => {
    const l = await emptied();
    await promote({ ...settings, image: C, foreignRefresh: 'supersede' }, l.world);
    expect([l.serving(), l.pointerNow(), l.candidate()]).toEqual([[`web ${C}`], C, undefined]);
  });

  test('the same again, and it is sick by now: it stays, because nothing else serves; a rollback replaces it', async () => {
    const l = await emptied();
    const { members } = l.state.groups.get('web-green') as Group;
    l.change('web-green', { members: members.map(member => ({ ...member, healthy: false })) });
    Object.assign(l.world.inRegion({ region: '' }), { instances: { architectures: async () => ['x86_64'], console: async () => '' } });
    const failure = await failureOf(promote(settings, l.world));
    expect(failure).toBeInstanceOf(RejectedError);
    expect(failure.leftovers).toEqual([
      'web-green stays, because web is already emptied',
      'lt-1:2 stays: web-green uses it',
      '/ami/web/stage/candidate is kept: it shows the next run where this one started',
    ]);
    expect(l.serving()).toEqual(['web', `web-green ${B}`]);
    expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done' });
    expect([l.serving(), l.pointerNow(), l.candidate()]).toEqual([[`web ${A}`], A, undefined]);
  });

  test('cancelled, with "on-cancel: rollback": it stays too', async () => {
    const l = await emptied();
    const { find } = l.groups;
    const cancelled = async (query: Parameters<typeof find>[0]) =>
      query.names === undefined ? find(query) : Promise.reject(new CancelledError());
    Object.assign(l.groups, { find: cancelled });
    const failure = await failureOf(promote({ ...settings, onCancel: 'rollback' }, l.world));
    expect(failure.leftovers[0]).toBe('web-green stays, because web is already emptied');
    expect(l.serving()).toEqual(['web', `web-green ${B}`]);
  });
});
