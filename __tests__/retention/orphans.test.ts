import { describe, expect, test } from '@jest/globals';
import type { Image, Snapshot } from '../../src/model/image.ts';
import { pointerNames, type UserFacts } from '../../src/model/image-users.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { driftOf } from '../../src/retention/rules/drift.ts';
import { orphanedSnapshots } from '../../src/retention/rules/orphans.ts';
import { NO_RETENTION_POLICY } from '../../src/retention/rules/plan.ts';

const NOW = Date.parse('2026-10-01T00:00:00Z');
const DAY = 86_400_000;
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const id = (n: number) => `ami-${String(n).padStart(17, '0')}`;

const image = (n: number, change: Partial<Image> = {}): Image => ({
  ...{ id: id(n), name: `web-${n}`, state: 'available', stateReason: '', architecture: 'x86_64', ownerId: '1', public: false },
  ...{ createdAt: new Date(NOW - n * DAY), tags: { 'ami-action:family': 'web' }, snapshotIds: [`snap-${n}`], sizeGiB: 8, encrypted: false },
  ...{ imdsV2: true, ena: true, deprecatedAt: undefined, lastLaunchedAt: undefined, protected: false },
  ...change,
});
const passed = (n: number) =>
  image(n, {
    tags: {
      'ami-action:family': 'web',
      'ami-action:verdict': verdictValue(id(n), { result: 'passed', checks: 'a'.repeat(32), at: new Date(NOW) }),
    },
  });

describe('an orphaned snapshot', () => {
  const policy = { ...NO_RETENTION_POLICY, scheme, family: 'web', accountId: '1', maxRemovals: 10 };
  const MADE = `Created by CreateImage(i-1) for ${id(9)}`;
  const snapshot = (change: Partial<Snapshot> = {}): Snapshot => ({
    ...{ id: 'snap-9', description: MADE, startedAt: new Date(NOW - 30 * DAY), sizeGiB: 8, tags: { 'ami-action:family': 'web' } },
    ...change,
  });

  test.each<[string, Partial<Snapshot>, boolean]>([
    ['is removed', {}, true],
    ['is removed although it names an image that no longer exists', { description: `Created by CreateImage(i-1) for ${id(7)}` }, true],
    ['is kept when it names an existing image', { description: `Created by CreateImage(i-1) for ${id(1)}` }, false],
    [
      'is kept when one of the images that it names exists',
      { description: `Copied for DestinationAmi ${id(8)} from SourceAmi ${id(1)}` },
      false,
    ],
    ['is removed when its first day is over', { startedAt: new Date(NOW - DAY) }, true],
    ['is kept when an image has it', { id: 'snap-1' }, false],
    ['is kept when it is of another family', { tags: { 'ami-action:family': 'api' } }, false],
    ['is kept when it has no family', { tags: {} }, false],
    ['is kept when it has the keep tag', { tags: { 'ami-action:family': 'web', 'ami-action:keep': 'true' } }, false],
    ['is kept when it is a backup', { tags: { 'ami-action:family': 'web', 'aws:backup:source-resource': 'x' } }, false],
    ['is removed when it was copied for an image', { description: `Copied for DestinationAmi ${id(9)} from SourceAmi ${id(8)}` }, true],
    ['is kept when nothing proves that it belonged to an image', { description: 'before the migration' }, false],
    ['is kept when a lifecycle policy made it', { tags: { 'ami-action:family': 'web', 'aws:dlm:lifecycle-policy-id': 'policy-1' } }, false],
    ['is kept when any backup vault has it', { tags: { 'ami-action:family': 'web', 'aws:backup:any': 'x' } }, false],
    ['is kept for its first day, while a build may not have named its image yet', { startedAt: new Date(NOW - DAY + 1) }, false],
  ])('%s', (_, change, isRemoved) => {
    expect(orphanedSnapshots([snapshot(change)], [image(1)], policy, NOW)).toHaveLength(isRemoved ? 1 : 0);
  });

  test('waits for minimum-age like an image, and max-removals limits it', () => {
    const young = { ...policy, keep: { ...policy.keep, youngerThanSeconds: (31 * DAY) / 1000 } };
    expect(orphanedSnapshots([snapshot()], [], young, NOW)).toEqual([]);
    const many = [3, 1, 2].map(n => snapshot({ id: `snap-9${n}`, startedAt: new Date(NOW - n * 10 * DAY) }));
    expect(orphanedSnapshots(many, [], { ...policy, maxRemovals: 2 }, NOW).map(one => one.id)).toEqual(['snap-93', 'snap-92']);
    const alike = ['snap-3', 'snap-1', 'snap-2'].map(each => snapshot({ id: each }));
    for (const listed of [alike, alike.toReversed()])
      expect(orphanedSnapshots(listed, [], { ...policy, maxRemovals: 2 }, NOW).map(one => one.id)).toEqual(['snap-1', 'snap-2']);
  });
});

describe('drift', () => {
  const none: UserFacts = { instances: [], launchers: [], versions: [], parameters: [], aliases: new Map() };
  const pointers = pointerNames(['/ami/{family}/{environment}'], 'web');
  const points = (value: string, name = '/ami/web/prod') => ({ name, value, history: [] });
  const says = (images: readonly Image[], facts: Partial<UserFacts>) =>
    driftOf(images, { ...none, ...facts }, pointers, scheme).map(drift => `${drift.who} ${drift.says}`);

  test('a pointer to the newest passed image has none, and candidates are ignored', () => {
    const parameters = [points(id(2)), points(id(5), '/ami/web/prod/candidate'), points(id(5), '/ami/api/prod')];
    expect(says([image(1), passed(2), passed(5)], { parameters })).toEqual([]);
  });

  test('a pointer that is behind, or names an image that does not exist, is reported', () => {
    expect(says([passed(1), passed(2), passed(5)], { parameters: [points(id(5)), points(id(9), '/ami/web/stage')] })).toEqual([
      `/ami/web/prod names ${id(5)}; 2 newer images have passed, the newest is ${id(1)}`,
      `/ami/web/stage names ${id(9)}, which is not an image of the family in this region`,
    ]);
  });

  test('an image that was vetoed in the environment is not one that it lacks', () => {
    const vetoed = (environment: string) => ({ ...passed(1), tags: { ...passed(1).tags, 'ami-action:vetoed-in': environment } });
    const parameters = [points(id(5))];
    expect(says([vetoed('prod'), passed(5)], { parameters })).toEqual([]);
    expect(says([vetoed('stage'), passed(5)], { parameters })).toEqual([
      `/ami/web/prod names ${id(5)}; 1 newer image has passed, the newest is ${id(1)}`,
    ]);
  });

  test('trap T5: an image of a pull request is not one that it lacks', () => {
    const asked = { ...passed(1), tags: { ...passed(1).tags, 'ami-action:ref': 'refs/pull/7/merge' } };
    expect(says([asked, passed(5)], { parameters: [points(id(5))] })).toEqual([]);
  });

  test('a pointer to an image that no group launches and no instance runs is reported, where there are groups', () => {
    const parameters = [points(id(5))];
    const moved = { user: 'group web', group: 'web', launches: [{ imageId: 'ami-00000000000000099' }] };
    const running = { id: 'i-1', state: 'running', imageId: id(5) };
    expect(says([image(5)], { parameters })).toEqual([]);
    expect(says([image(5)], { parameters, launchers: [moved] })).toEqual([
      `/ami/web/prod names ${id(5)}, which no group or instance in this region runs`,
    ]);
    expect(says([image(5)], { parameters, launchers: [moved], instances: [running] })).toEqual([]);
  });

  test('groups and their instances are reported when they differ from the pointer', () => {
    const launchers = [
      { user: 'group web', group: 'web', launches: [{ imageId: id(2) }] },
      { user: 'group other', group: 'other', launches: [{ imageId: 'ami-00000000000000099' }] },
      { user: 'launch configuration old', launches: [{ imageId: id(5) }] },
    ];
    const instances = [
      { id: 'i-1', state: 'running', imageId: id(2), group: 'web' },
      { id: 'i-2', state: 'stopped', imageId: id(5), group: 'web' },
      { id: 'i-3', state: 'terminated', imageId: id(5), group: 'web' },
    ];
    expect(says([image(2), image(5)], { parameters: [points(id(5))], launchers, instances })).toEqual([
      `group web launches ${id(2)}, which no pointer names`,
      `instance i-2 runs ${id(5)}, but its group web launches ${id(2)}`,
    ]);
  });

  test('what counts as newer is another image of its architecture that can be launched', () => {
    const parameters = [points(id(5))];
    const others = [
      { ...passed(1), architecture: 'arm64' as const },
      { ...passed(2), state: 'disabled' as const },
    ];
    expect(says([...others, passed(5), passed(7)], { parameters })).toEqual([]);
    expect(says([passed(5), passed(3), passed(2)], { parameters })).toEqual([
      `/ami/web/prod names ${id(5)}; 2 newer images have passed, the newest is ${id(2)}`,
    ]);
  });

  test('only a group that launches its image, or an instance that is left, runs it', () => {
    const parameters = [points(id(5))];
    const moved = { user: 'group web', group: 'web', launches: [{ imageId: 'ami-00000000000000099' }] };
    const instance = (imageId: string, state: string) => ({ id: 'i-1', state, imageId });
    const notRun = [`/ami/web/prod names ${id(5)}, which no group or instance in this region runs`];
    const with_ = (facts: Partial<UserFacts>) => says([image(5), image(6)], { parameters, launchers: [moved], ...facts });
    expect(with_({ instances: [{ ...instance(id(6), 'running'), group: 'web' }] })).toEqual(notRun);
    expect(with_({ instances: [instance(id(5), 'terminated')] })).toEqual(notRun);
    expect(with_({ instances: [instance(id(6), 'running'), instance(id(5), 'stopped')] })).toEqual([]);
    const both = { user: 'group both', group: 'both', launches: [...moved.launches, { imageId: id(5) }] };
    expect(with_({ launchers: [moved, both] })).toEqual([]);
    // A launch configuration that no group uses runs nothing, and is no group that could.
    const unused = { user: 'launch configuration old', launches: [{ imageId: id(6) }] };
    expect(with_({ launchers: [unused] })).toEqual([]);
    expect(says([image(5)], { parameters: [points(id(9))], launchers: [moved] })).toEqual([
      `/ami/web/prod names ${id(9)}, which is not an image of the family in this region`,
    ]);
  });

  test('of a group that launches several images, ours is reported, with who created its version', () => {
    const version = {
      templateId: 'lt-1',
      templateName: 'web',
      version: 3,
      imageId: id(2),
      isDefault: false,
      isLatest: true,
      isRecent: true,
    };
    const mixed = { user: 'group web', group: 'web', launches: [{ imageId: 'ami-00000000000000099' }, { template: 'lt-1', version: '3' }] };
    const facts = (made: object) => ({ parameters: [points(id(5))], launchers: [mixed], versions: [{ ...version, ...made } as never] });
    const instances = [
      { id: 'i-1', state: 'running', imageId: id(5), group: 'web' },
      { id: 'i-2', state: 'shutting-down', imageId: id(5), group: 'web' },
      { id: 'i-3', state: 'running', imageId: id(5), group: 'other' },
    ];
    const group = (by: string) => `group web launches ${id(2)}${by}, which no pointer names`;
    const createdAt = new Date('2026-09-01T10:00:00Z');
    expect(
      [{}, { createdBy: 'arn:a' }, { createdBy: 'arn:a', createdAt }].map(
        made => says([image(2), image(5)], { ...facts(made), instances })[0],
      ),
    ).toEqual([
      group(''),
      group(' (version 3 of web, created by arn:a)'),
      group(' (version 3 of web, created 2026-09-01 10:00:00 UTC by arn:a)'),
    ]);
    expect(says([image(2), image(5)], { ...facts({}), instances }).slice(1)).toEqual([
      `instance i-1 runs ${id(5)}, but its group web launches ami-00000000000000099, ${id(2)}`,
    ]);
  });
});
