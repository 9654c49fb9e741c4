import { checks } from '../ec2/describe-instances.ts';
import { terminateInstance } from '../ec2/instance-operations.ts';
import { instances, type LabInstance } from '../ec2/state.ts';
import { deregisterFrom, healthIn, registered, registerIn } from '../elb/target-health.ts';
import { began, ended } from './activities.ts';
import { isSuspended } from './group.ts';
import type { Group, Member } from './state.ts';

/** Checks every instance of the group and updates its lifecycle state. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html */
export function observe(group: Group): void {
  for (const member of [...group.members.values()]) {
    const instance = instances(group.place).get(member.id);
    if (member.state === 'Terminating') observeLeaving(group, member, instance);
    else if (member.state === 'Pending') observePending(group, member, instance);
    else if (member.state === 'InService' && !isSuspended(group, 'HealthCheck')) examine(group, member, instance);
    else if (member.state === 'Standby' && isDead(instance)) group.members.delete(member.id);
  }
}

const isDead = (instance: LabInstance | undefined): boolean =>
  instance === undefined || instance.state === 'terminated' || instance.state === 'shutting-down';

function observeLeaving(group: Group, member: Member, instance: LabInstance | undefined): void {
  if (instance === undefined || instance.state === 'terminated') {
    group.members.delete(member.id);
    ended(group, member.activity, 'Successful');
  } else if (instance.state !== 'shutting-down' && !drains(group, member)) {
    terminateInstance(group.place, member.id);
  }
}

/** Connection draining: https://docs.aws.amazon.com/autoscaling/ec2/userguide/attach-load-balancer-asg.html */
const drains = (group: Group, { id }: Member): boolean => sourceIds(group).some(source => registered(group.place, source, id));

export const sourceIds = ({ sources }: Group): readonly string[] => sources.map(({ id }) => id);

function observePending(group: Group, member: Member, instance: LabInstance | undefined): void {
  if (instance?.state === 'running') enterService(group, member);
  if (!isDead(instance)) return;
  group.members.delete(member.id);
  const termination = instance?.stateReason?.message ?? 'Instance was terminated';
  const reason = `Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: ${termination}`;
  ended(group, member.activity, 'Cancelled', reason);
  group.launchTrouble = { message: reason, at: group.place.core.clock.now() };
}

export function enterService(group: Group, member: Member): void {
  member.state = 'InService';
  member.health = 'Healthy';
  member.inServiceAt = group.place.core.clock.now();
  ended(group, member.activity, 'Successful');
  member.activity = undefined;
  if (!isSuspended(group, 'AddToLoadBalancer')) for (const source of sourceIds(group)) registerIn(group.place, source, member.id);
}

function examine(group: Group, member: Member, instance: LabInstance | undefined): void {
  const cause = sickness(group, member, instance);
  if (cause === undefined) return;
  member.health = 'Unhealthy';
  member.unhealthyReason = `an instance was taken out of service in response to ${cause}.`;
}

/** In the wording of AWS: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-healthchecks.html */
function sickness(group: Group, member: Member, instance: LabInstance | undefined): string | undefined {
  // An instance that is not running is unhealthy at once, even within the grace period: https://docs.aws.amazon.com/autoscaling/ec2/userguide/health-check-grace-period.html
  if (instance?.state !== 'running') return 'an EC2 health check indicating it has been terminated or stopped';
  if (inGrace(group, member)) return undefined;
  if (checks(instance) === 'impaired') return 'an EC2 instance status check failure';
  if (!group.healthTypes.includes('ELB')) return undefined;
  // The load balancer's health counts once it has reported one instance of the group as healthy: https://docs.aws.amazon.com/autoscaling/ec2/userguide/load-balancer-status.html
  const heard = group.sources.filter(({ state }) => state === 'InService');
  const states = heard.map(({ id }) => healthIn(group.place, id, member.id)?.State);
  return states.includes('unhealthy') ? 'an ELB system health check failure' : undefined;
}

export const inGrace = (group: Group, { inServiceAt = 0 }: Member): boolean =>
  group.place.core.clock.now() < inServiceAt + group.graceSeconds * 1000;

/** Deregisters the instance from its load balancers and terminates it when it has drained. */
export function retire(group: Group, member: Member, cause: string): void {
  if (member.state === 'Terminating') return;
  ended(group, member.activity, 'Cancelled');
  member.state = 'Terminating';
  member.activity = began(group, `Terminating EC2 instance: ${member.id}`, cause, member);
  for (const source of sourceIds(group)) deregisterFrom(group.place, source, member.id);
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html */
export function replaceUnhealthy(group: Group): void {
  if (isSuspended(group, 'ReplaceUnhealthy') || isSuspended(group, 'Terminate')) return;
  for (const member of [...group.members.values()])
    if (member.health === 'Unhealthy' && member.state === 'InService') retire(group, member, member.unhealthyReason);
}

/** Why an instance does not count as updated yet. Undefined when all health checks pass and its warm-up is over. */
export function notReady(group: Group, member: Member, warmupSeconds: number): string | undefined {
  const { place } = group;
  const instance = instances(place).get(member.id);
  if (member.health === 'Unhealthy') return 'is unhealthy.';
  if (member.state !== 'InService') return `is in the lifecycle state ${member.state}.`;
  if (instance !== undefined && checks(instance) === 'impaired') return 'fails its Amazon EC2 status checks.';
  if (instance === undefined || checks(instance) !== 'ok') return 'has insufficient data to evaluate its health with Amazon EC2.';
  const states = group.healthTypes.includes('ELB') ? sourceIds(group).map(source => healthIn(place, source, member.id)) : [];
  const bad = states.find(health => health?.State !== 'healthy' && health?.Reason !== 'Target.NotInUse');
  if (bad !== undefined) return `is not healthy in Elastic Load Balancing: ${bad.Description}`;
  if (states.includes(undefined)) return 'is not registered with Elastic Load Balancing.';
  const warmAt = (member.inServiceAt ?? 0) + warmupSeconds * 1000;
  return place.core.clock.now() < warmAt ? 'is warming up.' : undefined;
}
