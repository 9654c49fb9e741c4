import type { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import {
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeInstancesCommand,
  DescribeTagsCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import { describe, expect, test } from '@jest/globals';
import { ec2Leftovers } from '../../src/adapters/aws/leftovers.ts';

const client = (answer: (command: unknown) => unknown): EC2Client =>
  ({ send: async (command: unknown) => answer(command) }) as unknown as EC2Client;
const noEvents = () => Promise.reject(new Error('asked for something else'));

describe('an image that is removed', () => {
  const removing = (code: string, onDelete: () => unknown) =>
    ec2Leftovers(
      client(command => {
        if (command instanceof DeregisterImageCommand) return { DeleteSnapshotResults: [{ SnapshotId: 'snap-1', ReturnCode: code }] };
        if (command instanceof DeleteSnapshotCommand) return onDelete();
        throw new Error('asked for something else');
      }),
      noEvents,
    ).remove({ kind: 'image', id: 'ami-1' });

  test('names the snapshots that AWS did not delete with it', async () => {
    const denied = () => {
      throw Object.assign(new Error('no'), { name: 'UnauthorizedOperation' });
    };
    expect(await removing('missing-permissions', denied)).toEqual({ held: ['snap-1 (missing-permissions; UnauthorizedOperation)'] });
  });

  test('deletes itself what AWS failed to delete', async () => {
    let deleted = 0;
    const answer = await removing('internal-error', () => {
      deleted += 1;
      return {};
    });
    expect([answer, deleted]).toEqual(['asked', 1]);
  });

  test('leaves alone what another image uses', async () => {
    expect(await removing('skipped', () => expect('asked').toBe('never'))).toBe('asked');
  });
});

test('instances are told alive or gone beyond the first two hundred', async () => {
  const ids = Array.from({ length: 450 }, (_, at) => `i-${at}`);
  const found = await ec2Leftovers(
    client(command => {
      if (command instanceof DescribeTagsCommand)
        return { Tags: ids.map(ResourceId => ({ ResourceId, ResourceType: 'instance', Key: 'k', Value: 'v' })) };
      if (!(command instanceof DescribeInstancesCommand)) throw new Error('asked for something else');
      const asked = command.input.Filters?.[0]?.Values ?? [];
      if (asked.length > 200) throw new Error('a filter takes 200 values');
      return { Reservations: [{ Instances: asked.map(InstanceId => ({ InstanceId, State: { Name: 'running' } })) }] };
    }),
    noEvents,
  ).tagged('k');
  expect(found).toHaveLength(450);
});

// outside.md D1: ministack ignores filters that it does not know.
test('what a server lists without regard to the filter is no leftover', async () => {
  const tags: Readonly<Record<string, readonly [key: string, value: string]>> = {
    'vol-ours': ['x:build', 'b1'],
    'vol-other-build': ['x:build', 'b2'],
    'vol-database': ['Name', 'production database'],
  };
  const Tags = Object.entries(tags).map(([ResourceId, [Key, Value]]) => ({ ResourceId, ResourceType: 'volume', Key, Value }));
  const leftovers = ec2Leftovers(
    client(() => ({ Tags })),
    noEvents,
  );
  expect((await leftovers.tagged('x:build', 'b1')).map(({ id }) => id)).toEqual(['vol-ours']);
  expect((await leftovers.tagged('x:build')).map(({ id }) => id)).toEqual(['vol-ours', 'vol-other-build']);
});

describe('the tags of a launch', () => {
  const launch = (more: object = {}) => ({
    eventSource: 'ec2.amazonaws.com',
    requestParameters: { tagSpecificationSet: { items: [{ resourceType: 'instance', tags: [{ key: 'x:build', value: 'b1' }] }] } },
    responseElements: { instancesSet: { items: [{ instanceId: 'i-1' }] } },
    ...more,
  });
  type Shown = readonly [name: string, record: object | string];
  const shown = (events: readonly Shown[]) =>
    ec2Leftovers(
      client(() => ({})),
      async () =>
        client(() => ({
          Events: events.map(([EventName, record]) => ({
            EventName,
            CloudTrailEvent: typeof record === 'string' ? record : JSON.stringify(record),
          })),
        })) as unknown as CloudTrailClient,
    ).launchTags({ id: 'i-1', at: new Date(0) });

  test.each<[string, readonly Shown[], object | undefined]>([
    [
      'are those of the event of its launch',
      [
        ['CreateTags', {}],
        ['RunInstances', launch()],
      ],
      { 'x:build': 'b1' },
    ],
    ['are none where it was launched without any', [['RunInstances', launch({ requestParameters: null })]], undefined],
    ['are unknown where no launch is shown', [['CreateTags', launch()]], undefined],
    ['are unknown where another instance was launched', [['RunInstances', launch({ responseElements: null })]], undefined],
    ['are unknown where the launch was refused', [['RunInstances', launch({ errorCode: 'Client.InstanceLimitExceeded' })]], undefined],
    ['are unknown where another service wrote the event', [['RunInstances', launch({ eventSource: 'example.amazonaws.com' })]], undefined],
  ])('%s', async (_, events, tags) => {
    expect(await shown(events)).toEqual(tags);
  });

  test.each(['<html>', 'null', '{"responseElements":{"instancesSet":{"items":[null]}}}'])('cannot be read from %s', async event => {
    await expect(shown([['RunInstances', event]])).rejects.toThrow(
      "AWS's answer cannot be read (read the event history (cloudtrail:LookupEvents)): an event is no JSON of a launch",
    );
  });
});
