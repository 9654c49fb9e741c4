import type {
  DeleteWarmPoolCommandInput,
  DeleteWarmPoolCommandOutput,
  DescribeWarmPoolCommandInput,
  DescribeWarmPoolCommandOutput,
  PutWarmPoolCommandInput,
  PutWarmPoolCommandOutput,
} from '@aws-sdk/client-auto-scaling';
import { terminateInstance } from '../ec2/instance-operations.ts';
import { stop } from '../ec2/lifecycle.ts';
import { instances } from '../ec2/state.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { describedMember } from './described.ts';
import { groupNamed, invalid, isSuspended } from './group.ts';
import { launchMember, matches } from './launch.ts';
import { records } from './records.ts';
import { recipeNow } from './refresh.ts';
import type { Group, Member, Refresh, WarmPool } from './state.ts';

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html */
export async function keepWarm(group: Group): Promise<void> {
  const pool = group.warmPool;
  if (pool === undefined) return;
  for (const member of [...pool.members.values()]) rest(group, pool, member);
  if (pool.configuration.Status === 'PendingDelete') {
    if (pool.members.size === 0) group.warmPool = undefined;
    return;
  }
  const retryAt = (group.launchTrouble?.at ?? 0) + group.place.core.timings.launchRetry * 1000;
  if (isSuspended(group, 'Launch') || group.place.core.clock.now() < retryAt) return;
  for (let missing = size(group, pool) - pool.members.size; missing > 0; missing--) {
    const spot = group.spots[missing % group.spots.length];
    if (spot === undefined || !(await launchWarm(group, pool, spot))) return;
  }
}

async function launchWarm(group: Group, pool: WarmPool, spot: Group['spots'][number]): Promise<boolean> {
  try {
    const member = await launchMember(group, recipeNow(group), spot);
    member.state = 'Warmed:Pending';
    pool.members.set(member.id, member);
    return true;
  } catch (trouble) {
    if (!(trouble instanceof AwsError)) throw trouble;
    group.launchTrouble = { message: trouble.message, at: group.place.core.clock.now() };
    return false;
  }
}

function size(group: Group, { configuration: { MaxGroupPreparedCapacity: prepared = -1, MinSize = 0 } }: WarmPool): number {
  return Math.max(MinSize, (prepared < 0 ? group.max : prepared) - group.desired, 0);
}

/** Moves a running member into the state of the pool. */
function rest({ place }: Group, { configuration, members }: WarmPool, member: Member): void {
  const instance = instances(place).get(member.id);
  if (instance === undefined || instance.state === 'terminated') return void members.delete(member.id);
  if (member.state !== 'Warmed:Pending' || instance.state !== 'running') return;
  const { PoolState = 'Stopped' } = configuration;
  member.state = `Warmed:${PoolState}`;
  if (PoolState !== 'Running') stop(instance);
}

const isStale = (group: Group, refresh: Refresh, member: Member): boolean => {
  const isOld = member.launchedAt < refresh.startedAt.getTime();
  if (refresh.status === 'RollbackInProgress') return !isOld && !matches(group.place, member, group.recipe);
  return isOld && !(refresh.rules.skipMatching && matches(group.place, member, recipeNow(group)));
};

export function renewPool(group: Group, refresh: Refresh): void {
  for (const member of group.warmPool?.members.values() ?? [])
    if (isStale(group, refresh, member)) terminateInstance(group.place, member.id);
}

export function poolIsRenewed(group: Group, refresh: Refresh): boolean {
  const pool = group.warmPool;
  if (pool === undefined || pool.configuration.Status === 'PendingDelete') return true;
  const members = [...pool.members.values()];
  const resting = members.every(member => !isStale(group, refresh, member) && member.state !== 'Warmed:Pending');
  return resting && members.length >= size(group, pool);
}

export function poolProgress(group: Group, refresh: Refresh) {
  const members = [...(group.warmPool?.members.values() ?? [])];
  const left = members.filter(member => isStale(group, refresh, member)).length;
  const share = members.length === 0 ? 1 : 1 - left / members.length;
  return { PercentageComplete: Math.floor(share * 100), InstancesToUpdate: left };
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html */
const putWarmPool: Operation<PutWarmPoolCommandInput, PutWarmPoolCommandOutput> = (
  { AutoScalingGroupName, ...configuration },
  { place },
) => {
  const group = groupNamed(place, AutoScalingGroupName);
  if (configuration.PoolState === undefined) configuration.PoolState = 'Stopped';
  group.warmPool = { configuration: { MinSize: 0, ...configuration }, members: group.warmPool?.members ?? new Map() };
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeWarmPool.html */
const describeWarmPool: Operation<DescribeWarmPoolCommandInput, DescribeWarmPoolCommandOutput> = (input, { place }) => {
  const pool = groupNamed(place, input.AutoScalingGroupName).warmPool;
  const { items, NextToken } = records(place, [...(pool?.members.values() ?? [])], ({ id }) => id, input, 50, 50);
  return { WarmPoolConfiguration: pool?.configuration, Instances: items.map(describedMember), NextToken };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteWarmPool.html */
const deleteWarmPool: Operation<DeleteWarmPoolCommandInput, DeleteWarmPoolCommandOutput> = (input, { place }) => {
  const pool = groupNamed(place, input.AutoScalingGroupName).warmPool;
  if (pool === undefined) throw invalid(`No warm pool found for Auto Scaling group ${input.AutoScalingGroupName}`);
  pool.configuration = { ...pool.configuration, Status: 'PendingDelete' };
  for (const { id } of pool.members.values()) terminateInstance(place, id);
  return {};
};

export const warmPoolOperations: Operations = {
  DeleteWarmPool: deleteWarmPool,
  DescribeWarmPool: describeWarmPool,
  PutWarmPool: putWarmPool,
};
