import { describe, expect, test } from '@jest/globals';
import { RejectedError, TimeoutError, UsageError } from '../../src/kit/errors.ts';
import { run } from '../../src/rollout/promote.ts';
import { A, B, C, group, image, parameter, rollWorld, settings, use, version } from './roll-world.ts';

const POINTER = '/ami/web/stage';

describe('the order of a promotion', () => {
  test('candidate, template version, rollout, and only then the pointer', async () => {
    const { world, calls, pointerNow, candidate, state } = rollWorld();
    const ended = await run(settings, world);
    expect(calls()).toEqual([
      `write ${POINTER}/candidate = ${B}`,
      `create lt-1:2 from 1 with ${B}`,
      'start r-1 of web to lt-1:2',
      `write ${POINTER} = ${B}`,
      `remove ${POINTER}/candidate`,
    ]);
    expect(ended).toMatchObject({
      outcome: 'done',
      outputs: {
        amiId: B,
        previousAmiId: A,
        pointerVersion: 2,
        changed: true,
        refreshes: [{ group: 'web', refresh: 'r-1', from: 'lt-1:1', to: 'lt-1:2' }],
      },
    });
    expect([pointerNow(), candidate()]).toEqual([B, undefined]);
    expect(state.parameters.get(POINTER)?.[0]?.description).toMatch(
      new RegExp(`^ami-action promote: was ${A}, commit unknown, run https://github.com/acme/web/actions/runs/1`),
    );
  });

  test('a group on $Latest is pinned before there is a new version', async () => {
    const { world, calls } = rollWorld({ groups: [group('web', { launch: { kind: 'template', template: use('$Latest') } })] });
    await run(settings, world);
    expect(calls().slice(1, 4)).toEqual(['set web to lt-1:1', `create lt-1:2 from 1 with ${B}`, 'start r-1 of web to lt-1:2']);
  });

  test('groups of one template share one new version; the one without instances gets it last', async () => {
    const empty = group('batch', { desired: 0, members: [] });
    const { world, calls } = rollWorld({ groups: [group('web'), group('api'), empty] });
    await run({ ...settings, groups: ['web', 'api', 'batch'] }, world);
    expect(calls()).toEqual([
      `write ${POINTER}/candidate = ${B}`,
      `create lt-1:2 from 1 with ${B}`,
      'start r-1 of web to lt-1:2',
      'start r-2 of api to lt-1:2',
      'set batch to lt-1:2',
      `write ${POINTER} = ${B}`,
      `remove ${POINTER}/candidate`,
    ]);
  });

  test('scenario 42: an image that the environment already runs causes no write', async () => {
    const { world, calls } = rollWorld({ pointer: [A] });
    expect(await run({ ...settings, image: A }, world)).toMatchObject({
      outcome: 'unchanged',
      outputs: { changed: false, pointerVersion: 1 },
    });
    expect(calls()).toEqual([]);
  });

  test('a group whose parameter was deleted is pinned to what its instances run', async () => {
    const { world, calls, state, pointerNow } = rollWorld({ pointer: [] });
    state.versions = [version(1, `resolve:ssm:${POINTER}`)];
    await run({ ...settings, parameterTemplates: 'pin' }, world);
    expect(calls().slice(1, 4)).toEqual([`create lt-1:2 from 1 with ${A}`, 'set web to lt-1:2', `create lt-1:3 from 2 with ${B}`]);
    expect(pointerNow()).toBe(B);
  });

  test('a refresh that ends while the plan is read is not begun again: its group is read once more', async () => {
    const made = rollWorld();
    await run({ ...settings, wait: false }, made.world);
    const { groups } = made.world.inRegion({ region: '' });
    const { refreshes, find } = groups;
    const names: (readonly string[] | undefined)[] = [];
    Object.assign(groups, {
      find: (query: Parameters<typeof find>[0]) => {
        names.push(query.names);
        return find(query);
      },
      refreshes: async (name: string) => {
        while ((await groups.refresh(name, 'r-1'))?.status !== 'Successful');
        return (await refreshes(name)).map(refresh => ({ ...refresh, endedAt: new Date(made.state.now) }));
      },
    });
    expect(await run(settings, made.world)).toMatchObject({ outcome: 'done', outputs: { refreshes: [{ status: 'nothing' }] } });
    expect(made.calls().filter(call => call.startsWith('start'))).toEqual(['start r-1 of web to lt-1:2']);
    expect([names.filter(each => each === undefined).length, made.pointerNow(), made.candidate()]).toEqual([2, B, undefined]);
  });

  test('one that ended before the groups were read needs no second look', async () => {
    const made = rollWorld();
    await run(settings, made.world);
    made.state.now += 120_000;
    const { groups } = made.world.inRegion({ region: '' });
    const { refreshes, find } = groups;
    const names: (readonly string[] | undefined)[] = [];
    Object.assign(groups, {
      find: (query: Parameters<typeof find>[0]) => {
        names.push(query.names);
        return find(query);
      },
      refreshes: async (name: string) => (await refreshes(name)).map(refresh => ({ ...refresh, endedAt: new Date(0) })),
    });
    expect(await run({ ...settings, image: C }, made.world)).toMatchObject({ outcome: 'done' });
    expect(names.filter(each => each === undefined)).toHaveLength(1);
  });

  test('a pointer that already names the image is not written again', async () => {
    const { world, calls } = rollWorld({ pointer: [A, B] });
    await run(settings, world);
    expect(calls()).not.toContain(`write ${POINTER} = ${B}`);
    expect(calls()).toContain('start r-1 of web to lt-1:2');
  });

  test('strategy none moves the pointer and reads no group', async () => {
    const { world, calls } = rollWorld();
    await run({ ...settings, groups: undefined, strategy: 'none' }, world);
    expect(calls()).toEqual([`write ${POINTER}/candidate = ${B}`, `write ${POINTER} = ${B}`, `remove ${POINTER}/candidate`]);
  });

  test('a dry run reports the plan and writes nothing', async () => {
    const { world, calls, log } = rollWorld();
    expect(await run({ ...settings, dryRun: true }, world)).toMatchObject({ outcome: 'planned', outputs: { pointerVersion: undefined } });
    expect(calls()).toEqual([]);
    expect(log.join('\n')).toContain(
      'web (lt-1:1): create a version of lt-1 from version 1, replace 2 instances, 1 at a time: 2 batches, about 4m, at most 3 instances at once (pace fast: 1 batch, about 2m 30s, at most 4); 2 of 2 instances in service run another image',
    );
  });
});

describe('what is refused before the first write', () => {
  test.each([
    [
      'scenario 43: an image without a verdict',
      { images: [image(A), image(B, { 'ami-action:verdict': '' })] },
      settings,
      /no passed verdict here/,
    ],
    ['an image that was rolled back here', { images: [image(A), image(B, { 'ami-action:vetoed-in': 'stage' })] }, settings, /vetoed there/],
    [
      'scenario 53: a launch configuration',
      { groups: [group('web', { launch: { kind: 'configuration' as const, name: 'old' } })] },
      settings,
      /launch configuration "old"/,
    ],
    [
      'two groups at once',
      { groups: [group('web', { suspended: ['Launch'] }), group('api', { beingDeleted: true })] },
      { ...settings, groups: ['web', 'api'] },
      /2 reasons:\n- web: Launch is suspended[\s\S]*\n- api is being deleted/,
    ],
  ])('%s', async (_, start, wanted, says) => {
    const { world, calls, pointerNow } = rollWorld(start);
    await expect(run(wanted, world)).rejects.toThrow(says);
    expect(calls()).toEqual([]);
    expect(pointerNow()).toBe(A);
  });

  test('a group that does not exist is a usage error with the nearest name', async () => {
    await expect(run({ ...settings, groups: ['wep'] }, rollWorld().world)).rejects.toThrow(
      new UsageError(['"groups": Auto Scaling group "wep" does not exist in this account and region, did you mean "web"?']),
    );
    // A name that is not alike would mislead.
    const groups = [group('orders-prod'), group('billing-prod')];
    await expect(run({ ...settings, groups: ['west-only'] }, rollWorld({ groups }).world)).rejects.toThrow(
      new UsageError([
        '"groups": Auto Scaling group "west-only" does not exist in this account and region. There: billing-prod, orders-prod',
      ]),
    );
    await expect(run({ ...settings, groups: undefined }, rollWorld().world)).rejects.toThrow(/"groups" is missing/);
  });
});

describe('trap T1: a group of another service', () => {
  const edge = { images: [image(A, { 'ami-action:family': 'orders' }), image(B), image(C)], pointer: [] as string[] };
  const message = `web launches ${A} of family "orders", not of "web": check "groups" and "family", or set "adopt-groups: true" to take the group over`;

  test('is refused, before the first write', async () => {
    const { world, calls } = rollWorld(edge);
    await expect(run(settings, world)).rejects.toThrow(`Refused to promote ${B} in stage: ${message}`);
    await expect(run({ ...settings, dryRun: true }, world)).rejects.toThrow(message);
    expect(calls()).toEqual([]);
  });

  test('is adopted by a setting, and belongs to the environment from then on', async () => {
    const { world, pointerNow } = rollWorld(edge);
    expect(await run({ ...settings, adoptGroups: true }, world)).toMatchObject({ outcome: 'done' });
    expect(await run({ ...settings, image: C }, world)).toMatchObject({ outcome: 'done' });
    expect(pointerNow()).toBe(C);
  });

  test('a template that reads a parameter launches what the parameter names', async () => {
    const { world, state } = rollWorld({ ...edge, pointer: [A] });
    state.versions[0] = version(1, 'resolve:ssm:/ami/orders/stage');
    state.parameters.get(POINTER)?.splice(0, 1, parameter(POINTER, C, 1, 'by hand'));
    Object.assign(world.inRegion({ region: '' }).launchTemplates, { resolved: async () => A });
    await expect(run({ ...settings, parameterTemplates: 'pin' }, world)).rejects.toThrow(message);
  });

  test.each([
    ['of no family', [image(A, { 'ami-action:family': '' }), image(B)]],
    ['that no longer exists', [image(B)]],
  ])('an image %s may be replaced', async (_, images) => {
    const all = images.map(each => (each.tags['ami-action:family'] === '' ? { ...each, tags: {} } : each));
    expect(await run(settings, rollWorld({ images: all, pointer: [] }).world)).toMatchObject({ outcome: 'done' });
  });
});

describe('trap T3: two architectures', () => {
  const arm = { images: [image(A), { ...image(B), architecture: 'arm64' as const }, image(C)] };

  test('that share one pointer: the image of the other one is not overwritten', async () => {
    const { world, calls } = rollWorld(arm);
    await expect(run({ ...settings, strategy: 'none', groups: undefined }, world)).rejects.toThrow(
      `${POINTER} names ${A} for x86_64, and ${B} is for arm64: give each architecture its own pointer, such as "pointer: /ami/{family}/{environment}/{architecture}"`,
    );
    expect(calls()).toEqual([]);
  });

  test.each([
    ['environment:prod', `/ami/web/prod names it, version 1`],
    [A, 'set by its ID'],
  ])('"image: %s" respects "architecture"', async (selector, reason) => {
    const { world, state } = rollWorld(arm);
    state.parameters.set('/ami/web/prod', [parameter('/ami/web/prod', A, 1, 'by hand')]);
    await expect(run({ ...settings, image: selector, architecture: 'arm64' }, world)).rejects.toMatchObject({
      message: `No image: ${A} is for x86_64, and "architecture" is arm64 (${reason}).`,
      next: 'If two architectures share one pointer, give each its own: "pointer: /ami/{family}/{environment}/{architecture}".',
    });
  });
});

describe('when the rollout fails', () => {
  test.each([
    ['RollbackSuccessful', /rolled the refresh back; the old image runs again/],
    ['Cancelled', /another process cancelled the refresh/],
    ['Failed', /failed and was not rolled back/],
    ['RollbackFailed', /AWS could not roll the refresh back/],
  ] as const)('scenario 56: after %s the pointer is unchanged and nothing is left', async (status, says) => {
    const { world, pointerNow, candidate, state } = rollWorld({ script: ['InProgress', status] });
    const failure = await run(settings, world).catch(cause => cause);
    expect(failure).toBeInstanceOf(RejectedError);
    expect(failure.message).toMatch(says);
    expect([pointerNow(), candidate(), state.versions.length]).toEqual([A, undefined, 2]);
    expect(state.parameters.get(POINTER)).toHaveLength(1);
  });

  test('an instance that runs another image during the bake time: AWS rolls back', async () => {
    const { world, calls, state, pointerNow } = rollWorld({ script: ['InProgress', 'Baking'] });
    const find = world.inRegion({ region: '' }).groups.imagesOf;
    Object.assign(world.inRegion({ region: '' }).groups, {
      imagesOf: async (ids: readonly string[]) =>
        new Map([...(await find(ids))].map(([id, runs]) => [id, id.startsWith('i-web-b') ? A : runs])),
    });
    await expect(run(settings, world)).rejects.toThrow(/during the bake time, i-web-b2 of 2 in service runs another image/);
    expect(calls().slice(3)).toEqual(['roll back web', 'remove lt-1:2', `remove ${POINTER}/candidate`]);
    expect([state.refreshes[0]?.refresh.status, pointerNow()]).toEqual(['RollbackSuccessful', A]);
  });

  test('one of two groups fails: the other, already successful, is reverted by a refresh', async () => {
    const { world, calls, state } = rollWorld({ groups: [group('web'), group('api')] });
    const { groups } = world.inRegion({ region: '' });
    const { refresh } = groups;
    Object.assign(groups, {
      refresh: async (name: string, id: string) => {
        if (id === 'r-2') state.script = state.refreshes[0]?.refresh.status === 'Successful' ? ['RollbackSuccessful'] : ['InProgress'];
        else state.script = ['Successful'];
        return refresh(name, id);
      },
    });
    await expect(run({ ...settings, groups: ['web', 'api'] }, world)).rejects.toThrow(/api: AWS rolled the refresh back/);
    expect(calls().slice(2)).toEqual([
      'start r-1 of web to lt-1:2',
      'start r-2 of api to lt-1:2',
      'start r-3 of web to lt-1:1 without rollback',
      'remove lt-1:2',
      `remove ${POINTER}/candidate`,
    ]);
    expect([...state.runs.values()]).toEqual([A, A, A, A]);
  });

  test('a timeout reverts nothing: the candidate stays, and the next run finds the refresh and finishes', async () => {
    const { world, calls, candidate, pointerNow, state } = rollWorld({ script: ['InProgress'] });
    const failure = await run(settings, world).catch(cause => cause);
    expect(failure).toBeInstanceOf(TimeoutError);
    expect(failure.leftovers).toEqual([
      'refresh r-1 of web is in progress',
      `${POINTER}/candidate keeps the image from being pruned until the rollout has finished`,
    ]);
    expect([candidate(), pointerNow()]).toEqual([B, A]);
    state.script = ['Baking', 'Successful'];
    await run(settings, world);
    // The candidate is written again: the first run, if it still works, sees that it was replaced.
    expect(calls().filter(call => /^(start|create|write .*candidate)/.test(call))).toEqual([
      `write ${POINTER}/candidate = ${B}`,
      `create lt-1:2 from 1 with ${B}`,
      'start r-1 of web to lt-1:2',
      `write ${POINTER}/candidate = ${B}`,
    ]);
    expect([candidate(), pointerNow()]).toEqual([undefined, B]);
  });

  test('scenario 41: a pointer that another process moved during the rollout is not overwritten', async () => {
    const { world, state, pointerNow } = rollWorld();
    state.onCall = call => {
      if (call.startsWith('start'))
        state.parameters.set(POINTER, [parameter(POINTER, C, 2, 'by hand'), ...(state.parameters.get(POINTER) ?? [])]);
    };
    const failure = await run(settings, world).catch(cause => cause);
    expect(failure.message).toBe(
      `Parameter ${POINTER} changed during the promotion: it names ${C} (version 2). The plan saw ${A} (version 1).`,
    );
    expect(pointerNow()).toBe(C);
  });

  test('scenario 38: a write that AWS accepts and never stores fails before the rollout', async () => {
    const { world, calls, state, pointerNow } = rollWorld();
    Object.assign(world.inRegion({ region: '' }).parameters, { write: async () => 1 });
    await expect(run(settings, world)).rejects.toThrow(
      /accepted the write of \/ami\/web\/stage\/candidate and never stored it: ami-bbbbbbbb is probably not visible/,
    );
    expect(calls()).toEqual([]);
    expect([pointerNow(), state.refreshes.length]).toEqual([A, 0]);
  });

  test('scenario 52: a version with a warning by AWS is removed, and no refresh starts', async () => {
    const { world, calls } = rollWorld();
    const { launchTemplates } = world.inRegion({ region: '' });
    const { create } = launchTemplates;
    Object.assign(launchTemplates, {
      create: async (order: Parameters<typeof create>[0]) => ({ ...(await create(order)), warnings: ['InvalidSubnet: gone'] }),
    });
    await expect(run(settings, world)).rejects.toThrow('AWS created lt-1:2 from version 1 with warnings: InvalidSubnet: gone');
    expect(calls().slice(1)).toEqual([`create lt-1:2 from 1 with ${B}`, 'remove lt-1:2', `remove ${POINTER}/candidate`]);
  });
});

test('a veto is lifted only when the image runs', async () => {
  const { world, calls } = rollWorld({ images: [image(A), image(B, { 'ami-action:vetoed-in': 'prod stage' })] });
  await run({ ...settings, liftVeto: true }, world);
  expect(calls().slice(-3)).toEqual([`write ${POINTER} = ${B}`, `tag ${B} {"ami-action:vetoed-in":"prod"}`, `remove ${POINTER}/candidate`]);
});
