import { expect, test } from '@jest/globals';
import { listLeftovers } from '../../src/image-build/build-leftovers.ts';
import { findExpired, removeImages, sweepBuild } from '../../src/image-build/sweep.ts';
import { AccessError } from '../../src/kit/errors.ts';

test('an excluded image is kept although no listing shows it, or its family, yet', async () => {
  const removed: string[] = [];
  const marked = ['ami-made', 'ami-stray'].map(id => ({ kind: 'image' as const, id, tags: { 'x:build': 'b1' }, ending: false }));
  const ports = {
    images: { find: async () => [] },
    leftovers: {
      tagged: async () => marked.filter(({ id }) => !removed.includes(id)),
      remove: async ({ id }: { id: string }) => {
        removed.push(id);
        return 'asked' as const;
      },
    },
  };
  let now = 0;
  const world = {
    inRegion: () => ports,
    clock: {
      now: () => now,
      sleep: async (ms: number) => {
        now += ms;
      },
    },
    report: { info: () => undefined, warn: () => undefined, debug: () => undefined },
  } as unknown as Parameters<typeof sweepBuild>[1];
  const entry = {
    kind: 'build' as const,
    regions: ['eu-central-1'],
    tags: { 'x:build': 'b1' },
    name: 'web-1',
    familyKey: 'x:family',
    since: 0,
  };
  await sweepBuild(entry, world, { excluded: ['ami-made'] });
  expect(removed).toEqual(['ami-stray']);
});

test('what becomes visible after a first look that found nothing is removed by the second', async () => {
  const late = { kind: 'key-pair' as const, id: 'key-late', tags: { 'x:build': 'b1' }, ending: false };
  const swept = async (looks: number) => {
    let [looked, gone, now] = [0, false, 0];
    const tagged = async () => {
      looked += 1;
      return looked === 1 || gone ? [] : [late];
    };
    const remove = async () => {
      gone = true;
      return 'asked' as const;
    };
    const sleep = async (ms: number) => {
      now += ms;
    };
    const ports = { images: { find: async () => [] }, leftovers: { tagged, remove } };
    const report = { info: () => undefined, warn: () => undefined, debug: () => undefined };
    const world = { inRegion: () => ports, clock: { now: () => now, sleep }, report } as unknown as Parameters<typeof sweepBuild>[1];
    const what = { kind: 'build' as const, regions: ['eu-central-1'], name: 'web-1', familyKey: 'x:family', since: 0 };
    return (await sweepBuild({ ...what, tags: { 'x:build': 'b1' } }, world, { excluded: [], looks })).map(({ id }) => id);
  };
  expect([await swept(1), await swept(2)]).toEqual([[], ['key-late']]);
});

test('a resource that EC2 says does not exist is gone, although its tags are still listed', async () => {
  const listed = ['sg-1', 'sg-2'].map(id => ({ kind: 'security-group' as const, id, tags: { 'x:build': 'b1' }, ending: false }));
  const asked: string[] = [];
  let now = 0;
  const remove = async ({ id }: { id: string }) => {
    const first = !asked.includes(id);
    asked.push(id);
    return first && id === 'sg-1' ? ('asked' as const) : ('gone' as const);
  };
  const sleep = async (ms: number) => {
    now += ms;
  };
  const ports = { images: { find: async () => [] }, leftovers: { tagged: async () => listed, remove } };
  const report = { info: () => undefined, warn: () => undefined, debug: () => undefined };
  const world = { inRegion: () => ports, clock: { now: () => now, sleep }, report } as unknown as Parameters<typeof sweepBuild>[1];
  const entry = { kind: 'build' as const, regions: ['eu-central-1'], name: 'web-1', familyKey: 'x:family', since: 0 };
  const swept = await sweepBuild({ ...entry, tags: { 'x:build': 'b1' } }, world, { excluded: [] });
  // Only what this sweep removed counts as removed.
  expect([swept.map(({ id }) => id), asked, now]).toEqual([['sg-1'], ['sg-1', 'sg-2', 'sg-1'], 5000]);
});

test('snapshots that could not be deleted with their image are named', async () => {
  const leftovers = { remove: async () => ({ held: ['snap-1 (missing-permissions; UnauthorizedOperation)'] }) };
  const world = { inRegion: () => ({ leftovers }) } as unknown as Parameters<typeof removeImages>[1];
  await expect(removeImages([{ region: 'eu-central-1', id: 'ami-1' }], world)).rejects.toThrow(
    'Snapshot snap-1 (missing-permissions; UnauthorizedOperation) in eu-central-1 could not be deleted with the image.',
  );
});

test.each<[string, { tags?: Record<string, string>; launchedAt?: number; isTagged?: boolean }, boolean]>([
  ['that has the tag of the build', { tags: { 'x:build': 'b1' } }, true],
  ['without a tag, where everything of the build has it', {}, false],
  ['without a tag, where the template takes none', { isTagged: false }, true],
  ['of another build', { tags: { 'x:build': 'b2' }, isTagged: false }, false],
  ['that ran before the build', { tags: {}, launchedAt: 1, isTagged: false }, false],
])('an instance whose ID Packer, or a provisioner, printed: %s', async (_, { tags = {}, launchedAt = 20, isTagged = true }, isRemoved) => {
  const removed: string[] = [];
  const instance = { id: 'i-0123456789abcdef0', state: 'running', tags, launchedAt: new Date(launchedAt) };
  const ports = {
    images: { find: async () => [] },
    instances: { get: async () => (removed.length > 0 ? undefined : instance) },
    leftovers: {
      tagged: async () => [],
      remove: async ({ id }: { id: string }) => {
        removed.push(id);
        return 'asked' as const;
      },
    },
  };
  let now = 0;
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
  const report = { info: () => undefined, warn: () => undefined, debug: () => undefined };
  const deps = { inRegion: () => ports, clock, report } as unknown as Parameters<typeof sweepBuild>[1];
  const entry = { kind: 'build' as const, regions: ['eu-central-1'], name: 'web-1', familyKey: 'x:family', since: 10 };
  await sweepBuild({ ...entry, tags: { 'x:build': 'b1' }, isTagged, created: [instance.id] }, deps, { excluded: [] });
  expect(removed).toEqual(isRemoved ? [instance.id] : []);
});

// A person who may write tags, and nothing else, must not have an instance terminated.
test('an instance with the tags of an expired build that neither Packer launched nor the event history shows with them is kept and named', async () => {
  const tags = {
    ...{ 'x:purpose': 'build', 'x:repository': 'acme/web', 'x:run': '7', 'x:expires-at': '2026-01-01T00:00:00Z' },
  };
  const instance = (id: string, names: readonly string[]) => ({
    kind: 'instance' as const,
    id,
    tags,
    ending: false,
    launch: { at: new Date(0), names },
  });
  const marked = [
    ...['i-production', 'i-unknown', 'i-young'].map(id => instance(id, ['web', 'sg-web'])),
    ...[instance('i-build', ['packer_1']), instance('i-own-key', ['web', 'sg-web'])],
  ];
  const launchTags = async ({ id }: { id: string }) => {
    if (id === 'i-production') return { Name: 'web' };
    if (id === 'i-unknown') throw new AccessError('Not allowed to read the event history (cloudtrail:LookupEvents)');
    return id === 'i-own-key' ? tags : { ...tags, 'x:expires-at': '2026-03-01T00:00:00Z' };
  };
  const warnings: string[] = [];
  const deps = { clock: { now: () => Date.parse('2026-02-01T00:00:00Z') }, report: { warn: (text: string) => warnings.push(text) } };
  const sweeper = { scheme: { prefix: 'x:', commitKey: 'x:commit' }, repository: 'acme/web' };
  const found = await findExpired(
    { leftovers: { tagged: async () => marked, launchTags } } as unknown as Parameters<typeof findExpired>[0],
    sweeper,
    deps as unknown as Parameters<typeof findExpired>[2],
  );
  expect(found.map(({ id }) => id)).toEqual(['i-build', 'i-own-key']);
  const notShown = 'cloudtrail:LookupEvents does not show that it was launched with these tags';
  const notRead = 'its launch cannot be looked up (Not allowed to read the event history (cloudtrail:LookupEvents))';
  expect(warnings).toEqual(
    [['i-production', notShown] as const, ['i-unknown', notRead] as const, ['i-young', notShown] as const].map(
      ([id, why]) =>
        `Instance ${id} has the tags of a leftover, but neither a client token of ami-action nor a key pair or security group of Packer, and ${why}: it is kept. If it is one, terminate it: aws ec2 terminate-instances --instance-ids ${id}`,
    ),
  );
});

test('an instance that ran before the build is none of it, whatever its tags say', async () => {
  const instance = (id: string, at: number) => ({
    kind: 'instance' as const,
    id,
    tags: { 'x:build': 'b1' },
    ending: false,
    launch: { at: new Date(at), names: [] },
  });
  const entry = {
    kind: 'build' as const,
    regions: ['eu-central-1'],
    name: 'web-1',
    familyKey: 'x:family',
    since: 10,
    tags: { 'x:build': 'b1' },
  };
  const aws = { leftovers: { tagged: async () => [instance('i-old', 9), instance('i-new', 10)] } };
  const known = { ids: new Set<string>(), names: [], images: [], instances: [] };
  const found = await listLeftovers(entry, known, aws as unknown as Parameters<typeof listLeftovers>[2]);
  expect(found.map(({ id }) => id)).toEqual(['i-new']);
});
