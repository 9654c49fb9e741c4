import { concurrently } from '../../kit/concurrently.ts';
import { withRootVolumes } from '../../model/group.ts';
import { type NodeGroupName, parseNodeGroup } from '../../model/node-group.ts';
import type { RegionClients } from '../../ports/deps.ts';
import { type NodeGroupFacts, type NodeGroupPlan, planNodeGroup } from '../rules/node-group.ts';
import { contentKey } from '../rules/plan.ts';

/** Reads the managed node groups and decides what is done to each. Writes nothing. */

export type NodeGroupPorts = Pick<RegionClients, 'nodeGroups' | 'groups' | 'launchTemplates'>;

// EKS allows few calls a second.
const AT_ONCE = 2;

export const planNodeGroups = (names: readonly string[], imageId: string, aws: NodeGroupPorts): Promise<readonly NodeGroupPlan[]> =>
  concurrently(names, AT_ONCE, async name => planNodeGroup(await readNodeGroup(parseNodeGroup(name), imageId, aws), imageId));

export async function readNodeGroup(which: NodeGroupName, imageId: string, aws: NodeGroupPorts): Promise<NodeGroupFacts> {
  const nodeGroup = await aws.nodeGroups.get(which);
  if (nodeGroup === undefined)
    return { which, nodeGroup, version: undefined, ready: undefined, active: undefined, members: [], images: new Map() };
  const { template, status } = nodeGroup;
  const version = template && (await aws.launchTemplates.version(template));
  const [known, active, groups] = await Promise.all([
    version === undefined ? [] : aws.launchTemplates.withImage(version.templateId, imageId),
    status === 'UPDATING' ? aws.nodeGroups.active(which) : undefined,
    nodeGroup.groups.length === 0 ? [] : aws.groups.find({ names: nodeGroup.groups }),
  ]);
  const equal = known.filter(other => version !== undefined && contentKey(other) === contentKey(version));
  const members = groups.flatMap(group => group.members);
  const images = withRootVolumes(await aws.groups.imagesOf(members.map(({ id }) => id)), groups);
  return { which, nodeGroup, version, ready: equal.sort((a, b) => b.number - a.number)[0], active, members, images };
}
