import {
  type AutoScalingClient,
  DescribeInstanceRefreshesCommand,
  DescribeLaunchConfigurationsCommand,
  type InstanceRefresh,
} from '@aws-sdk/client-auto-scaling';
import { concurrently } from '../../../kit/concurrently.ts';
import { isOver, type RefreshStatus } from '../../../model/group.ts';
import type { Launcher } from '../../../model/image-users.ts';
import { asExpected, isCode } from '../errors.ts';
import { listGroups } from '../group-reads.ts';
import { allPages } from '../pages.ts';
import { ofPolicy, ofTemplate, snapshotsIn } from './launch-sources.ts';

const REFRESHES_AT_ONCE = 6;

/** What every group would launch next: by its template, its mixed policy with all overrides, or its launch configuration. */
export async function groupLaunchers(autoScaling: AutoScalingClient): Promise<Launcher[]> {
  const [groups, configurations] = await Promise.all([listGroups(autoScaling, {}), configurationLaunchers(autoScaling)]);
  const named = new Map(configurations.map(configuration => [configuration.user, configuration.launches]));
  const launchers = groups.map(({ AutoScalingGroupName: group = '', LaunchTemplate, MixedInstancesPolicy, LaunchConfigurationName }) => ({
    user: `group ${group}`,
    group,
    launches: [
      ...ofTemplate(LaunchTemplate),
      ...ofPolicy(MixedInstancesPolicy),
      ...(named.get(`launch configuration ${LaunchConfigurationName}`) ?? []),
    ],
  }));
  return [...launchers, ...configurations];
}

/** Whether a group uses them or not: nothing else keeps a launch configuration from being used tomorrow. */
const configurationLaunchers = (autoScaling: AutoScalingClient): Promise<Launcher[]> =>
  allPages(async NextToken => {
    const page = await autoScaling
      .send(new DescribeLaunchConfigurationsCommand({ MaxRecords: 100, NextToken }))
      .catch(asExpected('describe launch configurations (autoscaling:DescribeLaunchConfigurations)'));
    return {
      items: page.LaunchConfigurations?.map(({ LaunchConfigurationName = '', ImageId = '', BlockDeviceMappings }) => ({
        user: `launch configuration ${LaunchConfigurationName}`,
        launches: [{ imageId: ImageId }],
        snapshotIds: snapshotsIn({ BlockDeviceMappings }),
      })),
      next: page.NextToken,
    };
  });

/** What running refreshes bring. What they would go back to is what the group itself says: it is not updated before they end well. */
export async function refreshLaunchers(autoScaling: AutoScalingClient, groups: readonly string[]): Promise<Launcher[]> {
  const found = await concurrently(groups, REFRESHES_AT_ONCE, group => refreshesOf(autoScaling, group));
  return found.flat().flatMap(refresh => {
    if (isOver({ status: refresh.Status as RefreshStatus })) return [];
    const { LaunchTemplate, MixedInstancesPolicy } = refresh.DesiredConfiguration ?? {};
    const user = `refresh ${refresh.InstanceRefreshId} of group ${refresh.AutoScalingGroupName} (${refresh.Status})`;
    return [{ user, launches: [...ofTemplate(LaunchTemplate), ...ofPolicy(MixedInstancesPolicy)] }];
  });
}

const refreshesOf = (autoScaling: AutoScalingClient, group: string): Promise<InstanceRefresh[]> =>
  allPages(async NextToken => {
    const page = await autoScaling
      .send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, MaxRecords: 100, NextToken }))
      .catch(orGroupIsGone)
      .catch(asExpected(`describe the instance refreshes of ${group} (autoscaling:DescribeInstanceRefreshes)`));
    return { items: page?.InstanceRefreshes, next: page?.NextToken };
  });

// It was listed a moment ago; a group that was deleted since has no refresh.
const orGroupIsGone = (cause: unknown): undefined => {
  if (isCode(cause, 'ValidationError') && /not found/i.test((cause as Error).message)) return undefined;
  throw cause;
};
