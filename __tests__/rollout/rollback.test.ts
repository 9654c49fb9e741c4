import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { isVetoed } from '../../src/model/veto.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run } from '../../src/rollout/rollback.ts';
import { both, HOME, A as RA, B as RB, type Region, settings as regional, twoRegions, WEST } from './regions-world.ts';
import { A, B, C, group, image, rollWorld, settings, use, version } from './roll-world.ts';

const POINTER = '/ami/web/stage';
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const back = { ...settings, image: 'previous' };

/** A group that ran A, then B, then C. */
async function afterThree() {
  const made = rollWorld();
  await promote(settings, made.world);
  await promote({ ...settings, image: C }, made.world);
  made.log.length = 0;
  return made;
}

const vetoed = (of: Image | undefined) => of !== undefined && isVetoed(of, scheme, 'stage');

test('candidate, veto, rollout, and only then the pointer; the earlier template version is used again', async () => {
  const { world, calls, state, pointerNow, candidate } = await afterThree();
  expect(await run(back, world)).toMatchObject({ outcome: 'done', outputs: { amiId: B, replacedAmiId: C } });
  expect(calls()).toEqual([
    `write ${POINTER}/candidate = ${B}`,
    `tag ${C} {"ami-action:vetoed-in":"stage"}`,
    'start r-3 of web to lt-1:2',
    `write ${POINTER} = ${B}`,
    `remove ${POINTER}/candidate`,
  ]);
  expect([...state.runs.values(), pointerNow(), candidate()]).toEqual([B, B, B, undefined]);
});

test('the second time it goes back one further; the third time is refused with the alternatives', async () => {
  const { world, state, pointerNow } = await afterThree();
  await run(back, world);
  await run(back, world);
  expect([...state.runs.values(), pointerNow()]).toEqual([A, A, A]);
  const failure = await run(back, world).catch(cause => cause);
  expect(failure.message).toBe(`No image to roll back to: stage runs ${A}, and its pointer shows no image before it.`);
  expect(failure.next).toBe(`${POINTER} also named ${B}, ${C}: set "image" to one of them. Mode "list" shows every image of the family.`);
});

test('the next push does not bring it back', async () => {
  const { world } = await afterThree();
  await run(back, world);
  await expect(promote({ ...settings, image: C }, world)).rejects.toThrow(/was rolled back in stage and is vetoed there/);
  await promote({ ...settings, image: C, liftVeto: true }, world);
  expect((await promote({ ...settings, image: C }, world)).outcome).toBe('unchanged');
});

test('a rollback that fails leaves the image current, and not vetoed', async () => {
  const { world, state, calls, pointerNow, candidate } = await afterThree();
  state.script = ['InProgress', 'RollbackSuccessful'];
  await expect(run(back, world)).rejects.toThrow(/AWS rolled the refresh back/);
  expect([pointerNow(), candidate(), vetoed(state.images.get(C))]).toEqual([C, undefined, false]);
  expect(calls().slice(-2)).toEqual([`untag ${C} ami-action:vetoed-in`, `remove ${POINTER}/candidate`]);
});

describe('refused before the first write', () => {
  test('when the previous image is gone', async () => {
    const { world, state, calls } = await afterThree();
    state.images.delete(B);
    await expect(run(back, world)).rejects.toThrow(`Image ${B}, which stage ran before, no longer exists in eu-central-1.`);
    expect(calls()).toEqual([]);
  });

  test('when the image that is named never ran here, and has no passed verdict', async () => {
    const { world, state, calls } = await afterThree();
    state.images.set('ami-dddddddd', image('ami-dddddddd', { 'ami-action:verdict': '' }));
    await expect(run({ ...back, image: 'ami-dddddddd' }, world)).rejects.toThrow(
      'Refused to roll back to ami-dddddddd in stage: ami-dddddddd has no passed verdict here (never validated)',
    );
    expect(calls()).toEqual([]);
  });
});

test('a run that ended after the pointer moved is finished, not repeated', async () => {
  const { world, state, calls, pointerNow, candidate } = await afterThree();
  const { remove } = world.inRegion({ region: '' }).parameters;
  const lost = { remove: async () => Promise.reject(new Error('killed')) };
  Object.assign(world.inRegion({ region: '' }).parameters, lost);
  await expect(run(back, world)).rejects.toThrow('killed');
  Object.assign(world.inRegion({ region: '' }).parameters, { remove });
  expect([pointerNow(), candidate()]).toEqual([B, B]);
  await run(back, world);
  expect([pointerNow(), candidate(), vetoed(state.images.get(C)), vetoed(state.images.get(B))]).toEqual([B, undefined, true, false]);
  expect(calls().filter(call => call.startsWith('start'))).toHaveLength(1);
});

test('during an unfinished promotion, back means where it started', async () => {
  const { world, state, pointerNow } = await afterThree();
  await promote(settings, world);
  state.versions.push(version(9, B, 'lt-9'));
  const { parameters } = world.inRegion({ region: '' });
  await parameters.write({
    name: `${POINTER}/candidate`,
    value: C,
    description: `ami-action promote: was ${B}, commit x, run y`,
    existing: undefined,
  });
  await run(back, world);
  expect([pointerNow(), vetoed(state.images.get(C))]).toEqual([B, true]);
});

test('"image" names the image to roll back to, and the plan shows what it goes back over', async () => {
  const { world, pointerNow, state, log } = await afterThree();
  await run({ ...back, image: A }, world);
  expect(log.join('\n')).toContain(`in stage: set by its ID; goes back over ${B}, ${C}; replaces ${C}`);
  expect([pointerNow(), vetoed(state.images.get(C)), vetoed(state.images.get(B))]).toEqual([A, true, false]);
});

describe('blocker B3: there is always a way back', () => {
  const untagged = { ...image(A), tags: {} };
  const first = { images: [untagged, image(B), image(C)], pointer: [] as string[] };

  test('from the first promotion, to what the groups launched before it, without tags and verdict', async () => {
    const { world, state, pointerNow, candidate, log } = rollWorld(first);
    expect(await promote(settings, world)).toMatchObject({ outputs: { previousAmiId: A } });
    expect(state.parameters.get(POINTER)?.[0]?.description).toMatch(new RegExp(`^ami-action promote: was ${A},`));
    expect(await run(back, world)).toMatchObject({ outcome: 'done', outputs: { amiId: A, replacedAmiId: B } });
    expect([...state.runs.values(), pointerNow(), candidate(), vetoed(state.images.get(B))]).toEqual([A, A, A, undefined, true]);
    expect(log).toContain(`! ${A} has no passed verdict (never validated); it is rolled back to because it ran here`);
  });

  test.each([1, 2, 3, 4, 5])('from a first promotion that was killed at write %s', async nth => {
    const { world, state, pointerNow, candidate, calls } = rollWorld(first);
    let writes = 0;
    state.onCall = () => {
      writes += 1;
      if (writes === nth) throw new Error('killed');
    };
    // As SIGKILL does it: what follows is not made either.
    const { parameters, groups, launchTemplates } = world.inRegion({ region: '' });
    const ports = [parameters, groups, launchTemplates].map(port => ({ port, original: { ...port } }));
    const dead = async () => {
      throw new Error('killed');
    };
    const call = state.onCall;
    state.onCall = said => {
      try {
        call(said);
      } catch (cause) {
        for (const { port } of ports) Object.assign(port, Object.fromEntries(Object.keys(port).map(key => [key, dead])));
        throw cause;
      }
    };
    await expect(promote(settings, world)).rejects.toThrow('killed');
    for (const { port, original } of ports) Object.assign(port, original);
    state.onCall = () => {};
    if (nth === 1) {
      expect(calls()).toEqual([]);
      return;
    }
    await promote(settings, world);
    expect(state.parameters.get(POINTER)?.[0]?.description).toMatch(new RegExp(`^ami-action promote: was ${A},`));
    await run(back, world);
    expect([...state.runs.values(), pointerNow(), candidate()]).toEqual([A, A, A, undefined]);
  });

  test('from an unfinished first promotion, before there is a pointer', async () => {
    const { world, state, pointerNow, candidate } = rollWorld({ ...first, script: ['InProgress'] });
    await expect(promote(settings, world)).rejects.toThrow();
    state.script = ['Successful'];
    expect(await run({ ...back, foreignRefresh: 'wait' }, world)).toMatchObject({ outputs: { amiId: A, replacedAmiId: B } });
    expect([...state.runs.values(), pointerNow(), candidate()]).toEqual([A, A, A, undefined]);
  });

  test('a first promotion that fails removes the pointer that groups read, and does not set it to what it remembers', async () => {
    const reader = group('reader', { launch: { kind: 'template', template: use('1', 'lt-2') } });
    const { world, state, calls } = rollWorld({ ...first, groups: [group('web'), reader], script: ['Successful'] });
    state.versions.splice(1, 1, version(1, 'resolve:ssm:/ami/web/stage', 'lt-2'));
    state.onCall = call => void (/^start r-2/.test(call) && state.script.splice(0, 1, 'Failed'));
    await expect(promote({ ...settings, groups: ['web', 'reader'], parameterTemplates: 'follow' }, world)).rejects.toThrow();
    expect(calls().filter(call => call.endsWith(POINTER) || call.startsWith(`write ${POINTER} `))).toEqual([
      `write ${POINTER} = ${B}`,
      `remove ${POINTER}`,
    ]);
  });

  test('a later verdict, over other checks, does not block it', async () => {
    const { world, state, pointerNow, log } = await afterThree();
    const failed = verdictValue(B, { result: 'failed', checks: '1'.repeat(32), at: new Date(0) });
    state.images.set(B, image(B, { 'ami-action:verdict': failed }));
    expect(await run(back, world)).toMatchObject({ outcome: 'done', outputs: { amiId: B } });
    expect(pointerNow()).toBe(B);
    expect(log.join('\n')).toMatch(
      /! ami-bbbbbbbb has no passed verdict \(failed validation at .*\); it is rolled back to because it ran here/,
    );
    await promote({ ...settings, image: C, liftVeto: true }, world);
    await expect(promote(settings, world)).rejects.toThrow(/no passed verdict here/);
  });

  test('an image that the pointer named is one by its ID too, whatever its tags say', async () => {
    const { world, state, pointerNow } = await afterThree();
    state.images.set(A, untagged);
    await run({ ...back, image: A }, world);
    expect(pointerNow()).toBe(A);
  });

  test('an image that the launch templates have a version with is one too', async () => {
    const { world, state, pointerNow } = rollWorld({ pointer: [B], was: B });
    state.versions.unshift(version(0, A));
    state.images.set(A, untagged);
    await run({ ...back, image: A }, world);
    expect(pointerNow()).toBe(A);
  });

  test('where the pointer has no history, the launch templates show what the groups launched', async () => {
    const { world, state, pointerNow } = rollWorld({
      pointer: [B],
      was: B,
      groups: [group('web', { launch: { kind: 'template', template: use('3') } })],
    });
    state.versions.splice(0, 1, version(1, A), version(2, B), version(3, B));
    expect(await run(back, world)).toMatchObject({ outputs: { amiId: A, replacedAmiId: B } });
    expect([...state.runs.values(), pointerNow()]).toEqual([A, A, A]);
  });

  test('groups that launched different images before are named: no single image is the way back', async () => {
    const { world, state, log } = rollWorld({
      ...first,
      groups: [group('web'), group('api', { launch: { kind: 'template', template: use('1', 'lt-2') } })],
    });
    state.versions.splice(1, 1, version(1, C, 'lt-2'));
    await promote({ ...settings, groups: ['web', 'api'] }, world);
    expect(log).toContain(
      `! the groups of stage launch different images (web ${A}, api ${C}): to go back, run "rollback" with "image" and "groups" for each`,
    );
    await expect(run({ ...back, groups: ['web', 'api'] }, world)).rejects.toThrow(
      `No image to roll back to: stage runs ${B}, and its pointer shows no image before it.`,
    );
  });

  test('an emergency takes the shortest bake time and no checkpoints', async () => {
    const { world } = await afterThree();
    const { groups } = world.inRegion({ region: '' });
    const { start } = groups;
    const seen: unknown[] = [];
    Object.assign(groups, {
      start: async (order: Parameters<typeof start>[0]) => {
        seen.push([order.preferences.bakeSeconds, order.preferences.checkpoints]);
        return start(order);
      },
    });
    await run({ ...back, emergency: true, bake: 3600, checkpoints: [50, 100], checkpointDelay: 3600 }, world);
    expect(seen).toEqual([[60, []]]);
  });
});

test('blocker B3: in two regions, each goes back to what its own groups launched', async () => {
  const plain = (ids: readonly string[]) => ids.map(id => ({ ...image(id), tags: {} }));
  const tagged = (region: Region) => image(RB[region], { 'ami-action:commit': '1'.repeat(40) });
  const l = twoRegions({
    [HOME]: { pointer: [], images: [...plain([RA[HOME]]), tagged(HOME)] },
    [WEST]: { pointer: [], images: [...plain([RA[WEST]]), tagged(WEST)] },
  });
  await promote(regional, l.world);
  await run({ ...regional, image: 'previous' }, l.world);
  expect([l.pointers(), l.runs(), l.candidates()]).toEqual([both(RA), both(RA).map(id => [id]), [undefined, undefined]]);
});
