import type { InstanceRefreshStatus } from '@aws-sdk/client-auto-scaling';
import { isAlias } from '../ec2/launch-template-data.ts';
import { resolveTemplate } from '../ec2/launch-template-spec.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { counted } from './group.ts';
import { byId } from './launch.ts';
import type { Group, Recipe, Refresh } from './state.ts';

export function endRefresh(group: Group, refresh: Refresh, status: InstanceRefreshStatus, reason: string | undefined): void {
  Object.assign(refresh, { status, reason, endedAt: group.place.core.clock.date(), surplus: 0 });
}

/** A failed refresh rolls back if AutoRollback is set. A failed rollback ends in RollbackFailed. */
export function failRefresh(group: Group, refresh: Refresh, reason: string): void {
  if (refresh.status === 'RollbackInProgress') endRefresh(group, refresh, 'RollbackFailed', `The rollback failed. ${reason}`);
  else if (!refresh.rules.autoRollback) endRefresh(group, refresh, 'Failed', `The instance refresh failed. ${reason}`);
  else startRollback(group, refresh, `An automatic rollback was initiated because the instance refresh failed. ${reason}`);
}

/** From now on the instances launched since the start are replaced. Those that were not replaced yet stay. */
export function startRollback(group: Group, refresh: Refresh, reason: string): void {
  const { stale, known, percentage, toUpdate } = refresh;
  const fresh = [...counted(group)].filter(({ id }) => !known.has(id));
  stale.clear();
  for (const { id } of fresh) stale.add(id);
  const now = group.place.core.clock.date();
  refresh.rollback = {
    ...{ RollbackReason: reason.slice(0, 1023), RollbackStartTime: now, total: fresh.length },
    ...{ PercentageCompleteOnRollback: percentage, InstancesToUpdateOnRollback: toUpdate },
  };
  for (const { id } of counted(group)) if (known.has(id)) refresh.excluded.add(id);
  Object.assign(refresh, { status: 'RollbackInProgress', reason, waitUntil: undefined, best: 0, movedAt: now.getTime() });
  group.launchTrouble = undefined;
}

/**
 * Why the group cannot roll back to its saved configuration. Undefined when it can.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html (Considerations)
 */
export function rollbackBlocker(place: Place, saved: Recipe): string | undefined {
  const policy = saved.MixedInstancesPolicy?.LaunchTemplate;
  const specs = [
    saved.LaunchTemplate,
    policy?.LaunchTemplateSpecification,
    ...(policy?.Overrides ?? []).map(each => each.LaunchTemplateSpecification),
  ];
  for (const spec of specs.filter(found => found !== undefined)) {
    const version = spec.Version ?? '$Default';
    if (version.startsWith('$'))
      return `the Auto Scaling group uses the launch template version ${version} instead of a specific numbered version`;
    if (isAlias(imageIdOf(place, spec)))
      return 'the launch template of the Auto Scaling group uses an AWS Systems Manager parameter instead of an AMI ID';
  }
  return undefined;
}

function imageIdOf(place: Place, spec: NonNullable<Recipe['LaunchTemplate']>): string | undefined {
  try {
    return resolveTemplate(place, byId(spec)).data.ImageId;
  } catch (gone) {
    // The template was deleted. A rollback to it is accepted and then fails.
    if (gone instanceof AwsError) return undefined;
    throw gone;
  }
}
