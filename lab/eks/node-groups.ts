import { randomUUID } from 'node:crypto';
import type {
  CreateNodegroupCommandInput,
  CreateNodegroupCommandOutput,
  DescribeNodegroupCommandInput,
  DescribeNodegroupCommandOutput,
  DescribeUpdateCommandInput,
  DescribeUpdateCommandOutput,
  ListUpdatesCommandInput,
  ListUpdatesCommandOutput,
  Nodegroup,
  Update,
  UpdateNodegroupVersionCommandInput,
  UpdateNodegroupVersionCommandOutput,
} from '@aws-sdk/client-eks';
import { groups } from '../autoscaling/group.ts';
import { groupOperations } from '../autoscaling/groups.ts';
import { refreshOperations } from '../autoscaling/refreshes.ts';
import { resolveTemplate } from '../ec2/launch-template-spec.ts';
import { templateOf, templates } from '../ec2/launch-template-state.ts';
import { launchTemplateOperations } from '../ec2/launch-templates.ts';
import { AwsError, type Call, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';

/** Managed node groups of EKS: each has an Auto Scaling group, and a launch template of EKS that copies the one of the user. */

interface NodeGroup {
  readonly group: string;
  readonly template: { readonly id: string; readonly name: string };
  readonly settings: CreateNodegroupCommandInput;
  version: string;
  /** Newest last. */
  readonly updates: NodeUpdate[];
}

interface NodeUpdate {
  readonly id: string;
  readonly token: string | undefined;
  readonly version: string;
  readonly createdAt: Date;
  status: Update['status'];
  errors: Update['errors'];
}

const nodeGroups = slice(() => new Map<string, NodeGroup>());

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeNodegroup.html (Errors) */
function existing(place: Place, cluster = '', name = ''): NodeGroup {
  const found = nodeGroups(place).get(`${cluster}/${name}`);
  if (found === undefined) throw new AwsError('ResourceNotFoundException', `No node group found for name: ${name}.`, 404);
  settle(place, found);
  return found;
}

const invalid = (message: string) => new AwsError('InvalidParameterException', message);

/** EKS creates a launch template of its own from the version of the user. https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html */
const copied = async (call: Call, id: string, version: string, as: string): Promise<void> => {
  const { data } = resolveTemplate(call.place, { LaunchTemplateId: id, Version: version });
  const exists = [...templates(call.place).values()].some(({ name }) => name === as);
  const operation = launchTemplateOperations[exists ? 'CreateLaunchTemplateVersion' : 'CreateLaunchTemplate'];
  await operation?.({ LaunchTemplateName: as, LaunchTemplateData: data }, call);
};

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html */
const createNodegroup: Operation<CreateNodegroupCommandInput, CreateNodegroupCommandOutput> = async (input, call) => {
  const { place } = call;
  const { clusterName = '', nodegroupName = '', launchTemplate, scalingConfig = {}, subnets = [] } = input;
  if (launchTemplate === undefined) throw invalid('This lab makes node groups from launch templates only.');
  const template = templateOf(place, { LaunchTemplateId: launchTemplate.id, LaunchTemplateName: launchTemplate.name });
  const version = launchTemplate.version ?? String(template.defaultVersion);
  const group = `eks-${nodegroupName}-${randomUUID()}`;
  await copied(call, template.id, version, group);
  await groupOperations['CreateAutoScalingGroup']?.(
    {
      ...{ AutoScalingGroupName: group, MinSize: scalingConfig.minSize, MaxSize: scalingConfig.maxSize },
      ...{ DesiredCapacity: scalingConfig.desiredSize, VPCZoneIdentifier: subnets.join(',') },
      LaunchTemplate: { LaunchTemplateName: group, Version: '1' },
      // https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
      Tags: [
        { Key: 'eks:nodegroup-name', Value: nodegroupName, PropagateAtLaunch: true },
        { Key: 'eks:cluster-name', Value: clusterName, PropagateAtLaunch: true },
      ],
    },
    call,
  );
  const made: NodeGroup = { group, template: { id: template.id, name: template.name }, settings: input, version, updates: [] };
  nodeGroups(place).set(`${clusterName}/${nodegroupName}`, made);
  return { nodegroup: described(made) };
};

const active = ({ updates }: NodeGroup): NodeUpdate | undefined => updates.find(({ status }) => status === 'InProgress');

const described = (found: NodeGroup): Nodegroup => {
  const { clusterName, nodegroupName, scalingConfig, updateConfig, subnets } = found.settings;
  return {
    ...{ clusterName, nodegroupName, scalingConfig, subnets, updateConfig: updateConfig ?? { maxUnavailable: 1 } },
    status: active(found) === undefined ? 'ACTIVE' : 'UPDATING',
    launchTemplate: { ...found.template, version: found.version },
    resources: { autoScalingGroups: [{ name: found.group }] },
    health: { issues: [] },
  };
};

/** The replacement of the nodes is played by a refresh of the group. A node group that could not be updated keeps its version. */
function settle(place: Place, found: NodeGroup): void {
  const update = active(found);
  const refresh = groups(place).get(found.group)?.refreshes[0];
  if (update === undefined || refresh === undefined) return;
  if (refresh.status === 'Successful') Object.assign(found, { version: update.version });
  if (refresh.status === 'Successful') update.status = 'Successful';
  else if (/Failed|RollbackSuccessful|Cancelled/.test(refresh.status)) {
    // https://docs.aws.amazon.com/eks/latest/APIReference/API_ErrorDetail.html
    const errorMessage = 'Reached max retries while trying to launch nodes that join the cluster.';
    Object.assign(update, { status: 'Failed', errors: [{ errorCode: 'NodeCreationFailure', errorMessage }] });
  }
}

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html */
const updateNodegroupVersion: Operation<UpdateNodegroupVersionCommandInput, UpdateNodegroupVersionCommandOutput> = async (input, call) => {
  const { place } = call;
  const found = existing(place, input.clusterName, input.nodegroupName);
  const { launchTemplate = {}, clientRequestToken: token } = input;
  const repeated = token === undefined ? undefined : found.updates.find(update => update.token === token);
  if (repeated !== undefined) return { update: describedUpdate(repeated) };
  if (active(found) !== undefined)
    throw new AwsError('ResourceInUseException', `Nodegroup cannot be updated as it is currently not in Active State`, 409);
  // The launch template must be the one of the creation.
  if ((launchTemplate.id ?? found.template.id) !== found.template.id)
    throw invalid('You cannot change the launch template of a node group.');
  const version = launchTemplate.version ?? found.version;
  await copied(call, found.template.id, version, found.group);
  const { lastNumber } = templateOf(place, { LaunchTemplateName: found.group });
  await refreshOperations['StartInstanceRefresh']?.(
    {
      AutoScalingGroupName: found.group,
      DesiredConfiguration: { LaunchTemplate: { LaunchTemplateName: found.group, Version: String(lastNumber) } },
      Preferences: { MinHealthyPercentage: 100, MaxHealthyPercentage: 200, InstanceWarmup: 0, AutoRollback: true },
    },
    call,
  );
  const update: NodeUpdate = { id: randomUUID(), token, version, createdAt: place.core.clock.date(), status: 'InProgress', errors: [] };
  found.updates.push(update);
  return { update: describedUpdate(update) };
};

const describedUpdate = ({ id, status, errors, version, createdAt }: NodeUpdate): Update => ({
  ...{ id, status, errors, createdAt, type: 'VersionUpdate' },
  params: [{ type: 'LaunchTemplateVersion', value: version }],
});

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeNodegroup.html */
const describeNodegroup: Operation<DescribeNodegroupCommandInput, DescribeNodegroupCommandOutput> = (input, { place }) => ({
  nodegroup: described(existing(place, input.clusterName, input.nodegroupName)),
});

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeUpdate.html */
const describeUpdate: Operation<DescribeUpdateCommandInput, DescribeUpdateCommandOutput> = (input, { place }) => {
  const update = existing(place, input.name, input.nodegroupName).updates.find(({ id }) => id === input.updateId);
  if (update === undefined) throw new AwsError('ResourceNotFoundException', `No update found for ID: ${input.updateId}`, 404);
  return { update: describedUpdate(update) };
};

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_ListUpdates.html */
const listUpdates: Operation<ListUpdatesCommandInput, ListUpdatesCommandOutput> = (input, { place }) => ({
  updateIds: existing(place, input.name, input.nodegroupName).updates.map(({ id }) => id),
});

export const nodeGroupOperations: Operations = {
  CreateNodegroup: createNodegroup,
  DescribeNodegroup: describeNodegroup,
  DescribeUpdate: describeUpdate,
  ListUpdates: listUpdates,
  UpdateNodegroupVersion: updateNodegroupVersion,
};
