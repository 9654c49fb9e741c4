import {
  type AutoScalingClient,
  CancelInstanceRefreshCommand,
  DescribeInstanceRefreshesCommand,
  RollbackInstanceRefreshCommand,
  StartInstanceRefreshCommand,
} from '@aws-sdk/client-auto-scaling';
import { ActionError, RejectedError, TimeoutError } from '../../kit/errors.ts';
import type { Groups } from '../../ports/groups.ts';
import { asExpected, codeOf, isCode, undefinedOn } from './errors.ts';
import { launchTo, preferencesTo, refreshFrom } from './group-shapes.ts';
import { listed } from './pages.ts';

export const refreshes = (client: AutoScalingClient): Pick<Groups, 'refreshes' | 'refresh' | 'start' | 'rollBack' | 'cancel'> => ({
  async refreshes(group) {
    // Newest first, and only the newest can be active: one page is enough.
    const { InstanceRefreshes } = await client
      .send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, MaxRecords: 20 }))
      .catch(orBusy(`describe the instance refreshes of ${group} (autoscaling:DescribeInstanceRefreshes)`));
    return listed(InstanceRefreshes).map(refreshFrom);
  },

  async refresh(group, id) {
    const { InstanceRefreshes } = await client
      .send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, InstanceRefreshIds: [id] }))
      .catch(orBusy(`describe instance refresh ${id} of ${group} (autoscaling:DescribeInstanceRefreshes)`));
    return listed(InstanceRefreshes)
      .map(refreshFrom)
      .find(refresh => refresh.id === id);
  },

  async start({ group, launch, preferences }) {
    const started = await client
      .send(
        new StartInstanceRefreshCommand({
          AutoScalingGroupName: group,
          Strategy: 'Rolling',
          ...(launch === undefined ? {} : { DesiredConfiguration: launchTo(launch) }),
          Preferences: preferencesTo(preferences),
        }),
      )
      .catch(undefinedOn('InstanceRefreshInProgress'))
      .catch(quotaOf(`start an instance refresh of ${group}`))
      .catch(orBusy(`start an instance refresh of ${group} (autoscaling:StartInstanceRefresh)`));
    return started?.InstanceRefreshId;
  },

  async rollBack(group) {
    try {
      await client.send(new RollbackInstanceRefreshCommand({ AutoScalingGroupName: group }));
      return 'started';
    } catch (cause) {
      if (isCode(cause, 'ActiveInstanceRefreshNotFound')) return 'over';
      if (isCode(cause, 'IrreversibleInstanceRefresh')) return 'impossible';
      return orBusy(`roll ${group} back (autoscaling:RollbackInstanceRefresh)`)(cause);
    }
  },

  async cancel(group) {
    await client
      .send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: group }))
      .catch(undefinedOn('ActiveInstanceRefreshNotFound'))
      .catch(orBusy(`cancel the instance refresh of ${group} (autoscaling:CancelInstanceRefresh)`));
  },
});

const BUSY = /^(ResourceContention|LimitExceeded|ScalingActivityInProgress|ResourceInUse)(Fault)?$/;

/**
 * As `asExpected`, for Auto Scaling: contention between two calls passes, and the SDK does not retry all its names.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html
 */
export const orBusy =
  (doing: string) =>
  (cause: unknown): never => {
    if (!(cause instanceof ActionError) && BUSY.test(codeOf(cause))) {
      throw new TimeoutError(`Auto Scaling was too busy to ${doing}: ${codeOf(cause)}.`, { cause, next: 'Re-run the job.' });
    }
    return asExpected(doing)(cause);
  };

/** For a call that creates something, LimitExceeded is a quota: trying again does not help. */
export const quotaOf =
  (doing: string) =>
  (cause: unknown): never => {
    if (!isCode(cause, 'LimitExceeded', 'LimitExceededFault')) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new RejectedError(`An Auto Scaling quota does not allow to ${doing}: ${message}`, {
      cause,
      next: 'Increase the quota in Service Quotas, or delete what is not used: aws autoscaling describe-account-limits',
    });
  };
