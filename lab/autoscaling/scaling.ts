import { instances } from '../ec2/state.ts';
import { AwsError } from '../operation.ts';
import { began, ended } from './activities.ts';
import { counted, desiredInstances, isSuspended } from './group.ts';
import { retire } from './health.ts';
import { launchMember } from './launch.ts';
import { activeRefresh, recipeNow } from './refresh.ts';
import type { Group, Member, Spot } from './state.ts';

/** Launches or terminates instances until the group has its goal. */
export async function balance(group: Group): Promise<void> {
  const goal = desiredInstances(group) + (activeRefresh(group)?.surplus ?? 0);
  const surplus = counted(group).length - goal;
  if (surplus > 0 && !isSuspended(group, 'Terminate')) scaleIn(group, surplus);
  const retryAt = (group.launchTrouble?.at ?? 0) + group.place.core.timings.launchRetry * 1000;
  if (isSuspended(group, 'Launch') || group.place.core.clock.now() < retryAt) return;
  for (let missing = -surplus; missing > 0; missing--) {
    if (!(await launchOne(group, goal))) return;
  }
}

async function launchOne(group: Group, goal: number): Promise<boolean> {
  const have = counted(group).length;
  const cause = `an instance was started in response to ${reason(group)}, increasing the capacity from ${have} to ${goal}.`;
  try {
    const member = await launchSomewhere(group, spots(group));
    member.activity = began(group, `Launching a new EC2 instance: ${member.id}`, cause, member);
    group.members.set(member.id, member);
    group.launchTrouble = undefined;
    return true;
  } catch (trouble) {
    if (!(trouble instanceof AwsError)) throw trouble;
    const message = `${trouble.message.replace(/\.$/, '')}. Launching EC2 instance failed.`;
    ended(group, began(group, 'Launching a new EC2 instance', cause), 'Failed', message);
    group.launchTrouble = { message, at: group.place.core.clock.now() };
    return false;
  }
}

const reason = (group: Group): string =>
  activeRefresh(group) === undefined ? 'a difference between desired and actual capacity' : 'an instance refresh';

/** Zones without capacity are skipped. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-capacity.html */
async function launchSomewhere(group: Group, [spot, ...others]: readonly Spot[]): Promise<Member> {
  if (spot === undefined) throw new AwsError('ValidationError', 'The Auto Scaling group has no subnet');
  try {
    return await launchMember(group, recipeNow(group), spot);
  } catch (trouble) {
    if (others.length > 0 && trouble instanceof AwsError && trouble.code === 'InsufficientInstanceCapacity')
      return launchSomewhere(group, others);
    throw trouble;
  }
}

/** The emptiest zone first. https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html#AutoScalingBehavior.InstanceUsage */
const spots = (group: Group): readonly Spot[] => {
  const crowd = ({ zone }: Spot) => counted(group).filter(member => member.zone === zone).length;
  return [...group.spots].sort((a, b) => crowd(a) - crowd(b));
};

/** Old configuration first, then the fullest zone, then the oldest. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html */
function scaleIn(group: Group, surplus: number): void {
  const stale = activeRefresh(group)?.stale;
  const crowd = (zone: string) => counted(group).filter(member => member.zone === zone).length;
  const rank = ({ id, zone, launchedAt, template }: Member) => [stale?.has(id) ? 0 : 1, template?.version ?? 0, -crowd(zone), launchedAt];
  const victims = counted(group)
    .filter(member => !member.protected && instances(group.place).has(member.id))
    .map(member => ({ member, rank: rank(member) }))
    .sort((a, b) => compare(a.rank, b.rank));
  for (const { member } of victims.slice(0, surplus))
    retire(
      group,
      member,
      'an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity.',
    );
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, place) => value !== b[place]);
  return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}
