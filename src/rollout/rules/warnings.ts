import type { RefreshPreferences } from '../../model/group.ts';
import { formatTemplateUse, type Group, isClassic, isNumbered, usesOf } from '../../model/group.ts';
import type { GroupFacts, PlanOptions } from './facts.ts';
import type { GroupAction } from './group-action.ts';

/** What a person should know before it starts, though nothing forbids it. */
export function warningsOf(
  { group, versions, imageSnapshots }: GroupFacts,
  { protectedInstances, standbyInstances, strategy, batchSize }: PlanOptions,
  { by, action, atATime }: { by: 'version' | 'pointer'; action: GroupAction; atATime: number },
): string[] {
  const swaps = strategy === 'blue-green';
  const shielded = swaps ? [] : group.members.filter(member => member.protected);
  const standby = swaps ? [] : group.members.filter(({ state }) => state === 'Standby');
  const { balancers = [] } = group;
  const silent = balancers.filter(balancer => !isClassic(balancer));
  const dropped = [...versions.values()].flatMap(({ snapshotIds }) => snapshotIds).filter(id => imageSnapshots.has(id));
  return [
    shielded.length > 0 && protectedInstances === 'ignore' && `${shielded.length} protected instances keep the image they run`,
    shielded.length > 0 &&
      protectedInstances === 'wait' &&
      `${shielded.length} protected instances: AWS waits one hour for somebody to lift the protection, then the refresh fails`,
    standby.length > 0 &&
      standbyInstances === 'wait' &&
      `${standby.length} instances in standby: AWS waits one hour for somebody to put them back into service, then the refresh fails`,
    standby.length > 0 && standbyInstances === 'ignore' && `${standby.length} instances in standby keep the image they run`,
    dropped.length > 0 &&
      `the template names snapshots of the old image (${dropped.join(', ')}); the new version leaves them to the new image`,
    action === 'refresh' &&
      batchSize !== undefined &&
      atATime < Math.min(batchSize, group.desired) &&
      `AWS takes whole percents only, so of its ${group.desired} instances not ${batchSize} are replaced at a time, but ${atATime}`,
    action === 'refresh' &&
      group.targetGroups.length + balancers.length > silent.length &&
      !group.healthCheck.includes('ELB') &&
      'its health check is EC2, so AWS replaces on though new instances get no traffic; we see that only when all are replaced, and roll back then. Set its HealthCheckType to ELB',
    (action === 'refresh' || action === 'swap') &&
      silent.length > 0 &&
      group.healthCheck === 'EC2' &&
      `its health check is EC2, so neither AWS nor we learn whether ${silent.join(', ')} finds the new instances healthy. Set its HealthCheckType to VPC_LATTICE`,
    by === 'pointer' &&
      'its template reads the pointer: the pointer moves before it is rolled, and AWS cannot roll it back; if it fails, we move the pointer back and replace its instances again',
    by === 'version' &&
      !usesOf(group.launch).every(isNumbered) &&
      `launches from ${usesOf(group.launch)
        .filter(use => !isNumbered(use))
        .map(formatTemplateUse)
        .join(', ')}, which is pinned to the number it means now, and stays so: AWS cannot roll back otherwise`,
  ].filter(warning => warning !== false);
}

// Boot, registration and health checks of one batch, besides the warm-up. Only for the plan's "about".
const BATCH_SECONDS = 90;

export function estimate(replaces: number, atATime: number, wanted: RefreshPreferences, group: Group): number {
  const pauses = wanted.checkpoints.filter(percent => percent < 100).length * (wanted.checkpointDelaySeconds ?? 0);
  return Math.ceil(replaces / atATime) * (BATCH_SECONDS + (wanted.warmUpSeconds ?? group.warmUpSeconds)) + pauses + wanted.bakeSeconds;
}
