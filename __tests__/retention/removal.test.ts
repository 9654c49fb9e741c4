import { expect, test } from '@jest/globals';
import { AccessError } from '../../src/kit/errors.ts';
import type { Image } from '../../src/model/image.ts';
import type { RemovalDeps } from '../../src/retention/evidence.ts';
import { removeAll } from '../../src/retention/removal.ts';
import { NO_RETENTION_POLICY } from '../../src/retention/rules/plan.ts';
import type { Decision } from '../../src/retention/rules/rules.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const policy = { ...NO_RETENTION_POLICY, scheme, family: 'web', accountId: '1' };
const image = {
  ...{ id: 'ami-1', name: 'web', state: 'available', ownerId: '1', public: false, protected: false, snapshotIds: ['snap-1', 'snap-2'] },
  tags: { 'ami-action:family': 'web' },
} as unknown as Image;
const decision: Decision = {
  image,
  region: 'eu-central-1',
  users: [],
  action: 'remove',
  reason: 'nothing uses it',
  waits: false,
  marked: false,
};

/** `reported`: snapshots of which the deregistration says that they are deleted. */
function account(reported: readonly string[], onDelete: (snapshotId: string) => 'deleted' | 'gone' | 'in-use') {
  const deleted: string[] = [];
  const none = async () => new Map();
  const removal = {
    sharedWith: async () => [],
    deregister: async () => ({ result: 'removed', snapshots: reported.map(snapshotId => ({ snapshotId, code: 'success' })) }),
    deleteSnapshot: async (id: string) => {
      deleted.push(id);
      return onDelete(id);
    },
  };
  const aws = { images: { find: async () => [] }, imageUsers: { references: async () => [] }, removal };
  const report = { info: () => {}, warn: () => {} };
  const run = { cancelled: new AbortController().signal };
  const clock = { now: () => 0, sleep: async () => {} };
  return { deps: { aws, report, run, clock, users: { again: none, pointed: none } } as unknown as RemovalDeps, deleted };
}

test('snapshots that the answer of the deregistration does not name are deleted', async () => {
  const { deps, deleted } = account(['snap-1'], () => 'deleted');
  const [result] = await removeAll([decision], policy, { keepSnapshots: false }, deps);
  expect([result?.result, result?.remaining, deleted]).toEqual(['removed', [], ['snap-2']]);
});

test('one that cannot be deleted remains, and one that another image uses does not', async () => {
  const failure = new AccessError('Not allowed to delete snap-1 (ec2:DeleteSnapshot).');
  const { deps } = account([], id => {
    if (id === 'snap-1') throw failure;
    return 'in-use';
  });
  const [result] = await removeAll([decision], policy, { keepSnapshots: false }, deps);
  expect(result?.remaining).toEqual([{ what: 'snapshot snap-1 of ami-1', failure, next: 'aws ec2 delete-snapshot --snapshot-id snap-1' }]);
});

test('no snapshot is deleted with keep-snapshots', async () => {
  const { deps, deleted } = account([], () => 'deleted');
  await removeAll([decision], policy, { keepSnapshots: true }, deps);
  expect(deleted).toEqual([]);
});
