import { describe, expect, test } from '@jest/globals';
import type { TemplateUse } from '../../src/model/group.ts';
import type { NodeGroup } from '../../src/model/node-group.ts';
import { launchedByNodes, type NodeGroupFacts, planNodeGroup, unproven } from '../../src/rollout/rules/node-group.ts';
import { nodeLines, nodeRow } from '../../src/rollout/rules/node-group-format.ts';
import { member, use, version } from './fixtures.ts';

const nodeGroup = (change: Partial<NodeGroup> = {}): NodeGroup => ({
  ...{ status: 'ACTIVE', template: use('3'), groups: ['eks-blue-1'], min: 1, max: 6, desired: 2, atOnce: 1, subnets: 2, issues: [] },
  ...change,
});
const facts = (change: Partial<NodeGroupFacts> = {}): NodeGroupFacts => ({
  which: { cluster: 'main', name: 'blue' },
  nodeGroup: nodeGroup(),
  version: version(3),
  ready: undefined,
  active: undefined,
  members: [member('i-1'), member('i-2')],
  images: new Map([
    ['i-1', 'ami-old'],
    ['i-2', 'ami-old'],
  ]),
  ...change,
});
const moved = { version: version(4, { imageId: 'ami-new' }), images: new Map(['i-1', 'i-2'].map(id => [id, 'ami-new'])) };
const plan = (change: Partial<NodeGroupFacts> = {}) => planNodeGroup(facts(change), 'ami-new');

describe('what is done', () => {
  const update = (to: string) => ({ id: 'u-1', status: 'InProgress' as const, version: to, errors: [] });
  test.each<[string, Partial<NodeGroupFacts>, string, readonly string[]]>([
    ['old nodes', {}, 'update', []],
    ['all done', moved, 'nothing', []],
    ['one node of another image, although it launches this one', { ...moved, images: new Map([['i-1', 'ami-new']]) }, 'update', []],
    [
      'our update in progress',
      { nodeGroup: nodeGroup({ status: 'UPDATING' }), ready: version(4, { imageId: 'ami-new' }), active: update('4') },
      'watch',
      [],
    ],
    [
      'another update in progress',
      { nodeGroup: nodeGroup({ status: 'UPDATING' }), ready: version(4, { imageId: 'ami-new' }), active: update('9') },
      'update',
      ['main/blue is UPDATING: wait until it is ACTIVE'],
    ],
    [
      'our update in progress, to the version that it launches',
      { ...moved, nodeGroup: nodeGroup({ status: 'UPDATING' }), active: update('4') },
      'watch',
      [],
    ],
    [
      'an update to a version that does not exist yet',
      { nodeGroup: nodeGroup({ status: 'UPDATING' }), active: { ...update('4'), version: undefined } },
      'update',
      ['main/blue is UPDATING: wait until it is ACTIVE'],
    ],
    ['the image runs, but another version launches', { images: moved.images }, 'update', []],
    [
      'another refusal says more than the status',
      { nodeGroup: nodeGroup({ status: 'DEGRADED', issues: ['AccessDenied: x'] }) },
      'update',
      ['main/blue is not healthy (AccessDenied: x): fix it first'],
    ],
  ])('%s', (_, change, action, refusals) => expect(plan(change)).toMatchObject({ action, refusals }));

  test('counted are nodes in service, and estimated the batches', () => {
    const members = ['i-1', 'i-2', 'i-3'].map(id => member(id, { state: id === 'i-3' ? 'Pending' : 'InService' }));
    const planned = plan({ members, nodeGroup: nodeGroup({ atOnce: 2 }) });
    expect(planned).toMatchObject({ replaces: 2, estimatedSeconds: 300, reason: '2 of 2 nodes run another image' });
    expect(plan({ nodeGroup: undefined }).estimatedSeconds).toBe(600);
  });
});

test.each<[string, Partial<NodeGroupFacts>, string]>([
  ['none', { nodeGroup: undefined }, 'main/blue does not exist: check "node-groups"'],
  [
    'no launch template',
    { nodeGroup: nodeGroup({ template: undefined }), version: undefined },
    'main/blue was created without a launch template, and EKS cannot add one: create a node group with a launch template that names an image',
  ],
  ['a version that is gone', { version: undefined }, 'main/blue: launch template version web:3 does not exist'],
  [
    'no image',
    { version: version(3, { imageId: '' }) },
    'main/blue: web:3 names no image, so EKS chooses it: set an image ID in the launch template',
  ],
  [
    'a parameter',
    { version: version(3, { imageId: 'resolve:ssm:/ami/web' }) },
    'main/blue: web:3 reads its image from a parameter (resolve:ssm:/ami/web): set an image ID in the launch template',
  ],
  [
    'a snapshot',
    { version: version(3, { snapshotIds: ['snap-1'] }) },
    'main/blue: the launch template creates a volume from snap-1, which AWS does not copy to a new version: put the volume into the image',
  ],
  ['an issue', { nodeGroup: nodeGroup({ issues: ['AccessDenied: x'] }) }, 'main/blue is not healthy (AccessDenied: x): fix it first'],
])('refused: %s', (_, change, refusal) => expect(plan(change).refusals).toEqual([refusal]));

test.each<[string, Partial<NodeGroupFacts> & { use?: TemplateUse }, string | undefined]>([
  ['all run it', moved, undefined],
  ['it is gone', { ...moved, nodeGroup: undefined }, 'it no longer exists'],
  ['still updating', { ...moved, nodeGroup: nodeGroup({ status: 'UPDATING' }) }, 'it is UPDATING'],
  ['degraded', { ...moved, nodeGroup: nodeGroup({ issues: ['x: y'] }) }, 'it is not healthy (x: y)'],
  ['the old version', { images: moved.images }, 'it launches web:3'],
  ['one old node', { ...moved, images: new Map([['i-2', 'ami-new']]) }, 'i-1 of 2 nodes runs another image'],
  ['the very version', { ...moved, use: use('4') }, undefined],
  ['another version with the image', { ...moved, use: use('5') }, 'it launches web:4'],
  ['no version', { ...moved, version: undefined }, 'it launches nothing'],
  ['all old', { version: moved.version }, 'i-1, i-2 of 2 nodes run another image'],
  [
    'a node that comes serves nothing',
    { ...moved, members: [member('i-1'), member('i-2', { state: 'Pending' })] },
    '1 of 2 nodes are in service',
  ],
  ['one node missing', { ...moved, members: [member('i-1')] }, '1 of 2 nodes are in service'],
])('proof: %s', (_, { use: exact, ...change }, expected) => expect(unproven(facts(change), 'ami-new', exact)).toBe(expected));

test('what launches before the rollout is of the groups that name an image', () => {
  const plans = [{}, { version: version(3, { imageId: '' }) }, { version: undefined }].map(plan);
  expect(launchedByNodes(plans)).toEqual([
    { group: 'main/blue', idle: false, imageIds: ['ami-old'] },
    { group: 'main/blue', idle: false, imageIds: [] },
  ]);
});

test('the plan shows capacity, time and the way back', () => {
  expect(nodeLines(plan())).toEqual([
    'main/blue (web:3): create a version of web from version 3, replace 2 nodes, 1 at a time, at most 6 at once; EKS drains each node, about 10m; 2 of 2 nodes run another image',
    'main/blue has 2 nodes (1 to 6), ACTIVE; on failure, a second update leads back to web:3',
  ]);
});

test('what is shown where less is done, or less is known', () => {
  const updating = { version: '4', id: 'u-1', status: 'InProgress', errors: [] } as const;
  const ready = version(4, { imageId: 'ami-new' });
  expect(nodeLines(plan({ ready }))[0]).toMatch(/^main\/blue \(web:3\): reuse web:4, replace 2 nodes, 1 at a time/);
  expect(nodeLines(plan({ ready, active: updating }))[0]).toMatch(/: watch the update in progress, about 10m; update u-1 to this image is/);
  expect(nodeLines(plan(moved))).toEqual([
    'main/blue (web:4): nothing to do; launches and runs ami-new only',
    'main/blue has 2 nodes (1 to 6), ACTIVE',
  ]);
  expect(nodeLines(plan({ version: undefined }))).toEqual([
    expect.stringMatching(/^main\/blue \(web:3\): /),
    'main/blue has 2 nodes (1 to 6), ACTIVE',
  ]);
  expect(nodeLines(plan({ version: undefined, nodeGroup: undefined }))).toEqual([
    expect.stringMatching(/^main\/blue \(no launch template\): /),
    'main/blue has ',
  ]);
});

test('the row of the summary', () => {
  expect(nodeRow(plan({ ready: version(4, { imageId: 'ami-new' }) }))).toEqual([
    '`main/blue`',
    '`web:3` 2 nodes (1 to 6), ACTIVE',
    'reuse web:4, replace 2 nodes, 1 at a time, at most 6 at once; EKS drains each node',
    '2 of 2 nodes run another image',
    'a second update leads back to web:3',
    '10m',
  ]);
  expect(nodeRow(plan(moved)).slice(2)).toEqual(['nothing to do', 'launches and runs ami-new only', '', '']);
});
