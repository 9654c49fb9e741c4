import {
  type AutoScalingClient,
  DescribeScalingActivitiesCommand,
  DescribeWarmPoolCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import { DescribeInstanceHealthCommand, type ElasticLoadBalancingClient } from '@aws-sdk/client-elastic-load-balancing';
import { DescribeTargetHealthCommand, type ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { batches } from '../../kit/concurrently.ts';
import type { Launching, Target } from '../../model/group.ts';
import type { Groups } from '../../ports/groups.ts';
import type { Clients } from './clients.ts';
import { listInstances, MOST_FILTER_VALUES } from './ec2.ts';
import { asExpected } from './errors.ts';
import { groupCopies } from './group-copy.ts';
import { listGroups, listTrafficSources, MOST_GROUPS_PER_CALL } from './group-reads.ts';
import { groupFrom, savedLaunch } from './group-shapes.ts';
import { allPages, listed } from './pages.ts';
import { orBusy, refreshes } from './refreshes.ts';

type Balancers = Pick<Clients, 'balancing' | 'classic'>;

export const autoScalingGroups = (client: AutoScalingClient, ec2: EC2Client, { balancing, classic }: Balancers): Groups => ({
  ...refreshes(client),
  ...groupCopies(client),

  async find({ names, tags = {} }) {
    const Filters = Object.entries(tags).map(([key, value]) => ({ Name: `tag:${key}`, Values: [value] }));
    const queries =
      names === undefined
        ? [Filters.length === 0 ? {} : { Filters }]
        : batches(names, MOST_GROUPS_PER_CALL).map(AutoScalingGroupNames => ({ AutoScalingGroupNames }));
    return (await Promise.all(queries.map(query => listGroups(client, query)))).flat().map(groupFrom);
  },

  async imagesOf(instanceIds) {
    const perBatch = batches(instanceIds, MOST_FILTER_VALUES).map(Values => listInstances(ec2, [{ Name: 'instance-id', Values }]));
    const found = (await Promise.all(perBatch)).flat();
    return new Map(found.map(({ InstanceId = '', ImageId = '' }) => [InstanceId, ImageId]));
  },

  async warmPool(group) {
    const members = await allPages(async NextToken => {
      const page = await client
        .send(new DescribeWarmPoolCommand({ AutoScalingGroupName: group, NextToken }))
        .catch(orBusy(`read the warm pool of ${group} (autoscaling:DescribeWarmPool)`));
      return { items: page.Instances, next: page.NextToken };
    });
    return members.flatMap(({ InstanceId, LifecycleState }) =>
      InstanceId === undefined || LifecycleState?.includes('Terminat') ? [] : [InstanceId],
    );
  },

  async targetHealth({ members, targetGroups }) {
    const ids = new Set(members.map(({ id }) => id));
    const targets = await Promise.all(targetGroups.map(arn => healthOf(balancing, arn)));
    return targets.flat().filter(({ instanceId }) => ids.has(instanceId));
  },

  async sources(group) {
    const sources = await listTrafficSources(client, group);
    return Promise.all(
      sources.map(async ({ Identifier: name = '', Type: type = '', State: state = '' }) =>
        type === 'elb' ? { name, type, state, targets: await classicHealth(classic, name) } : { name, type, state },
      ),
    );
  },

  launches: group => listLaunches(client, group),
  launchSeconds: group => listLaunchSeconds(client, group),
  unhealthy: group => listUnhealthy(client, group),

  async setLaunch(group, launch) {
    await client
      .send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: group, ...savedLaunch(launch) }))
      .catch(orBusy(`change what is launched by ${group} (autoscaling:UpdateAutoScalingGroup)`));
  },
});

// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html#replace-unhealthy-instance
const TAKEN_OUT = /taken out of service in response to an? (.*health.check.*?)\.?$/;

async function listActivities(client: AutoScalingClient, group: string, MaxRecords = 20) {
  const { Activities = [] } = await client
    .send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName: group, MaxRecords }))
    .catch(orBusy(`read the scaling activities of ${group} (autoscaling:DescribeScalingActivities)`));
  return Activities;
}

async function listUnhealthy(client: AutoScalingClient, group: string) {
  return (await listActivities(client, group)).flatMap(({ StartTime = new Date(0), Cause = '' }) => {
    const reason = TAKEN_OUT.exec(Cause)?.[1];
    return reason === undefined ? [] : [{ at: StartTime, reason }];
  });
}

async function listLaunches(client: AutoScalingClient, group: string): Promise<Launching[]> {
  const launches = (await listActivities(client, group)).filter(({ Description = '' }) => Description.startsWith('Launching'));
  return launches.map(({ StartTime = new Date(0), StatusCode, StatusMessage = '', Description = '' }) => ({
    at: StartTime,
    result:
      StatusCode === 'Failed' || isLost(StatusCode, StatusMessage) ? 'failed' : StatusCode === 'Successful' ? 'successful' : 'pending',
    message: StatusMessage === '' ? Description : StatusMessage,
  }));
}

/** A launch is an activity that ends when the instance is in service. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html */
async function listLaunchSeconds(client: AutoScalingClient, group: string): Promise<ReadonlyMap<string, number>> {
  const launches = (await listActivities(client, group, 100)).flatMap(({ Description = '', StatusCode, StartTime, EndTime }) => {
    const id = /^Launching a new EC2 instance: (i-[0-9a-f]+)/.exec(Description)?.[1];
    if (id === undefined || StatusCode !== 'Successful' || StartTime === undefined || EndTime === undefined) return [];
    return [[id, (EndTime.getTime() - StartTime.getTime()) / 1000] as const];
  });
  return new Map(launches);
}

/** Terminated by EC2 right after its launch, for example without a grant for the KMS key of its volume. A scale-in cancels launches without this message. */
const isLost = (status: string | undefined, message: string): boolean =>
  status === 'Cancelled' && /became unhealthy while waiting/.test(message);

async function healthOf(balancing: ElasticLoadBalancingV2Client, TargetGroupArn: string): Promise<Target[]> {
  const { TargetHealthDescriptions } = await balancing
    .send(new DescribeTargetHealthCommand({ TargetGroupArn }))
    .catch(asExpected('read the health of targets (elasticloadbalancing:DescribeTargetHealth)'));
  return listed(TargetHealthDescriptions).map(({ Target: { Id = '' } = {}, TargetHealth: { State = '', Reason, Description } = {} }) => ({
    instanceId: Id,
    state: State,
    message: [State, Reason, Description].filter(part => part !== undefined).join(', '),
  }));
}

// An instance is also OutOfService until it passes its first health check.
// https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_InstanceState.html
const NEW = /registration is still in progress|has not passed|pending state|transient error/;

/** With the states of target groups. https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_DescribeInstanceHealth.html */
async function classicHealth(client: ElasticLoadBalancingClient, LoadBalancerName: string): Promise<Target[]> {
  const { InstanceStates } = await client
    .send(new DescribeInstanceHealthCommand({ LoadBalancerName }))
    .catch(
      asExpected(`read the health of the instances of load balancer ${LoadBalancerName} (elasticloadbalancing:DescribeInstanceHealth)`),
    );
  return listed(InstanceStates).map(({ InstanceId = '', State = 'Unknown', Description = '' }) => ({
    instanceId: InstanceId,
    state: State === 'InService' ? 'healthy' : State === 'Unknown' || NEW.test(Description) ? 'initial' : 'unhealthy',
    message: `${LoadBalancerName} reports ${State}${Description === '' ? '' : `, ${Description.replace(/\.$/, '')}`}`,
  }));
}
