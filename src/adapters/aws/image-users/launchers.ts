import {
  type AutoScalingClient,
  DescribeInstanceRefreshesCommand,
  DescribeLaunchConfigurationsCommand,
  type InstanceRefresh,
} from '@aws-sdk/client-auto-scaling';
import { concurrently } from '../../../kit/concurrently.ts';
import { isOver, type RefreshStatus } from '../../../model/group.ts';
import type { Launcher } from '../../../model/image-users.ts';
import type { Clock } from '../../../ports/deps.ts';
import { always } from '../complete.ts';
import { asExpected, isCode } from '../errors.ts';
import { listGroups } from '../group-reads.ts';
import { allPages } from '../pages.ts';
import { ofPolicy, ofTemplate, snapshotsIn } from './launch-sources.ts';

const REFRESHES_AT_ONCE = 6;

/** What every group launches: by its template, its mixed instances policy with all overrides, or its launch configuration. */
export async function groupLaunchers(autoScaling: AutoScalingClient): Promise<Launcher[]> {
  const [groups, configurations] = await Promise.all([listGroups(autoScaling, {}), configurationLaunchers(autoScaling)]);
  const byName = new Map(configurations.map(({ name, launches }) => [name, launches]));
  const launchers = groups.map(({ AutoScalingGroupName, LaunchTemplate, MixedInstancesPolicy, LaunchConfigurationName }) => {
    const group = always(AutoScalingGroupName, 'AutoScalingGroupName of a group');
    return {
      user: `group ${group}`,
      group,
      launches: [...ofTemplate(LaunchTemplate), ...ofPolicy(MixedInstancesPolicy), ...(byName.get(LaunchConfigurationName ?? '') ?? [])],
    };
  });
  return [...launchers, ...configurations];
}

/** All of them: a group may start to use an unused launch configuration at any time. */
const configurationLaunchers = (autoScaling: AutoScalingClient): Promise<(Launcher & { readonly name: string })[]> =>
  allPages(async NextToken => {
    const page = await autoScaling
      .send(new DescribeLaunchConfigurationsCommand({ MaxRecords: 100, NextToken }))
      .catch(asExpected('describe launch configurations (autoscaling:DescribeLaunchConfigurations)'));
    return {
      items: always(page.LaunchConfigurations, 'LaunchConfigurations of DescribeLaunchConfigurations').map(
        ({ LaunchConfigurationName = '', ImageId, BlockDeviceMappings }) => ({
          name: LaunchConfigurationName,
          user: `launch configuration ${LaunchConfigurationName}`,
          launches: [{ imageId: always(ImageId, `ImageId of launch configuration ${LaunchConfigurationName}`) }],
          snapshotIds: snapshotsIn({ BlockDeviceMappings }),
        }),
      ),
      next: page.NextToken,
    };
  });

// AWS lists refreshes only by group. In an account with more groups than this, the listing of a group is used again for half a minute.
const MANY_GROUPS = 50;
const FRESH_MS = 30_000;

/** Reads what running refreshes launch. The group itself names what they roll back to until they succeed. */
export function refreshReader(
  autoScaling: AutoScalingClient,
  clock: Pick<Clock, 'now'>,
): (groups: readonly string[]) => Promise<Launcher[]> {
  const known = new Map<string, { readonly at: number; readonly launchers: readonly Launcher[] }>();
  return async groups => {
    const isFresh = (group: string) => groups.length > MANY_GROUPS && clock.now() - (known.get(group)?.at ?? 0) < FRESH_MS;
    await concurrently(
      groups.filter(group => !isFresh(group)),
      REFRESHES_AT_ONCE,
      async group => {
        const at = clock.now();
        known.set(group, { at, launchers: toLaunchers(await refreshesOf(autoScaling, group)) });
      },
    );
    return groups.flatMap(group => known.get(group)?.launchers ?? []);
  };
}

const toLaunchers = (refreshes: readonly InstanceRefresh[]): Launcher[] =>
  refreshes.flatMap(refresh => {
    if (isOver({ status: refresh.Status as RefreshStatus })) return [];
    const { LaunchTemplate, MixedInstancesPolicy } = refresh.DesiredConfiguration ?? {};
    const user = `refresh ${refresh.InstanceRefreshId} of group ${refresh.AutoScalingGroupName} (${refresh.Status})`;
    return [{ user, launches: [...ofTemplate(LaunchTemplate), ...ofPolicy(MixedInstancesPolicy)] }];
  });

const refreshesOf = (autoScaling: AutoScalingClient, group: string): Promise<InstanceRefresh[]> =>
  allPages(async NextToken => {
    const page = await autoScaling
      .send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, MaxRecords: 100, NextToken }))
      .catch(orGroupIsGone)
      .catch(asExpected(`describe the instance refreshes of ${group} (autoscaling:DescribeInstanceRefreshes)`));
    return { items: page === undefined ? [] : page.InstanceRefreshes, next: page?.NextToken };
  });

// The group was deleted after the listing, so it has no refresh.
const orGroupIsGone = (cause: unknown): undefined => {
  if (isCode(cause, 'ValidationError') && /not found/i.test((cause as Error).message)) return undefined;
  throw cause;
};
