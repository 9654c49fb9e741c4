import {
  DescribeInstanceRefreshesCommand,
  type InstanceRefresh,
  type InstanceRefreshStatus,
  RollbackInstanceRefreshCommand,
} from '@aws-sdk/client-auto-scaling';
import { type Cloud, NAME } from './cloud.ts';
import { until } from './scene.ts';
import type { Stage } from './stage.ts';

/** The newest instance refresh of the group. */
async function newestRefresh({ autoScaling }: Cloud): Promise<InstanceRefresh | undefined> {
  const { InstanceRefreshes: [newest] = [] } = await autoScaling.send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: NAME }));
  return newest;
}

/** Waits until the newest refresh has one of the states, and records what AWS shows of it. */
export async function untilRefresh(stage: Stage, cloud: Cloud, wanted: readonly InstanceRefreshStatus[]): Promise<void> {
  await until(stage, 40, `the refresh to be ${wanted.join(' or ')}`, async () => {
    const refresh = await newestRefresh(cloud);
    if (refresh === undefined) return false;
    record(stage, refresh);
    return wanted.includes(refresh.Status as InstanceRefreshStatus);
  });
}

const ACTIVE: readonly InstanceRefreshStatus[] = ['Pending', 'InProgress', 'Baking'];

function record({ seen }: Stage, refresh: InstanceRefresh): void {
  if (!ACTIVE.includes(refresh.Status as InstanceRefreshStatus)) return;
  const version = refresh.DesiredConfiguration?.LaunchTemplate?.Version;
  seen.set('asg-1', version === undefined ? 'DesiredConfiguration is absent' : `DesiredConfiguration names version ${version}`);
  const empty = Object.entries(refresh)
    .filter(([, value]) => typeof value === 'object' && !(value instanceof Date) && Object.keys(value).length === 0)
    .map(([name]) => name);
  seen.set('asg-2', empty.length === 0 ? 'no empty structure' : `empty: ${empty.join(', ')}`);
}

/** Asks for a rollback of what may have no rollback. Returns AWS's code, or `accepted`. */
export const rollBackAgain = ({ autoScaling }: Cloud): Promise<string> =>
  autoScaling.send(new RollbackInstanceRefreshCommand({ AutoScalingGroupName: NAME })).then(
    () => 'accepted',
    (cause: Error) => cause.name,
  );
