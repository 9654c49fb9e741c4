import type { EKSClient, Nodegroup, Update } from '@aws-sdk/client-eks';
import type { NodeGroup, NodeGroupName, NodeUpdate } from '../../model/node-group.ts';
import type { NodeGroups } from '../../ports/groups.ts';
import { asExpected, undefinedOn } from './errors.ts';
import { allPages, listed } from './pages.ts';

const named = ({ cluster, name }: NodeGroupName) => ({ clusterName: cluster, nodegroupName: name });

/** Loaded late: few environments have node groups. */
export const eksNodeGroups = (open: () => Promise<EKSClient>): NodeGroups => {
  const update = async (which: NodeGroupName, updateId: string): Promise<NodeUpdate> => {
    const [{ DescribeUpdateCommand }, eks] = await Promise.all([import('@aws-sdk/client-eks'), open()]);
    const { cluster: name, name: nodegroupName } = which;
    const answer = await eks
      .send(new DescribeUpdateCommand({ name, nodegroupName, updateId }))
      .catch(asExpected(`describe update ${updateId} of node group ${nodegroupName} (eks:DescribeUpdate)`));
    return updateFrom(answer.update ?? {});
  };
  return {
    async get(which) {
      const [{ DescribeNodegroupCommand }, eks] = await Promise.all([import('@aws-sdk/client-eks'), open()]);
      const answer = await eks
        .send(new DescribeNodegroupCommand(named(which)))
        .catch(undefinedOn('ResourceNotFoundException'))
        .catch(asExpected(`describe node group ${which.name} (eks:DescribeNodegroup)`));
      return answer?.nodegroup && nodeGroupFrom(answer.nodegroup);
    },

    async active(which) {
      const [{ ListUpdatesCommand }, eks] = await Promise.all([import('@aws-sdk/client-eks'), open()]);
      const ids = await allPages(async nextToken => {
        const page = await eks
          .send(new ListUpdatesCommand({ name: which.cluster, nodegroupName: which.name, nextToken }))
          .catch(asExpected(`list the updates of node group ${which.name} (eks:ListUpdates)`));
        return { items: page.updateIds, next: page.nextToken };
      });
      for (const id of ids) {
        const found = await update(which, id);
        if (found.status === 'InProgress') return found;
      }
      return undefined;
    },

    update,

    // The SDK sends a token, the same one when it tries again: https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html
    async start({ which, template }) {
      const [{ UpdateNodegroupVersionCommand }, eks] = await Promise.all([import('@aws-sdk/client-eks'), open()]);
      const launchTemplate = { id: template.templateId, version: template.version };
      const answer = await eks
        .send(new UpdateNodegroupVersionCommand({ ...named(which), launchTemplate }))
        .catch(asExpected(`update node group ${which.name} (eks:UpdateNodegroupVersion)`));
      return answer.update?.id ?? '';
    },
  };
};

const nodeGroupFrom = ({ status, launchTemplate, resources, scalingConfig, updateConfig, health, subnets = [] }: Nodegroup): NodeGroup => {
  const desired = scalingConfig?.desiredSize ?? 0;
  return {
    status: status ?? 'unknown',
    template: launchTemplate && {
      ...{ templateId: launchTemplate.id ?? '', templateName: launchTemplate.name ?? '', version: launchTemplate.version ?? '$Default' },
    },
    groups: (resources?.autoScalingGroups ?? []).flatMap(({ name }) => name ?? []),
    ...{ min: scalingConfig?.minSize ?? 0, max: scalingConfig?.maxSize ?? 0, desired },
    // https://docs.aws.amazon.com/eks/latest/APIReference/API_NodegroupUpdateConfig.html
    atOnce: updateConfig?.maxUnavailable ?? Math.max(1, Math.ceil((desired * (updateConfig?.maxUnavailablePercentage ?? 0)) / 100)),
    subnets: subnets.length,
    issues: (health?.issues ?? []).map(({ code = '', message = '' }) => `${code}: ${message}`),
  };
};

const updateFrom = ({ id = '', status, params, errors }: Update): NodeUpdate => ({
  id,
  status: status ?? 'InProgress',
  version: listed(params ?? []).find(({ type }) => type === 'LaunchTemplateVersion')?.value,
  errors: (errors ?? []).map(({ errorCode = '', errorMessage = '' }) => `${errorCode}: ${errorMessage}`),
});
