import { formatCount, formatDuration } from '../../kit/format.ts';
import { code, text } from '../../kit/markdown.ts';
import { formatTemplateUse } from '../../model/group.ts';
import { formatNodeGroup, type NodeGroup } from '../../model/node-group.ts';
import { type NodeGroupFacts, type NodeGroupPlan, versionUse } from './node-group.ts';

/** A managed node group and its plan, as text. */

/** EKS first grows the group by two nodes in each zone, or by what it replaces at once. https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html */
const peakOf = ({ desired = 0, subnets = 0, atOnce = 0 }: Partial<NodeGroup> = {}): number => desired + Math.max(2 * subnets, atOnce);

function formatNodeAction({ action, replaces, facts: { version, ready, nodeGroup } }: NodeGroupPlan): string {
  if (action === 'nothing') return 'nothing to do';
  if (action === 'watch') return 'watch the update in progress';
  const create =
    ready === undefined
      ? `create a version of ${version?.templateName} from version ${version?.number}, `
      : `reuse ${ready.templateName}:${ready.number}, `;
  return `${create}replace ${formatCount(replaces, 'node')}, ${nodeGroup?.atOnce} at a time, at most ${peakOf(nodeGroup)} at once; EKS drains each node`;
}

const formatNodeLaunch = ({ nodeGroup, version }: NodeGroupFacts): string =>
  version !== undefined
    ? formatTemplateUse(versionUse(version))
    : nodeGroup?.template === undefined
      ? 'no launch template'
      : formatTemplateUse(nodeGroup.template);

const formatNodeState = ({ nodeGroup }: NodeGroupFacts): string =>
  nodeGroup === undefined ? '' : `${nodeGroup.desired} nodes (${nodeGroup.min} to ${nodeGroup.max}), ${nodeGroup.status}`;

/** EKS cannot roll an update back. */
const formatNodeRevert = ({ action, facts: { version } }: NodeGroupPlan): string =>
  action === 'nothing' || version === undefined ? '' : `a second update leads back to ${formatTemplateUse(versionUse(version))}`;

/** For the log. */
export function nodeLines(plan: NodeGroupPlan): readonly string[] {
  const name = formatNodeGroup(plan.facts.which);
  const [revert, about] = [formatNodeRevert(plan), plan.estimatedSeconds === 0 ? '' : `, about ${formatDuration(plan.estimatedSeconds)}`];
  return [
    `${name} (${formatNodeLaunch(plan.facts)}): ${formatNodeAction(plan)}${about}; ${plan.reason}`,
    `${name} has ${formatNodeState(plan.facts)}${revert === '' ? '' : `; on failure, ${revert}`}`,
  ];
}

/** For the summary. */
export const nodeRow = (plan: NodeGroupPlan): string[] => [
  code(formatNodeGroup(plan.facts.which)),
  `${code(formatNodeLaunch(plan.facts))} ${text(formatNodeState(plan.facts))}`,
  text(formatNodeAction(plan)),
  text(plan.reason),
  text(formatNodeRevert(plan)),
  plan.estimatedSeconds === 0 ? '' : formatDuration(plan.estimatedSeconds),
];
