import { describe, expect, test } from '@jest/globals';
import { AccessError } from '../../src/kit/errors.ts';
import type { Group, Launch } from '../../src/model/group.ts';
import type { Tags } from '../../src/model/image.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { inTurn } from '../../src/rollout/rules/group-pair.ts';
import { A, B, C, failureOf, group, settings as settingsOfRolling, stage, use } from './roll-world.ts';

/** Two permanent groups, as Terraform or a stack owns them: sizes change places, and no group is created or deleted. */

const settings = { ...settingsOfRolling, strategy: 'two-groups' as const, groups: ['web-blue', 'web-green'] };
const back = { ...settings, image: 'previous' };
const behind = { targetGroups: ['arn:tg'], min: 1 };
const idle = { launch: { kind: 'template', template: use('1', 'lt-2') }, members: [], desired: 0, max: 2, ...behind, min: 0 } as const;

function pair(change: Partial<Group> = {}, schedules: readonly string[] = []) {
  const made = stage({ groups: [group('web-blue', behind), group('web-green', { ...idle, ...change })] });
  const { groups, state } = made;
  const sick = new Set<string>();
  const of = (name: string) => state.groups.get(name) as Group;
  const set = (name: string, to: Partial<Group>) => void state.groups.set(name, { ...of(name), ...to });
  const said = (call: string) => {
    made.log.push(call);
    state.onCall(call);
  };
  const filled = (name: string, desired: number) => {
    const { template } = of(name).launch as Extract<Launch, { kind: 'template' }>;
    const image =
      state.versions.find(each => each.templateId === template.templateId && String(each.number) === template.version)?.imageId ?? '';
    return Array.from({ length: desired }, () => {
      const id = `i-${name}-${++state.launched}`;
      state.runs.set(id, image);
      return { id, state: 'InService', healthy: !sick.has(image), protected: false, template };
    });
  };
  Object.assign(groups, {
    resize: async (name: string, sizes: Partial<Pick<Group, 'min' | 'max' | 'desired'>>) => {
      said(`resize ${name} to ${sizes.min}/${sizes.max}/${sizes.desired}`);
      const given = Object.fromEntries(Object.entries(sizes).filter(([, size]) => size !== undefined));
      set(name, { ...given, ...(sizes.desired === undefined ? {} : { members: filled(name, sizes.desired) }) });
    },
    detachTraffic: async (name: string) => {
      said(`detach ${name}`);
      set(name, { targetGroups: [] });
    },
    attachTraffic: async (from: string, as: string) => {
      said(`attach ${as} as ${from}`);
      set(as, { targetGroups: of(from).targetGroups });
    },
    targetHealth: async ({ members }: Group) => members.map(({ id }) => ({ instanceId: id, state: 'healthy', message: 'healthy' })),
    sources: async () => [],
    schedules: async (name: string) => schedules.filter(each => each.endsWith(name)),
    tag: async (name: string, tags: Tags) => set(name, { tags: { ...of(name).tags, ...tags } }),
    untag: async (name: string, keys: string[]) =>
      set(name, { tags: Object.fromEntries(Object.entries(of(name).tags).filter(([key]) => !keys.includes(key))) }),
  });
  const now = () =>
    Object.fromEntries(
      [...state.groups.values()].map(({ name, members, min, max, desired, targetGroups, tags }) => [
        name,
        [
          [...new Set(members.map(({ id }) => state.runs.get(id)))].join(),
          `${min}/${max}/${desired}`,
          targetGroups.length,
          Object.keys(tags).length,
        ],
      ]),
    );
  return { ...made, now, sick };
}

const blueServes = { 'web-blue': [A, '1/4/2', 1, 0], 'web-green': ['', '0/0/0', 1, 0] };
const greenServes = { 'web-blue': ['', '0/0/0', 1, 0], 'web-green': [B, '1/4/2', 1, 0] };

test('the idle group is filled without traffic, attached after its checks, and takes the sizes; nothing is created or deleted', async () => {
  const l = pair();
  expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
  expect([l.now(), l.pointerNow(), l.candidate()]).toEqual([greenServes, B, undefined]);
  expect(l.calls().filter(call => !call.includes('/ami/'))).toEqual([
    `create lt-2:2 from 1 with ${B}`,
    'detach web-green',
    'set web-green to lt-2:2',
    'resize web-green to 2/4/2',
    'resize web-blue to 2/undefined/undefined',
    'attach web-green as web-blue',
    'resize web-blue to 0/0/0',
    'resize web-green to 1/undefined/undefined',
  ]);
  expect((await promote(settings, l.world)).outcome).toBe('unchanged');
  expect((await rollback(back, l.world)).outcome).toBe('done');
  expect([l.now(), l.pointerNow()]).toEqual([{ ...blueServes, 'web-green': ['', '0/0/0', 1, 0] }, A]);
});

test('an image whose instances die: the idle group is emptied again, and launches what it did', async () => {
  const l = pair();
  l.sick.add(B);
  const failure = await failureOf(promote(settings, l.world));
  expect(failure.message).toMatch(/^web-green: i-web-green-\d of the new group became unhealthy$/);
  expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
  expect([l.now(), l.pointerNow(), l.candidate()]).toEqual([blueServes, A, undefined]);
  expect(l.state.groups.get('web-green')?.launch).toEqual(idle.launch);
});

test.each([
  ['web-green was tagged', 'detach web-green', 'done'],
  ['web-green was filled', 'attach web-green as web-blue', 'refused'],
  ['the pointer was moved', 'resize web-blue to 0/0/0', 'refused'],
  ['web-blue was emptied', 'resize web-green to 1/undefined/undefined', 'done'],
])('lost after %s: the same again finishes, a rollback leads back, and another image does no harm', async (_, at, end) => {
  const lost = async () => {
    const l = pair();
    l.state.onCall = call => {
      if (call === at) throw new AccessError('Not allowed', { next: 'Allow it.' });
    };
    // What a killed run leaves: its revert is refused, too.
    const { resize } = l.groups;
    await failureOf(promote(settings, l.world));
    l.state.onCall = () => {};
    Object.assign(l.groups, { resize });
    return l;
  };
  const same = await lost();
  expect(await promote(settings, same.world)).toMatchObject({ outcome: 'done' });
  expect([same.now(), same.pointerNow(), same.candidate()]).toEqual([greenServes, B, undefined]);
  const returned = await lost();
  // Reverted at once, there is nothing to go back from.
  if (returned.candidate() !== undefined) await rollback(back, returned.world);
  expect([returned.now()['web-blue']?.[0], returned.pointerNow()]).toEqual([A, A]);
  const next = await lost();
  const before = [next.now(), next.pointerNow()];
  const other = promote({ ...settings, image: C }, next.world);
  if (end === 'done') {
    expect((await other).outcome).toBe('done');
    expect(next.pointerNow()).toBe(C);
    expect(
      Object.values(next.now())
        .map(([runs]) => runs)
        .sort(),
    ).toEqual(['', C]);
  } else {
    expect((await failureOf(other)).message).toContain(
      `web-blue: green group web-green exists with ${B}: promote that image with "strategy: two-groups" to finish, or run mode "rollback" to empty the group`,
    );
    expect([next.now(), next.pointerNow()]).toEqual(before);
  }
});

describe('refused before the first write', () => {
  test.each<[string, Partial<Group>, readonly string[], RegExp]>([
    ['both have instances', { desired: 1 }, [], /web-blue: web-green has instances too: size one of the two groups to 0/],
    [
      'other load balancers',
      { targetGroups: ['arn:other'] },
      [],
      /web-blue: web-green has other load balancers: both groups need the same ones/,
    ],
    [
      'a scheduled action',
      {},
      ['night of web-green'],
      /scheduled actions \(night of web-green\) would size web-blue and web-green at the wrong time/,
    ],
    ['a group of EKS', { tags: { 'eks:nodegroup-name': 'n' } }, [], /it belongs to EKS node group n/],
  ])('%s', async (_, change, schedules, refusal) => {
    const l = pair(change, schedules);
    expect((await failureOf(promote(settings, l.world))).message).toMatch(refusal);
    expect(l.calls()).toEqual([]);
  });

  test.each([
    ['two-groups', {}, 'blue-green'],
    ['blue-green', { 'ami-action:permanent': 'true' }, 'two-groups'],
  ] as const)('%s, while a pair of the other strategy is unfinished', async (strategy, tags, other) => {
    const l = pair({ tags: { 'ami-action:successor-of': 'web-blue', ...tags }, desired: 2 });
    const groups = strategy === 'two-groups' ? settings.groups : ['web-blue'];
    expect((await failureOf(promote({ ...settings, strategy, groups, image: A }, l.world))).message).toContain(
      `green group web-green exists with ${A}: promote that image with "strategy: ${other}" to finish`,
    );
    expect(l.calls()).toEqual([]);
  });

  test('names that are no pairs', async () => {
    const l = pair();
    expect((await failureOf(promote({ ...settings, groups: ['web-blue'] }, l.world))).message).toBe(
      '"strategy: two-groups" takes "groups" in pairs, such as "groups: web-blue, web-green", and no "group-tags": got web-blue',
    );
  });
});

test('which one serves: the one that our tag names, else the one with instances', () => {
  const [blue, green] = [group('web-blue'), group('web-green', { desired: 0, members: [] })];
  const tagged = group('web-green', { tags: { 'ami-action:successor-of': 'web-blue' } });
  expect([inTurn(blue, green), inTurn(green, blue)].map(({ serving }) => serving.name)).toEqual(['web-blue', 'web-blue']);
  expect([inTurn(blue, tagged), inTurn(tagged, blue)].map(({ serving }) => serving.name)).toEqual(['web-blue', 'web-blue']);
  expect(inTurn(green, { ...green, name: 'web-blue' }).idle).toBeUndefined();
});
