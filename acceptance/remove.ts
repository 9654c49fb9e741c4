import { DeleteAutoScalingGroupCommand, paginateDescribeAutoScalingGroups } from '@aws-sdk/client-auto-scaling';
import { DeleteStackCommand, paginateDescribeStacks } from '@aws-sdk/client-cloudformation';
import {
  DeleteKeyPairCommand,
  DeleteLaunchTemplateCommand,
  DeleteSecurityGroupCommand,
  DeleteSnapshotCommand,
  DeleteVolumeCommand,
  DeregisterImageCommand,
  DescribeKeyPairsCommand,
  paginateDescribeImages,
  paginateDescribeInstances,
  paginateDescribeLaunchTemplates,
  paginateDescribeSecurityGroups,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import {
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DescribeTagsCommand,
  paginateDescribeLoadBalancers,
  paginateDescribeTargetGroups,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { DeleteParameterCommand, paginateGetParametersByPath } from '@aws-sdk/client-ssm';
import type { Clock } from '../src/ports/deps.ts';
import { type Cloud, isOwn, NAME, OWN_FILTER, OWN_PATH } from './cloud.ts';

/** Finds and removes what this run or an earlier one has created, and nothing else. */

interface Found {
  readonly what: string;
  readonly remove: () => Promise<unknown>;
}
type Finder = (cloud: Cloud) => Promise<readonly Found[]>;

async function all<Page, Item>(pages: AsyncIterable<Page>, items: (page: Page) => readonly Item[] | undefined): Promise<readonly Item[]> {
  const found: Item[] = [];
  for await (const page of pages) found.push(...(items(page) ?? []));
  return found;
}

const groups: Finder = async ({ autoScaling }) =>
  (await all(paginateDescribeAutoScalingGroups({ client: autoScaling }, {}), page => page.AutoScalingGroups))
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ AutoScalingGroupName, Status }) => ({
      what: `group ${AutoScalingGroupName}`,
      remove: async () =>
        Status === undefined && autoScaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName, ForceDelete: true })),
    }));

/** DescribeTags takes at most 20. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html */
async function ownArns({ balancing }: Cloud, arns: readonly string[]): Promise<readonly string[]> {
  const [now, later] = [arns.slice(0, 20), arns.slice(20)];
  if (now.length === 0) return [];
  const { TagDescriptions = [] } = await balancing.send(new DescribeTagsCommand({ ResourceArns: now }));
  const own = TagDescriptions.filter(({ Tags }) => isOwn(Tags)).map(({ ResourceArn = '' }) => ResourceArn);
  return [...own, ...(await ownArns({ balancing } as Cloud, later))];
}

const balancers: Finder = async cloud => {
  const named = (await all(paginateDescribeLoadBalancers({ client: cloud.balancing }, {}), page => page.LoadBalancers)).filter(
    ({ LoadBalancerName }) => LoadBalancerName === NAME,
  );
  const arns = await ownArns(
    cloud,
    named.map(({ LoadBalancerArn = '' }) => LoadBalancerArn),
  );
  return arns.map(LoadBalancerArn => ({
    what: LoadBalancerArn,
    remove: () => cloud.balancing.send(new DeleteLoadBalancerCommand({ LoadBalancerArn })),
  }));
};

const targetGroups: Finder = async cloud => {
  const named = (await all(paginateDescribeTargetGroups({ client: cloud.balancing }, {}), page => page.TargetGroups)).filter(
    ({ TargetGroupName }) => TargetGroupName === NAME,
  );
  const arns = await ownArns(
    cloud,
    named.map(({ TargetGroupArn = '' }) => TargetGroupArn),
  );
  return arns.map(TargetGroupArn => ({
    what: TargetGroupArn,
    remove: () => cloud.balancing.send(new DeleteTargetGroupCommand({ TargetGroupArn })),
  }));
};

const OVER = ['shutting-down', 'terminated'];

const instances: Finder = async ({ ec2 }) =>
  (await all(paginateDescribeInstances({ client: ec2 }, { Filters: [OWN_FILTER] }), page => page.Reservations))
    .flatMap(({ Instances = [] }) => Instances)
    .filter(({ Tags, State }) => isOwn(Tags) && !OVER.includes(State?.Name ?? ''))
    .map(({ InstanceId = '' }) => ({
      what: `instance ${InstanceId}`,
      remove: () => ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] })),
    }));

const templates: Finder = async ({ ec2 }) =>
  (await all(paginateDescribeLaunchTemplates({ client: ec2 }, { Filters: [OWN_FILTER] }), page => page.LaunchTemplates))
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ LaunchTemplateId }) => ({
      what: `launch template ${LaunchTemplateId}`,
      remove: () => ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId })),
    }));

const images: Finder = async ({ ec2 }) =>
  (
    await all(
      paginateDescribeImages({ client: ec2 }, { Owners: ['self'], Filters: [OWN_FILTER], IncludeDisabled: true }),
      page => page.Images,
    )
  )
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ ImageId }) => ({
      what: `image ${ImageId}`,
      remove: () => ec2.send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true })),
    }));

const snapshots: Finder = async ({ ec2 }) =>
  (await all(paginateDescribeSnapshots({ client: ec2 }, { OwnerIds: ['self'], Filters: [OWN_FILTER] }), page => page.Snapshots))
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ SnapshotId }) => ({ what: `snapshot ${SnapshotId}`, remove: () => ec2.send(new DeleteSnapshotCommand({ SnapshotId })) }));

const volumes: Finder = async ({ ec2 }) =>
  (await all(paginateDescribeVolumes({ client: ec2 }, { Filters: [OWN_FILTER] }), page => page.Volumes))
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ VolumeId, State }) => ({
      what: `volume ${VolumeId}`,
      // Others go with their instance.
      remove: async () => State === 'available' && ec2.send(new DeleteVolumeCommand({ VolumeId })),
    }));

const keyPairs: Finder = async ({ ec2 }) =>
  ((await ec2.send(new DescribeKeyPairsCommand({ Filters: [OWN_FILTER] }))).KeyPairs ?? [])
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ KeyPairId }) => ({ what: `key pair ${KeyPairId}`, remove: () => ec2.send(new DeleteKeyPairCommand({ KeyPairId })) }));

const securityGroups: Finder = async ({ ec2 }) =>
  (await all(paginateDescribeSecurityGroups({ client: ec2 }, { Filters: [OWN_FILTER] }), page => page.SecurityGroups))
    .filter(({ Tags }) => isOwn(Tags))
    .map(({ GroupId }) => ({
      what: `security group ${GroupId}`,
      remove: () => ec2.send(new DeleteSecurityGroupCommand({ GroupId })),
    }));

const parameters: Finder = async ({ ssm }) =>
  (await all(paginateGetParametersByPath({ client: ssm }, { Path: OWN_PATH, Recursive: true }), page => page.Parameters))
    .filter(({ Name = '' }) => Name.startsWith(`${OWN_PATH}/`))
    .map(({ Name }) => ({ what: `parameter ${Name}`, remove: () => ssm.send(new DeleteParameterCommand({ Name })) }));

const stacks: Finder = async cloud =>
  (await all(paginateDescribeStacks({ client: cloud.stacks }, {}), page => page.Stacks))
    .filter(({ Tags, StackStatus }) => isOwn(Tags) && StackStatus !== 'DELETE_COMPLETE')
    .map(({ StackName }) => ({ what: `stack ${StackName}`, remove: () => cloud.stacks.send(new DeleteStackCommand({ StackName })) }));

/** In the order in which AWS lets them go: what uses something stands before it. */
const FINDERS: Readonly<Record<string, Finder>> = {
  'Auto Scaling groups': groups,
  'load balancers': balancers,
  'target groups': targetGroups,
  instances,
  'launch templates': templates,
  images,
  snapshots,
  volumes,
  'key pairs': keyPairs,
  'security groups': securityGroups,
  parameters,
  stacks,
};

export interface Removal {
  /** Everything that was found, in the words of the report. */
  readonly removed: readonly string[];
  /** What is still there, each with the last refusal. */
  readonly left: readonly string[];
}

const PAUSE_MS = 10_000;
const MOST_ROUNDS = 120;
const MOST_UNREAD = 3;

/** Until two looks in a row find nothing: what was requested in the last second of a killed run appears late. */
export async function removeEverything(clouds: readonly Cloud[], clock: Pick<Clock, 'sleep'>): Promise<Removal> {
  const seen = new Set<string>();
  let rounds: readonly Round[] = [];
  for (let round = 0, empty = 0, unread = 0; round < MOST_ROUNDS && empty < 2 && unread < MOST_UNREAD; round += 1) {
    rounds = await Promise.all(clouds.map(cloud => removeIn(cloud, seen)));
    empty = rounds.every(({ left }) => left.length === 0) ? empty + 1 : 0;
    unread = rounds.some(one => one.unread) ? unread + 1 : 0;
    await clock.sleep(PAUSE_MS);
  }
  return { removed: [...seen], left: rounds.flatMap(({ left }) => left) };
}

interface Round {
  readonly left: readonly string[];
  /** A kind could not be read, so something of it may be there. */
  readonly unread: boolean;
}

async function removeIn(cloud: Cloud, seen: Set<string>): Promise<Round> {
  const left: string[] = [];
  let unread = false;
  for (const [kind, find] of Object.entries(FINDERS)) {
    const found = await find(cloud).catch((cause: Error) => {
      unread = true;
      left.push(`${kind} in ${cloud.region} cannot be read: ${cause.name} ${cause.message.split('\n')[0]}`);
      return [];
    });
    for (const { what, remove } of found) {
      const line = `${what} in ${cloud.region}`;
      seen.add(line);
      const refusal = await remove().then(
        () => '',
        (cause: Error) => `: ${cause.name} ${cause.message}`,
      );
      left.push(`${line}${refusal}`);
    }
  }
  return { left, unread };
}
