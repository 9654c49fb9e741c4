import { describe, expect, test } from '@jest/globals';
import { AccessError, CancelledError, RejectedError } from '../../src/kit/errors.ts';
import type { Group, Launch } from '../../src/model/group.ts';
import type { Tags } from '../../src/model/image.ts';
import { run as promote, settings as promotion } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { A, B, C, failureOf, group, parameter, settings as settingsOfRolling, stage } from './roll-world.ts';

/** Blue-green, lost while the old group is emptied: from then on only the new one serves. */

const POINTER = '/ami/web/stage';
const settings = { ...settingsOfRolling, strategy: 'blue-green' as const };
const back = { ...settings, image: 'previous' };

/** Groups that can be copied, sized, tagged and removed. */
function pairs() {
  const made = stage();
  const { groups, state } = made;
  const said = (call: string) => {
    if (!call.startsWith('remove')) made.log.push(call);
    state.onCall(call);
  };
  const change = (name: string, to: Partial<Group>) => void state.groups.set(name, { ...(state.groups.get(name) as Group), ...to });
  const tagsOf = (name: string) => Object.entries(state.groups.get(name)?.tags ?? {});
  Object.assign(groups, {
    create: async ({ from, as, launch, tags }: { from: string; as: string; launch: Extract<Launch, { kind: 'template' }>; tags: Tags }) => {
      said(`copy ${from} as ${as}`);
      if (state.groups.has(as)) return 'exists';
      const members = ['a', 'b'].map(end => ({
        ...{ id: `i-${as}-${end}${++state.launched}`, state: 'InService', healthy: true, protected: false, template: launch.template },
      }));
      const runs = state.versions.find(({ number }) => String(number) === launch.template.version)?.imageId ?? '';
      for (const { id } of members) state.runs.set(id, runs);
      const { desired, ...shape } = state.groups.get(from) as Group;
      state.groups.set(as, { ...shape, name: as, launch, members, desired, min: desired, targetGroups: [], tags: { ...tags } });
      return 'created';
    },
    attachTraffic: async (from: string, as: string) => {
      said(`attach ${as} as ${from}`);
      change(as, { targetGroups: state.groups.get(from)?.targetGroups ?? [] });
    },
    resize: async (name: string, { min, max, desired }: Group) => {
      said(`resize ${name}`);
      const sizes = Object.fromEntries(Object.entries({ min, max, desired }).filter(([, size]) => size !== undefined));
      change(name, { ...sizes, ...(desired === 0 ? { members: [] } : {}) });
    },
    remove: async (name: string, { force }: { force: boolean }) => {
      made.log.push(`remove ${name}${force ? '' : ' without force'}`);
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

test('the old group grew after the proof: it is emptied only when the new one can carry its load', async () => {
  const l = pairs();
  const green = () => l.state.groups.get('web-green') as Group;
  let served = 0;
  l.state.onCall = call => {
    if (call === `write ${POINTER} = ${B}`) l.change('web', { desired: 3 });
    if (call === 'resize web-green' && served === 0) served = green().members.length;
    if (call === 'resize web' && green().members.length < 3) throw new Error(`${green().members.length} of 3 serve`);
  };
  const { sleep } = l.world.clock;
  Object.assign(l.world.clock, {
    sleep: async (ms: number) => {
      const { members, desired } = l.state.groups.get('web-green') ?? { members: [], desired: 0 };
      const [first] = members;
      if (first !== undefined && members.length < desired) {
        l.state.runs.set('i-new', B);
        l.change('web-green', { members: [...members, { ...first, id: 'i-new' }] });
      }
      await sleep(ms);
    },
  });
  expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
  expect([served, green().members.length, green().desired, l.state.groups.has('web')]).toEqual([2, 3, 3, false]);
});

test('a schedule makes the old group grow right before its processes are suspended: it is emptied again', async () => {
  const l = pairs();
  const { members } = l.state.groups.get('web') as Group;
  l.state.onCall = call => {
    if (call.startsWith('suspend')) l.change('web', { min: 2, max: 2, desired: 2, members });
  };
  expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
  expect(l.serving()).toEqual([`web-green ${B}`]);
});

test('the new group cannot carry the load of the old one: the processes of the old one keep running, because it still serves', async () => {
  const l = pairs();
  l.state.onCall = call => {
    if (call === `write ${POINTER} = ${B}`) l.change('web', { desired: 3 });
  };
  const failure = await failureOf(promote(settings, l.world));
  expect(failure.message).toBe('Waiting for web-green: gave up after 30m. Last seen: 2 of 3 instances in service.');
  expect(l.calls().filter(call => /suspend|schedules/.test(call))).toEqual([]);
});

test('major M7: the old group grows while the new one comes: the new one grows too, before it gets traffic', async () => {
  const l = pairs();
  const green = () => l.state.groups.get('web-green') as Group;
  const sizes: number[] = [];
  l.state.onCall = call => {
    if (call === 'copy what hangs on web to web-green') l.change('web', { desired: 3 });
    if (call === 'attach web-green as web') sizes.push(green().desired, green().members.length);
    if (call === 'resize web-green' && green().members.length === 2) {
      const [first] = green().members;
      l.state.runs.set('i-new', B);
      if (first !== undefined) l.change('web-green', { members: [...green().members, { ...first, id: 'i-new' }] });
    }
  };
  l.change('web', { targetGroups: ['arn:tg-1'] });
  Object.assign(l.groups, {
    targetHealth: async ({ members }: Group) => members.map(({ id }) => ({ instanceId: id, state: 'healthy', message: 'healthy' })),
  });
  expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
  expect(sizes).toEqual([3, 3]);
});

describe('when the pointer has moved', () => {
  const atTheMove = (work: (l: ReturnType<typeof pairs>) => void) => {
    const l = pairs();
    l.state.onCall = call => void (call === `write ${POINTER} = ${B}` && work(l));
    return l;
  };
  const members = (l: ReturnType<typeof pairs>) => l.state.groups.get('web-green')?.members ?? [];

  test('an instance of the new group is unhealthy: the old group is not emptied', async () => {
    const l = atTheMove(() => l.change('web-green', { members: members(l).map((member, i) => ({ ...member, healthy: i > 0 })) }));
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe('Waiting for web-green: gave up after 30m. Last seen: 1 of 2 instances in service.');
    expect(l.serving()).toEqual([`web ${A}`, `web-green ${B}`]);
  });

  test('another process has deleted the new group: the old one is not emptied', async () => {
    const l = atTheMove(() => l.state.groups.delete('web-green'));
    const failure = await failureOf(promote(settings, l.world));
    expect([failure.message, failure.next]).toEqual(['Another process deleted web-green, so web stays.', 'Run the job again.']);
    expect([l.serving(), l.calls().filter(call => call === 'resize web')]).toEqual([[`web ${A}`], []]);
  });
});

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

describe('two runs at one pair', () => {
  const candidateOf = (image: string, operation: string, was: string) => [
    parameter(`${POINTER}/candidate`, image, 9, `ami-action ${operation}: was ${was}, commit x, run y`),
  ];

  test('a rollback has begun when the pointer moves: the old group is not emptied, because the rollback drops the new one', async () => {
    const l = pairs();
    l.state.onCall = call => {
      if (call === `write ${POINTER} = ${B}`) l.state.parameters.set(`${POINTER}/candidate`, candidateOf(A, 'rollback', B));
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toMatch(/^Another run took over the environment/);
    expect([l.serving(), l.calls().filter(call => call.startsWith('resize web'))]).toEqual([[`web ${A}`, `web-green ${B}`], []]);
  });

  test('the pointer moves after the plan of a rollback: the new group stays, because the old one is emptied now', async () => {
    const l = pairs();
    await promote({ ...settings, hold: true }, l.world);
    l.state.onCall = call => {
      if (!call.startsWith('write') || !call.endsWith(A)) return;
      l.state.parameters.get(POINTER)?.unshift(parameter(POINTER, B, 2, `ami-action promote: was ${A}, commit x, run y`));
    };
    const failure = await failureOf(rollback(back, l.world));
    expect(failure.message).toBe(
      `Parameter ${POINTER} changed during the rollback: it names ${B} (version 2). The plan saw ${A} (version 1).`,
    );
    expect([l.serving(), l.calls().filter(call => call.startsWith('resize web-green'))]).toEqual([[`web ${A}`, `web-green ${B}`], []]);
  });

  test('the old group is emptied when this run fails: the new one stays', async () => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'] });
    Object.assign(l.world.inRegion({ region: '' }), { instances: { architectures: async () => ['x86_64'], console: async () => '' } });
    l.state.onCall = call => {
      if (call !== 'attach web-green as web') return;
      const { members } = l.state.groups.get('web-green') as Group;
      l.change('web-green', { members: members.map(member => ({ ...member, healthy: false })) });
      l.change('web', { min: 0, max: 0, desired: 0, members: [] });
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.leftovers[0]).toBe('web-green exists next to web: web-green stays, because web is emptied or no longer exists.');
    expect(l.serving()).toEqual(['web', `web-green ${B}`]);
  });

  test('the other one has taken over when this one has proven the group: it leaves no tag', async () => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'] });
    Object.assign(l.groups, {
      targetHealth: async ({ members }: Group) => members.map(({ id }) => ({ instanceId: id, state: 'healthy', message: 'healthy' })),
    });
    l.state.onCall = call => {
      if (call !== 'attach web-green as web') return;
      l.state.groups.delete('web');
      l.change('web-green', { tags: { 'ami-action:made-by': 'web' }, targetGroups: ['arn:tg-1'] });
    };
    await promote(settings, l.world);
    expect(l.state.groups.get('web-green')?.tags).toEqual({ 'ami-action:made-by': 'web' });
  });
});

test('processes that the takeover of another run suspends are not suspended in the new group; those of the plan are', async () => {
  const l = pairs();
  l.change('web', { suspended: ['AZRebalance'] });
  l.state.onCall = call => {
    if (call === 'copy web as web-green') l.change('web', { suspended: ['AZRebalance', 'AlarmNotification', 'ScheduledActions'] });
  };
  await promote(settings, l.world);
  expect(l.calls()).toContain('copy what hangs on web to web-green, suspend AZRebalance');
});

describe('another process deletes the new group while both serve', () => {
  test.each(['rolling', 'blue-green'] as const)('the next run gives the own minimum back: %s', async strategy => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'], min: 1 });
    Object.assign(l.groups, {
      targetHealth: async ({ members }: Group) => members.map(({ id }) => ({ instanceId: id, state: 'healthy', message: 'healthy' })),
    });
    await promote({ ...settings, hold: true }, l.world);
    expect(l.state.groups.get('web')).toMatchObject({ min: 2, tags: { 'ami-action:held-min': '1' } });
    l.state.groups.delete('web-green');
    expect(await promote({ ...settings, strategy }, l.world)).toMatchObject({ outcome: 'done' });
    const [left, ...others] = [...l.state.groups.values()];
    expect([left?.min, left?.tags['ami-action:held-min'], others]).toEqual([1, undefined, []]);
  });
});

describe('a group with the name of the green group', () => {
  const foreign = (change: Partial<Group> = {}): Group => ({ ...group('web-green'), ...change });
  const deletions = (log: readonly string[]) => log.filter(line => /^(remove|resize|untag) web-green/.test(line));

  test('that ami-action did not create is refused in the plan, and not touched', async () => {
    const l = pairs();
    l.state.groups.set('web-green', foreign());
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe(
      `Refused to promote ${B} in stage: web: group web-green exists, and is not its green group (tag ami-action:successor-of): delete or rename it, or set "strategy: rolling"`,
    );
    expect([l.calls(), l.state.groups.get('web-green')]).toEqual([[], foreign()]);
  });

  test('that appears after the plan is not touched either, whatever fails then', async () => {
    const l = pairs();
    l.state.onCall = call => {
      if (call === 'copy web as web-green') l.state.groups.set('web-green', foreign());
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe(
      'Group web-green exists, but is not the green group of web for this rollout (tag ami-action:successor-of).',
    );
    expect([deletions(l.calls()), l.state.groups.get('web-green')]).toEqual([[], foreign()]);
    expect(l.serving()).toEqual([`web ${A}`, 'web-green ']);
  });

  test('that is being deleted is waited for', async () => {
    const l = pairs();
    l.state.groups.set('web-green', foreign({ beingDeleted: true, members: [] }));
    const { sleep } = l.world.clock;
    Object.assign(l.world.clock, {
      sleep: async (ms: number) => {
        // AWS has refused to create the new one by then.
        const isWaitedFor = l.calls().includes('copy web as web-green');
        if (isWaitedFor && l.state.groups.get('web-green')?.beingDeleted) l.state.groups.delete('web-green');
        await sleep(ms);
      },
    });
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
    expect(l.serving()).toEqual([`web-green ${B}`]);
  });

  test('that loses its tag while the old one drains: neither is deleted', async () => {
    const l = pairs();
    l.state.onCall = call => void (call.startsWith('suspend') && l.change('web-green', { tags: {} }));
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe(
      'Group web-green exists, but is not the green group of web for this rollout (tag ami-action:successor-of).',
    );
    expect([l.calls().filter(call => call.startsWith('remove web')), l.serving()]).toEqual([[], ['web', `web-green ${B}`]]);
  });

  test('that loses its tag before the removal is not deleted: the tag is read right before', async () => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'] });
    Object.assign(l.world.inRegion({ region: '' }), { instances: { architectures: async () => ['x86_64'], console: async () => '' } });
    l.state.onCall = call => {
      if (call !== 'attach web-green as web') return;
      const { members } = l.state.groups.get('web-green') as Group;
      l.change('web-green', { tags: {}, members: members.map(member => ({ ...member, healthy: false })) });
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.leftovers).toContain(
      'web-green exists next to web: Group web-green exists, but is not the green group of web for this rollout (tag ami-action:successor-of).',
    );
    expect(deletions(l.calls())).toEqual([]);
    expect(l.serving()).toEqual([`web ${A}`, `web-green ${B}`]);
  });
});

describe('a green group', () => {
  test('is tagged for good, gets traffic after its checks, and the old one keeps its size as long as both serve', async () => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'], min: 1 });
    Object.assign(l.groups, {
      targetHealth: async ({ members }: Group) => members.map(({ id }) => ({ instanceId: id, state: 'healthy', message: 'healthy' })),
    });
    const sizes: string[] = [];
    l.state.onCall = call => void (call.startsWith('attach') && sizes.push(`web keeps ${l.state.groups.get('web')?.min}`));
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
    expect(sizes).toEqual(['web keeps 2']);
    expect(l.state.groups.get('web-green')).toMatchObject({ min: 1, desired: 2, tags: { 'ami-action:made-by': 'web' } });
    expect(Object.keys(l.state.groups.get('web-green')?.tags ?? {})).toEqual(['ami-action:made-by']);
    expect(l.calls().filter(call => /web/.test(call) && !call.includes('/ami/'))).toEqual([
      'copy web as web-green',
      'copy what hangs on web to web-green',
      'resize web',
      'attach web-green as web',
      'resize web',
      'suspend AlarmNotification,ScheduledActions of web',
      'copy schedules of web to web-green',
      'remove web without force',
      'resize web-green',
    ]);
  });

  test('that has served is drained and deleted without force, and the old one gets its size back', async () => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'], min: 1 });
    Object.assign(l.world.inRegion({ region: '' }), { instances: { architectures: async () => ['x86_64'], console: async () => '' } });
    l.state.onCall = call => {
      if (call !== 'attach web-green as web') return;
      const { members } = l.state.groups.get('web-green') as Group;
      l.change('web-green', { members: members.map(member => ({ ...member, healthy: false })) });
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.leftovers).toEqual(['Reverted: every group launches and runs what it did before']);
    expect(l.calls().slice(-5, -1)).toEqual(['resize web', 'resize web-green', 'remove web-green without force', 'remove lt-1:2']);
    expect([l.state.groups.get('web')?.min, l.serving()]).toEqual([1, [`web ${A}`]]);
  });

  test('major M6: whose checks fail never gets traffic, and is removed', async () => {
    const l = pairs();
    l.change('web', { targetGroups: ['arn:tg-1'] });
    Object.assign(l.world.inRegion({ region: '' }), { commands: { send: async () => undefined } });
    const checks = promotion.checks.schema().parse([{ name: 'web', command: 'true' }]);
    const failure = await failureOf(promote({ ...settings, bake: 600, checks }, l.world));
    expect(failure.message).toMatch(/^web-green: checks on i-web-green-a\d+: Checks on i-web-green-a\d+: gave up after 6m 30s/);
    expect([l.calls().filter(call => call.startsWith('attach')), l.serving(), l.pointerNow()]).toEqual([[], [`web ${A}`], A]);
  });

  test('whose instances were never in service is deleted at once', async () => {
    const l = pairs();
    l.state.onCall = call => {
      if (call !== 'copy what hangs on web to web-green') return;
      const { members } = l.state.groups.get('web-green') as Group;
      l.change('web-green', { members: members.map(member => ({ ...member, state: 'Pending' })) });
    };
    await failureOf(promote({ ...settings, rollTimeout: 300 }, l.world));
    expect(l.calls().filter(call => call.startsWith('remove web-green'))).toEqual(['remove web-green']);
  });

  test('major M5: that does not drain is not deleted, also after its termination hooks, and the failure says how to go on', async () => {
    const l = pairs();
    Object.assign(l.groups, {
      terminationSeconds: async () => 7200,
      resize: async (name: string, size: Partial<Group>) =>
        l.change(name, size.desired === 0 ? { min: 0, max: 0, desired: 0 } : (size as Partial<Group>)),
    });
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toMatch(/^Draining web: gave up after 2h 30m. Last seen: 2 instances remaining/);
    expect(failure.next).toMatch(/re-run the job: it deletes web once it is empty/);
    expect(l.calls().filter(call => call.startsWith('remove web'))).toEqual([]);
  });
});
