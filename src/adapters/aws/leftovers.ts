import type { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import {
  DeleteKeyPairCommand,
  DeleteLaunchTemplateCommand,
  DeleteSecurityGroupCommand,
  DeleteSnapshotCommand,
  type DeleteSnapshotReturnCode,
  DeleteVolumeCommand,
  DeregisterImageCommand,
  DescribeRegionsCommand,
  type EC2Client,
  type Filter,
  type Instance,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { batches } from '../../kit/concurrently.ts';
import type { Tags } from '../../model/image.ts';
import type { Leftover, Leftovers } from '../../ports/images.ts';
import { isDeniedAsGone, listInstances, listTags, MOST_FILTER_VALUES } from './ec2.ts';
import { asExpected, codeOf, isCode, isRepeated } from './errors.ts';
import { launchTagsReader } from './launch-events.ts';
import { listed } from './pages.ts';

type Kind = Leftover['kind'];

const KINDS: ReadonlySet<string> = new Set<Kind>([
  'instance',
  'image',
  'snapshot',
  'volume',
  'security-group',
  'key-pair',
  'launch-template',
]);

// Deleted and retained by a Recycle Bin rule: it still has its tags and cannot be deleted.
// https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin-concepts.html
const IN_BIN = 'aws:recycle-bin:resource-in-bin';

/** `deleted`: snapshots that went with their images. Their tags are gone, so a permission that names tags would deny their deletion. */
export const ec2Leftovers = (ec2: EC2Client, cloudTrail: () => Promise<CloudTrailClient>, deleted = new Set<string>()): Leftovers => ({
  launchTags: launchTagsReader(cloudTrail),
  // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html
  async regions() {
    const { Regions } = await ec2.send(new DescribeRegionsCommand({})).catch(asExpected('list the regions (ec2:DescribeRegions)'));
    return listed(Regions).flatMap(({ RegionName }) => RegionName ?? []);
  },
  async tagged(key, value) {
    const filters = [{ Name: 'key', Values: [key] }, ...(value === undefined ? [] : [{ Name: 'value', Values: [value] }])];
    const marked = (await tagLines(ec2, filters)).filter(({ kind }) => KINDS.has(kind));
    if (marked.length === 0) return [];
    const ids = marked.map(({ id }) => id);
    const [tags, instances] = await Promise.all([tagsOf(ec2, ids), instancesOf(ec2, marked)]);
    return (
      marked
        .filter(({ kind, id }) => kind !== 'instance' || (instances.get(id)?.State?.Name ?? 'terminated') !== 'terminated')
        .map(({ id, kind }) => ({ kind: kind as Kind, id, tags: tags.get(id) ?? {}, ...launchOf(instances.get(id)) }))
        // The tags decide, not the filter: a server may ignore it.
        .filter(({ tags: held }) => key in held && held[key] === (value ?? held[key]) && !(IN_BIN in held))
    );
  },
  async remove({ kind, id, tags = {} }) {
    if (kind === 'snapshot' && deleted.has(id)) return 'gone';
    try {
      const held = await REMOVE[kind](ec2, id, deleted);
      return Array.isArray(held) && held.length > 0 ? { held } : 'asked';
    } catch (cause) {
      const isGone = isCode(cause, ...GONE) || (Object.keys(tags).length > 0 && (await isDeniedAsGone(ec2, cause, id)));
      if (isGone) return isRepeated(cause) ? 'asked' : 'gone';
      if (isCode(cause, ...BUSY)) return 'busy';
      return asExpected(`remove ${kind} ${id}`)(cause);
    }
  },
});

const REMOVE: Readonly<Record<Kind, (ec2: EC2Client, id: string, deleted: Set<string>) => Promise<unknown>>> = {
  instance: (ec2, id) => ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] })),
  // Its snapshots in the same call: a kill between two calls would leave snapshots without an owner.
  image: async (ec2, id, deleted) => {
    const answer = await ec2.send(new DeregisterImageCommand({ ImageId: id, DeleteAssociatedSnapshots: true }));
    for (const { SnapshotId = '', ReturnCode } of answer.DeleteSnapshotResults ?? []) if (ReturnCode === 'success') deleted.add(SnapshotId);
    return heldSnapshots(ec2, answer.DeleteSnapshotResults ?? []);
  },
  snapshot: (ec2, id) => ec2.send(new DeleteSnapshotCommand({ SnapshotId: id })),
  volume: (ec2, id) => ec2.send(new DeleteVolumeCommand({ VolumeId: id })),
  'security-group': (ec2, id) => ec2.send(new DeleteSecurityGroupCommand({ GroupId: id })),
  'key-pair': (ec2, id) => ec2.send(new DeleteKeyPairCommand({ KeyPairId: id })),
  'launch-template': (ec2, id) => ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: id })),
};

/**
 * HTTP 200 says nothing about the snapshots, and without their image their owner is unknown: what failed is tried again, and what remains is named.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshotReturnCode.html
 */
async function heldSnapshots(ec2: EC2Client, results: readonly DeleteSnapshotReturnCode[]): Promise<string[]> {
  const failed = results.filter(({ ReturnCode }) => ReturnCode !== 'success' && ReturnCode !== 'skipped');
  const retried = failed.map(async ({ SnapshotId = '', ReturnCode = 'no return code' }) => {
    try {
      await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
      return [];
    } catch (cause) {
      return isCode(cause, ...GONE) ? [] : [`${SnapshotId} (${ReturnCode}; ${codeOf(cause)})`];
    }
  });
  return (await Promise.all(retried)).flat();
}

// https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
const GONE = [
  'InvalidInstanceID.NotFound',
  'InvalidAMIID.NotFound',
  'InvalidAMIID.Unavailable',
  'InvalidSnapshot.NotFound',
  'InvalidVolume.NotFound',
  'InvalidGroup.NotFound',
  'InvalidKeyPair.NotFound',
  'InvalidLaunchTemplateId.NotFound',
] as const;
const BUSY = ['DependencyViolation', 'VolumeInUse', 'InvalidSnapshot.InUse', 'IncorrectState', 'IncorrectInstanceState'] as const;

interface TagLine {
  readonly id: string;
  readonly kind: string;
  readonly key: string;
  readonly value: string;
}

const tagLines = async (ec2: EC2Client, filters: Filter[]): Promise<TagLine[]> =>
  (await listTags(ec2, filters)).map(({ ResourceId = '', ResourceType = '', Key = '', Value = '' }) => ({
    id: ResourceId,
    kind: ResourceType as string,
    key: Key,
    value: Value,
  }));

async function tagsOf(ec2: EC2Client, ids: readonly string[]): Promise<ReadonlyMap<string, Tags>> {
  const found = new Map<string, Record<string, string>>();
  for (const Values of batches(ids, MOST_FILTER_VALUES)) {
    const lines = await tagLines(ec2, [{ Name: 'resource-id', Values }]);
    for (const { id, key, value } of lines) found.set(id, { ...found.get(id), [key]: value });
  }
  return found;
}

async function instancesOf(ec2: EC2Client, marked: readonly TagLine[]): Promise<ReadonlyMap<string, Instance>> {
  const ids = marked.filter(({ kind }) => kind === 'instance').map(({ id }) => id);
  if (ids.length === 0) return new Map();
  const perBatch = await Promise.all(batches(ids, MOST_FILTER_VALUES).map(Values => listInstances(ec2, [{ Name: 'instance-id', Values }])));
  return new Map(perBatch.flat().map(instance => [instance.InstanceId ?? '', instance]));
}

function launchOf(instance: Instance | undefined): Pick<Leftover, 'ending' | 'launch'> {
  if (instance === undefined) return { ending: false };
  const { State, ClientToken, KeyName, SecurityGroups = [], LaunchTime } = instance;
  const names = [ClientToken, KeyName, ...SecurityGroups.map(({ GroupName }) => GroupName)].flatMap(name => name ?? []);
  return { ending: State?.Name === 'shutting-down', launch: { at: LaunchTime ?? new Date(0), names } };
}
