import { describe, expect, test } from '@jest/globals';
import type { Image } from '../../src/model/image.ts';
import { isVetoed } from '../../src/model/veto.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run } from '../../src/rollout/rollback.ts';
import { A, B, C, image, rollWorld, settings, version } from './roll-world.ts';

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
  expect(failure.message).toBe(`No image to roll back to: stage runs ${A}, and ran no image before it.`);
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

  test('when the previous image has no passed verdict any more', async () => {
    const { world, state, calls } = await afterThree();
    state.images.set(B, image(B, { 'ami-action:verdict': '' }));
    await expect(run(back, world)).rejects.toThrow(/Refused to roll back to ami-bbbbbbbb in stage: .*no passed verdict/);
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

test('"image" names the image to roll back to', async () => {
  const { world, pointerNow, state } = await afterThree();
  await run({ ...back, image: A }, world);
  expect([pointerNow(), vetoed(state.images.get(C)), vetoed(state.images.get(B))]).toEqual([A, true, false]);
});
