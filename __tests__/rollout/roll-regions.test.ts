import { describe, expect, test } from '@jest/globals';
import { AccessError, RejectedError, UsageError } from '../../src/kit/errors.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { A, B, both, C, dieAt, HOME, NONE, POINTER, settings, twoRegions, WEST } from './regions-world.ts';
import { failureOf, group, image } from './roll-world.ts';

describe('promote in several regions', () => {
  test('every region proves the image before the first pointer moves', async () => {
    const l = twoRegions();
    expect(await promote(settings, l.world)).toMatchObject({
      outcome: 'done',
      outputs: {
        amiId: B[HOME],
        amiIds: B,
        refreshes: [
          { region: HOME, group: 'web', from: 'lt-1:1', to: 'lt-1:2' },
          { region: WEST, group: 'web', from: 'lt-1:1', to: 'lt-1:2' },
        ],
      },
    });
    expect(l.log).toEqual([
      `${HOME}: write ${POINTER}/candidate = ${B[HOME]}`,
      `${WEST}: write ${POINTER}/candidate = ${B[WEST]}`,
      `${HOME}: create lt-1:2 from 1 with ${B[HOME]}`,
      `${WEST}: create lt-1:2 from 1 with ${B[WEST]}`,
      `${HOME}: start r-1 of web to lt-1:2`,
      `${WEST}: start r-1 of web to lt-1:2`,
      `${HOME}: write ${POINTER} = ${B[HOME]}`,
      `${WEST}: write ${POINTER} = ${B[WEST]}`,
      `${WEST}: remove ${POINTER}/candidate`,
      `${HOME}: remove ${POINTER}/candidate`,
    ]);
    expect([l.pointers(), l.runs().flat()]).toEqual([both(B), both(B)]);
  });

  test('again, and nothing is written', async () => {
    const l = twoRegions();
    await promote(settings, l.world);
    l.log.length = 0;
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'unchanged', outputs: { amiIds: B, changed: false } });
    expect(l.log).toEqual([]);
  });

  test('a dry run plans every region', async () => {
    const l = twoRegions();
    expect(await promote({ ...settings, dryRun: true }, l.world)).toMatchObject({ outcome: 'planned', outputs: { amiIds: B } });
    expect(l.log).toEqual([]);
    for (const region of [HOME, WEST] as const) {
      const plan = l.said.filter(line => line.startsWith(`${region}: `)).join('\n');
      expect(plan).toContain(`Promote web 1111111 (${B[region]}) in stage: `);
      expect(plan).toContain('create a version of lt-1 from version 1');
      expect(plan).toContain(`${POINTER}: moves from ${A[region]} when all groups are verified`);
    }
  });

  test('one region fails, and all go back', async () => {
    const slow = Array.from({ length: 9 }, () => 'InProgress' as const);
    const l = twoRegions({ [HOME]: { script: slow }, [WEST]: { script: ['InProgress', 'Failed'] } });
    const failure = await failureOf(promote(settings, l.world));
    expect(failure).toBeInstanceOf(RejectedError);
    expect(failure.message).toMatch(/^eu-west-1: web: /);
    expect(l.log).toContain(`${HOME}: roll back web`);
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([both(A), NONE, [A[HOME]]]);
    expect(failure.leftovers).toContain(`${HOME}: Reverted: every group launches and runs what it did before`);
  });

  test('the others halt at once, and not when the failed one is reverted', async () => {
    const slow = Array.from({ length: 12 }, () => 'InProgress' as const);
    const l = twoRegions({ [HOME]: { script: [...slow, 'Successful'] }, [WEST]: { script: ['InProgress', 'Failed'] } });
    const { launchTemplates } = l.place(WEST);
    const { remove } = launchTemplates;
    const takesLong = async (version: Parameters<typeof remove>[0]) => {
      for (const _ of slow) for (const __ of slow) await l.world.clock.sleep(1000);
      return remove(version);
    };
    Object.assign(launchTemplates, { remove: takesLong });
    await failureOf(promote(settings, l.world));
    expect(l.log).toContain(`${HOME}: roll back web`);
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([both(A), NONE, [A[HOME]]]);
  });

  test('where it fails before it is begun, the others are not begun either', async () => {
    const l = twoRegions();
    const { launchTemplates } = l.place(HOME);
    const { create } = launchTemplates;
    const takesLonger = async (order: Parameters<typeof create>[0]) => {
      for (const _ of 'a while') await l.world.clock.sleep(1000);
      return create(order);
    };
    Object.assign(launchTemplates, { create: takesLonger });
    l.hooks.before = call => {
      if (call.startsWith(`${WEST}: create`)) throw new AccessError('Not allowed (ec2:CreateLaunchTemplateVersion)', { next: 'Allow it.' });
    };
    await failureOf(promote(settings, l.world));
    expect(l.log.filter(line => line.includes('start'))).toEqual([]);
    expect([l.candidates(), l.versions()]).toEqual([NONE, [2, 2]]);
  });

  test('one after another: the second fails, and the first, long done, goes back', async () => {
    const l = twoRegions({ [WEST]: { script: ['Failed'] } });
    const failure = await failureOf(promote({ ...settings, order: 'one-by-one' }, l.world));
    expect(failure.message).toMatch(/^eu-west-1: web: /);
    expect(l.log.filter(line => line.includes('start'))).toEqual([
      `${HOME}: start r-1 of web to lt-1:2`,
      `${WEST}: start r-1 of web to lt-1:2`,
      `${HOME}: start r-2 of web to lt-1:1 without rollback`,
    ]);
    expect([l.pointers(), l.candidates(), l.runs()[0], l.versions()]).toEqual([both(A), NONE, [A[HOME]], [2, 2]]);
  });

  test('one after another: the first fails, and the second is never touched', async () => {
    const l = twoRegions({ [HOME]: { script: ['Failed'] } });
    const failure = await failureOf(promote({ ...settings, order: 'one-by-one' }, l.world));
    expect(failure.message).toMatch(/^eu-central-1: web: /);
    expect(failure.leftovers).toContain(`${WEST}: not started`);
    expect(l.log.filter(line => line.startsWith(WEST))).toEqual([
      `${WEST}: write ${POINTER}/candidate = ${B[WEST]}`,
      `${WEST}: remove ${POINTER}/candidate`,
    ]);
  });

  test('undo: failed leaves the other region on the image, and says so', async () => {
    const l = twoRegions({ [WEST]: { script: ['InProgress', 'Failed'] } });
    const failure = await failureOf(promote({ ...settings, undo: 'failed' }, l.world));
    expect([l.pointers(), l.runs()[0]]).toEqual([both(A), [B[HOME]]]);
    expect(l.candidates()).toEqual(both(B));
    expect(failure.leftovers).toContain(`${HOME}: web runs ${B[HOME]}`);
    expect(failure.next).toBe('Run mode "rollback" with the same groups: it reverts the rest. Or fix the cause and run the job again.');
  });

  test('a pointer that another process moved: none of ours is moved', async () => {
    const l = twoRegions();
    l.hooks.before = call => {
      if (!call.includes('start')) return;
      l.hooks.before = () => {};
      const history = l.made[WEST].state.parameters.get(POINTER) ?? [];
      const [now] = history;
      if (now !== undefined) l.made[WEST].state.parameters.set(POINTER, [{ ...now, value: C[WEST], version: 2 }, ...history]);
    };
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe(
      `${WEST}: Parameter ${POINTER} changed during the promotion: it names ${C[WEST]} (version 2). The plan saw ${A[WEST]} (version 1).`,
    );
    expect(l.pointers()).toEqual([A[HOME], C[WEST]]);
    expect(l.log).not.toContain(`${HOME}: write ${POINTER} = ${B[HOME]}`);
    expect(failure.leftovers).toEqual([
      `${HOME}: web launches and runs ${B[HOME]} (verified)`,
      `${HOME}: ${POINTER} still names ${A[HOME]}`,
      `${WEST}: web launches and runs ${B[WEST]} (verified)`,
      `${POINTER}/candidate is kept until the end`,
    ]);
  });

  test('a pointer that may not be moved takes the one back that was', async () => {
    const l = twoRegions();
    const denied = () => {
      throw new AccessError('Not allowed to write /ami/web/stage (ssm:PutParameter)', { next: 'Allow it.' });
    };
    l.hooks.before = call => (call === `${WEST}: write ${POINTER} = ${B[WEST]}` ? denied() : undefined);
    const failure = await failureOf(promote(settings, l.world));
    expect(failure).toBeInstanceOf(AccessError);
    expect(l.pointers()).toEqual(both(A));
    expect(l.candidates()).toEqual(both(B));
    expect(failure.leftovers).toContain(`${HOME}: ${POINTER} still names ${A[HOME]}`);
    // Allowed, the next run finishes: the groups stand already.
    l.hooks.before = () => {};
    l.log.length = 0;
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
    expect(l.log.filter(line => line.includes('start'))).toEqual([]);
    expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(B), NONE, both(B)]);
  });

  test('a region that ran the image long before keeps it when another one fails', async () => {
    const l = twoRegions({ [WEST]: { script: ['Failed'] } });
    await promote({ ...settings, regions: [] }, l.world);
    await failureOf(promote(settings, l.world));
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([[B[HOME], A[WEST]], NONE, [B[HOME]]]);
  });

  test('killed between two pointers, and what stood in the other region falls: the first pointer goes back too', async () => {
    const l = twoRegions();
    dieAt(l, 8);
    await promote(settings, l.world).catch(() => {});
    expect(l.pointers()).toEqual([B[HOME], A[WEST]]);
    l.hooks.before = () => {};
    const west = l.made[WEST].state;
    for (const id of west.runs.keys()) west.runs.set(id, A[WEST]);
    west.script.splice(0, 9, 'Failed');
    await failureOf(promote(settings, l.world));
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual([both(A), NONE, [A[HOME]]]);
  });

  test('without waiting, and the same again: it watches and finishes', async () => {
    const l = twoRegions();
    expect(await promote({ ...settings, wait: false }, l.world)).toMatchObject({ outcome: 'unknown' });
    expect([l.pointers(), l.candidates()]).toEqual([both(A), both(B)]);
    expect(await promote(settings, l.world)).toMatchObject({ outcome: 'done' });
    expect([l.pointers(), l.candidates(), l.runs().flat(), l.versions()]).toEqual([both(B), NONE, both(B), [3, 3]]);
  });
});

describe('what is refused before the first write', () => {
  test('an image that is not in every region', async () => {
    const l = twoRegions({ [WEST]: { images: [image(A[WEST], { 'ami-action:commit': '0'.repeat(40) })] } });
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toBe(
      `${B[HOME]} is not exactly once in every region: ${WEST}: no image here has the identity of ${B[HOME]} (commit 1111111): share it with this account and region.`,
    );
    expect(failure.next).toBe(
      'Copy it there with mode "share" and "regions". Or remove the region: "regions: []" under "with:" or in the section of the environment overrides the top of the file.',
    );
    expect(l.log).toEqual([]);
  });

  test('an image that is twice in a region: which two, and how to be rid of one', async () => {
    const twice = [B[WEST], C[WEST]].map(id => image(id, { 'ami-action:commit': '1'.repeat(40) }));
    const l = twoRegions({ [WEST]: { images: [image(A[WEST], { 'ami-action:commit': '0'.repeat(40) }), ...twice] } });
    const failure = await failureOf(promote(settings, l.world));
    expect([failure.outcome, failure.message, failure.next, l.log]).toEqual([
      'rejected',
      `${B[HOME]} is not exactly once in every region: ${WEST}: ${B[WEST]} and ${C[WEST]} have the identity of ${B[HOME]} (commit 1111111) here: remove all but one with mode "delete".`,
      `Keep one of ${B[WEST]} and ${C[WEST]}: mode "delete" with "region: ${WEST}" and "image: ${C[WEST]}" removes that one, unless something uses it. Or remove the region: "regions: []" under "with:" or in the section of the environment overrides the top of the file.`,
      [],
    ]);
  });

  test('a group that is nowhere, and a region without any', async () => {
    const l = twoRegions({ [WEST]: { groups: [group('other')] } });
    const failure = await failureOf(promote({ ...settings, groups: ['web', 'wbe'] }, l.world));
    expect(failure).toBeInstanceOf(UsageError);
    expect((failure as UsageError).problems).toEqual([
      `"groups" names "wbe", which is no Auto Scaling group in ${HOME} or ${WEST}`,
      `"regions" names ${WEST}, where none of "groups" exists: add its groups to "groups", or remove the region: "regions: []" under "with:" or in the section of the environment overrides the top of the file`,
    ]);
    expect(l.log).toEqual([]);
  });

  test('groups that bear the name of their region are each rolled in their own', async () => {
    const l = twoRegions({ [HOME]: { groups: [group('web-eu')] }, [WEST]: { groups: [group('web-west')] } });
    await promote({ ...settings, groups: ['web-eu', 'web-west'] }, l.world);
    expect(l.log.filter(line => line.includes('start'))).toEqual([
      `${HOME}: start r-1 of web-eu to lt-1:2`,
      `${WEST}: start r-1 of web-west to lt-1:2`,
    ]);
  });

  test('what one region refuses is refused in all', async () => {
    const unproven = { ...image(B[WEST], { 'ami-action:commit': '1'.repeat(40), 'ami-action:verdict': 'failed' }) };
    const l = twoRegions({ [WEST]: { images: [image(A[WEST], { 'ami-action:commit': '0'.repeat(40) }), unproven] } });
    const failure = await failureOf(promote(settings, l.world));
    expect(failure.message).toMatch(new RegExp(`^Refused to promote ${B[HOME]} in stage: ${WEST}: ${B[WEST]} has no passed verdict here`));
    expect(l.log).toEqual([]);
  });
});

describe('what fails says where', () => {
  const denied = new AccessError('Not allowed to read /ami/web/stage (ssm:GetParameter)', { next: 'Allow it.' });

  test('while it is planned', async () => {
    const l = twoRegions();
    Object.assign(l.place(WEST).parameters, { read: async () => Promise.reject(denied) });
    const failure = await failureOf(promote(settings, l.world));
    expect(failure).toBeInstanceOf(AccessError);
    expect([failure.message, failure.next]).toEqual([`${WEST}: ${denied.message}`, 'Allow it.']);
  });

  test('while its groups and images are looked for', async () => {
    for (const port of ['images', 'groups'] as const) {
      const l = twoRegions();
      Object.assign(l.place(WEST)[port], { find: async () => Promise.reject(denied) });
      expect((await failureOf(promote(settings, l.world))).message).toBe(`${WEST}: ${denied.message}`);
    }
  });

  test('tags that fit no group there', async () => {
    const tagged = group('web', { tags: { app: 'web' } });
    const l = twoRegions({ [HOME]: { groups: [tagged] } });
    const failure = await failureOf(promote({ ...settings, groups: [], groupTags: { app: 'web' } as never }, l.world));
    expect(failure).toBeInstanceOf(UsageError);
    expect((failure as UsageError).problems).toEqual([
      `${WEST}: "group-tags" matches no Auto Scaling group of this account and region: app=web`,
    ]);
    expect(l.log).toEqual([]);
  });

  test('what was cleared away for it', async () => {
    const l = twoRegions({ [HOME]: { script: ['InProgress'] }, [WEST]: { script: ['InProgress'] } });
    await promote({ ...settings, wait: false }, l.world);
    l.hooks.before = call => {
      if (call.startsWith(`${WEST}: create`)) throw denied;
    };
    const failure = await failureOf(promote({ ...settings, image: C[HOME], foreignRefresh: 'supersede' }, l.world));
    expect(failure.leftovers).toContain(`${HOME}: refresh r-1 of web was rolled back first`);
    expect(failure.leftovers).toContain(`${WEST}: refresh r-1 of web was rolled back first`);
  });
});

describe('rollback in several regions', () => {
  const back = { ...settings, image: 'previous' };

  test('twice in a row goes one further back each time, everywhere', async () => {
    const l = twoRegions();
    await promote(settings, l.world);
    await promote({ ...settings, image: C[HOME] }, l.world);
    expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done', outputs: { amiIds: B, replacedAmiId: C[HOME] } });
    expect([l.pointers(), l.runs().flat()]).toEqual([both(B), both(B)]);
    expect(await rollback(back, l.world)).toMatchObject({ outcome: 'done', outputs: { amiIds: A, replacedAmiId: B[HOME] } });
    expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(A), NONE, both(A)]);
    // Neither comes back with the next push, in no region.
    for (const ids of [B, C]) {
      const failure = await failureOf(promote({ ...settings, image: ids[HOME] }, l.world));
      for (const region of [HOME, WEST] as const) expect(failure.message).toContain(`${region}: ${ids[region]} was rolled back in stage`);
    }
  });

  test('a region that ran something else all the while goes to the same image', async () => {
    const l = twoRegions({ [WEST]: { was: C[WEST], pointer: [C[WEST]] } });
    await promote({ ...settings, regions: [] }, l.world);
    await rollback(back, l.world);
    expect([l.pointers(), l.runs().flat()]).toEqual([both(A), both(A)]);
  });
});

const ONE_ROLL = Array.from({ length: 12 }, (_, i) => i + 1);

describe('killed at every call, and run again', () => {
  test.each(ONE_ROLL)('promote, killed at call %i', async nth => {
    const l = twoRegions();
    dieAt(l, nth);
    await promote(settings, l.world).catch(() => {});
    l.hooks.before = () => {};
    await promote(settings, l.world);
    expect([l.pointers(), l.candidates(), l.runs().flat(), l.versions()]).toEqual([both(B), NONE, both(B), [3, 3]]);
  });

  test.each(ONE_ROLL)('promote, killed at call %i, then the other region fails: all go back', async nth => {
    const l = twoRegions();
    dieAt(l, nth);
    await promote(settings, l.world).catch(() => {});
    l.hooks.before = () => {};
    // Where every group had come to its end before, there is nothing left to fail.
    const stands = l.runs()[1].every(id => id === B[WEST]);
    l.made[WEST].state.script.splice(0, 9, 'Failed');
    const ended = await promote(settings, l.world).catch(failure => failure);
    expect(ended instanceof Error).toBe(!stands);
    expect([l.pointers(), l.candidates(), l.runs()[0]]).toEqual(stands ? [both(B), NONE, [B[HOME]]] : [both(A), NONE, [A[HOME]]]);
  });

  test.each(ONE_ROLL)('rollback, killed at call %i', async nth => {
    const l = twoRegions();
    await promote(settings, l.world);
    await promote({ ...settings, image: C[HOME] }, l.world);
    dieAt(l, nth);
    await rollback({ ...settings, image: 'previous' }, l.world).catch(() => {});
    const wasDone = l.candidates()[0] === undefined && l.pointers()[0] === B[HOME];
    l.hooks.before = () => {};
    if (!wasDone) await rollback({ ...settings, image: 'previous' }, l.world);
    expect([l.pointers(), l.candidates(), l.runs().flat()]).toEqual([both(B), NONE, both(B)]);
  });
});
