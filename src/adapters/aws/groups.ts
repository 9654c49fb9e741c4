import {
  type AutoScalingClient,
  type AutoScalingGroupNamesType,
  DescribeAutoScalingGroupsCommand,
  DescribeTrafficSourcesCommand,
  DescribeWarmPoolCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import { DescribeTargetHealthCommand, type ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { batches } from '../../kit/concurrently.ts';
import type { Group, Source, Target } from '../../model/group.ts';
import type { Groups } from '../../ports/groups.ts';
import { classicHealth } from './classic-balancers.ts';
import type { Clients } from './clients.ts';
import { listInstances, MOST_FILTER_VALUES } from './ec2.ts';
import { asExpected } from './errors.ts';
import { groupCopies } from './group-copy.ts';
import { groupFrom, launchTo } from './group-shapes.ts';
import { allPages } from './pages.ts';
import { orBusy, refreshes } from './refreshes.ts';

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
const MOST_GROUPS_PER_CALL = 100;

type Balancers = Pick<Clients, 'balancing' | 'classic'>;

export const autoScalingGroups = (client: AutoScalingClient, ec2: EC2Client, { balancing, classic }: Balancers): Groups => ({
  ...refreshes(client),
  ...groupCopies(client),

  async find({ names, tags = {} }) {
    const Filters = Object.entries(tags).map(([key, value]) => ({ Name: `tag:${key}`, Values: [value] }));
    if (names === undefined) return listed(client, Filters.length === 0 ? {} : { Filters });
    const found = await Promise.all(
      batches(names, MOST_GROUPS_PER_CALL).map(AutoScalingGroupNames => listed(client, { AutoScalingGroupNames })),
    );
    return found.flat();
  },

  async imagesOf(instanceIds) {
    const perBatch = batches(instanceIds, MOST_FILTER_VALUES).map(Values => listInstances(ec2, [{ Name: 'instance-id', Values }]));
    const found = (await Promise.all(perBatch)).flat();
    return new Map(found.map(({ InstanceId = '', ImageId = '' }) => [InstanceId, ImageId]));
  },

  async warmPool(group) {
    const waiting = await allPages(async NextToken => {
      const page = await client
        .send(new DescribeWarmPoolCommand({ AutoScalingGroupName: group, NextToken }))
        .catch(orBusy(`read the warm pool of ${group} (autoscaling:DescribeWarmPool)`));
      return { items: page.Instances, next: page.NextToken };
    });
    return waiting.flatMap(({ InstanceId, LifecycleState }) =>
      InstanceId === undefined || LifecycleState?.includes('Terminat') ? [] : [InstanceId],
    );
  },

  async targetHealth({ members, targetGroups }) {
    const ids = new Set(members.map(({ id }) => id));
    const said = await Promise.all(targetGroups.map(arn => healthOf(balancing, arn)));
    return said.flat().filter(({ instanceId }) => ids.has(instanceId));
  },

  async sources(group) {
    const sources = await sourcesOf(client, group);
    return Promise.all(
      sources.map(async source => (source.type === 'elb' ? { ...source, targets: await classicHealth(classic, source.name) } : source)),
    );
  },

  async setLaunch(group, launch) {
    await client
      .send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: group, ...launchTo(launch) }))
      .catch(orBusy(`change the launch template of ${group} (autoscaling:UpdateAutoScalingGroup)`));
  },
});

const listed = (client: AutoScalingClient, query: AutoScalingGroupNamesType): Promise<Group[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribeAutoScalingGroupsCommand({ ...query, MaxRecords: MOST_GROUPS_PER_CALL, NextToken }))
      .catch(orBusy('read Auto Scaling groups (autoscaling:DescribeAutoScalingGroups)'));
    return { items: page.AutoScalingGroups?.map(groupFrom), next: page.NextToken };
  });

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeTrafficSources.html */
const sourcesOf = (client: AutoScalingClient, AutoScalingGroupName: string): Promise<Source[]> =>
  allPages(async NextToken => {
    const page = await client
      .send(new DescribeTrafficSourcesCommand({ AutoScalingGroupName, NextToken }))
      .catch(orBusy(`read what sends traffic to ${AutoScalingGroupName} (autoscaling:DescribeTrafficSources)`));
    const items = page.TrafficSources?.map(({ Identifier: name = '', Type: type = '', State: state = '' }) => ({ name, type, state }));
    return { items, next: page.NextToken };
  });

async function healthOf(balancing: ElasticLoadBalancingV2Client, TargetGroupArn: string): Promise<Target[]> {
  const { TargetHealthDescriptions = [] } = await balancing
    .send(new DescribeTargetHealthCommand({ TargetGroupArn }))
    .catch(asExpected('read the health of targets (elasticloadbalancing:DescribeTargetHealth)'));
  return TargetHealthDescriptions.map(({ Target: { Id = '' } = {}, TargetHealth: { State = '', Reason, Description } = {} }) => ({
    instanceId: Id,
    state: State,
    message: [State, Reason, Description].filter(part => part !== undefined).join(', '),
  }));
}
