import { formatCount, formatList } from '../../kit/format.ts';
import { formatTemplateUse, type Member, type TemplateUse } from '../../model/group.ts';
import { formatNodeGroup, type NodeGroup, type NodeGroupName, type NodeUpdate } from '../../model/node-group.ts';
import { isParameterReference } from '../../model/patterns.ts';
import type { TemplateVersion } from '../../model/template.ts';
import { inService } from './proof.ts';

/** What is done to a managed node group of EKS, and why. */

export interface NodeGroupFacts {
  readonly which: NodeGroupName;
  /** Undefined: it does not exist. */
  readonly nodeGroup: NodeGroup | undefined;
  /** The launch template version that it launches. */
  readonly version: TemplateVersion | undefined;
  /** One with the image that differs in nothing else. */
  readonly ready: TemplateVersion | undefined;
  /** The update in progress. */
  readonly active: NodeUpdate | undefined;
  /** Of its Auto Scaling groups. */
  readonly members: readonly Member[];
  readonly images: ReadonlyMap<string, string>;
}

export interface NodeGroupPlan {
  readonly facts: NodeGroupFacts;
  /** watch: an update of an earlier run is in progress. */
  readonly action: 'nothing' | 'update' | 'watch';
  readonly reason: string;
  readonly refusals: readonly string[];
  readonly replaces: number;
  readonly estimatedSeconds: number;
}

export function planNodeGroup(facts: NodeGroupFacts, imageId: string): NodeGroupPlan {
  const { active, nodeGroup, version, ready } = facts;
  const old = wrongNodes(facts, imageId);
  const plan = { facts, replaces: old.length, estimatedSeconds: estimate(old.length, nodeGroup) };
  const refusals = refusalsOf(facts);
  const target = version?.imageId === imageId ? version : ready;
  if (active !== undefined && target !== undefined && active.version === String(target.number))
    return { ...plan, action: 'watch', reason: `update ${active.id} to this image is in progress`, refusals };
  const busy = nodeGroup !== undefined && nodeGroup.status !== 'ACTIVE';
  const all =
    busy && refusals.length === 0 ? [`${formatNodeGroup(facts.which)} is ${nodeGroup.status}: wait until it is ACTIVE`] : refusals;
  if (version?.imageId === imageId && old.length === 0)
    return { ...plan, action: 'nothing', reason: `launches and runs ${imageId} only`, refusals: all };
  return {
    ...plan,
    action: 'update',
    reason: `${old.length} of ${facts.members.filter(inService).length} nodes run another image`,
    refusals: all,
  };
}

/** The images that the node groups launch before the rollout. */
export const launchedByNodes = (plans: readonly NodeGroupPlan[]) =>
  plans.flatMap(({ facts: { which, version } }) =>
    version === undefined ? [] : [{ group: formatNodeGroup(which), idle: false, imageIds: [version.imageId].filter(id => id !== '') }],
  );

/** Nodes in service that do not run the image, or of which EC2 does not show it. */
const wrongNodes = ({ members, images }: Pick<NodeGroupFacts, 'members' | 'images'>, imageId: string): readonly string[] =>
  members.filter(member => inService(member) && images.get(member.id) !== imageId).map(({ id }) => id);

/** What shows that the node group does not launch and run the image; undefined if nothing does. `use`: the exact version. */
export function unproven({ nodeGroup, version, members, images }: NodeGroupFacts, imageId: string, use?: TemplateUse): string | undefined {
  if (nodeGroup === undefined) return 'it no longer exists';
  if (nodeGroup.status !== 'ACTIVE') return `it is ${nodeGroup.status}`;
  if (nodeGroup.issues.length > 0) return `it is not healthy (${nodeGroup.issues.join('; ')})`;
  const launches = version === undefined ? 'nothing' : formatTemplateUse(versionUse(version));
  if (version?.imageId !== imageId || (use !== undefined && formatTemplateUse(use) !== launches)) return `it launches ${launches}`;
  const [wrong, serving] = [wrongNodes({ members, images }, imageId), members.filter(inService).length];
  if (wrong.length > 0)
    return `${formatList(wrong, 3)} of ${formatCount(serving, 'node')} ${wrong.length === 1 ? 'runs' : 'run'} another image`;
  return serving < nodeGroup.desired ? `${serving} of ${formatCount(nodeGroup.desired, 'node')} are in service` : undefined;
}

function refusalsOf({ which, nodeGroup, version }: NodeGroupFacts): string[] {
  const name = formatNodeGroup(which);
  if (nodeGroup === undefined) return [`${name} does not exist: check "node-groups"`];
  const { template, issues } = nodeGroup;
  if (template === undefined)
    return [
      `${name} was created without a launch template, and EKS cannot add one: create a node group with a launch template that names an image`,
    ];
  if (version === undefined) return [`${name}: launch template version ${formatTemplateUse(template)} does not exist`];
  return [
    version.imageId === '' &&
      `${name}: ${formatTemplateUse(template)} names no image, so EKS chooses it: set an image ID in the launch template`,
    isParameterReference(version.imageId) &&
      `${name}: ${formatTemplateUse(template)} reads its image from a parameter (${version.imageId}): set an image ID in the launch template`,
    version.snapshotIds.length > 0 &&
      `${name}: the launch template creates a volume from ${version.snapshotIds.join(', ')}, which AWS does not copy to a new version: put the volume into the image`,
    issues.length > 0 && `${name} is not healthy (${issues.join('; ')}): fix it first`,
  ].filter(refusal => refusal !== false);
}

export const versionUse = ({ templateId, templateName, number }: TemplateVersion): TemplateUse => ({
  ...{ templateId, templateName, version: String(number) },
});

// Launch, join, drain and termination of one batch. Only for the estimate of the plan.
const BATCH_SECONDS = 300;

const estimate = (replaces: number, nodeGroup: NodeGroup | undefined): number =>
  Math.ceil(replaces / (nodeGroup?.atOnce ?? 1)) * BATCH_SECONDS;
