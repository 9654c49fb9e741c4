import { randomUUID } from 'node:crypto';
import type { Activity, DescribeScalingActivitiesCommandInput, DescribeScalingActivitiesCommandOutput } from '@aws-sdk/client-auto-scaling';
import type { Operation } from '../operation.ts';
import { slice } from '../place.ts';
import { groups } from './group.ts';
import { records } from './records.ts';
import type { Group, Spot } from './state.ts';

/** Activities of deleted groups. */
export const pastActivities = slice((): Activity[] => []);

/** A cause in the form of AWS: the time, then `an instance was started in response to ...`. */
const at = ({ place }: Group, what: string): string => `At ${place.core.clock.date().toISOString().replace(/\.\d+/, '')} ${what}`;

export function began(group: Group, Description: string, cause: string, spot?: Spot): Activity {
  const activity: Activity = {
    ActivityId: randomUUID(),
    AutoScalingGroupName: group.name,
    Description,
    Cause: at(group, cause).slice(0, 1023),
    StartTime: group.place.core.clock.date(),
    StatusCode: 'InProgress',
    Progress: 50,
    Details: JSON.stringify(spot === undefined ? {} : { 'Subnet ID': spot.subnetId, 'Availability Zone': spot.zone }),
    AutoScalingGroupARN: group.arn,
  };
  group.activities.push(activity);
  return activity;
}

export function ended(
  group: Group,
  activity: Activity | undefined,
  StatusCode: 'Successful' | 'Failed' | 'Cancelled',
  reason?: string,
): void {
  if (activity === undefined || activity.EndTime !== undefined) return;
  Object.assign(activity, { StatusCode, Progress: 100, EndTime: group.place.core.clock.date() });
  if (reason === undefined) return;
  activity.StatusMessage = reason.slice(0, 255);
  // Two spaces: https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html
  activity.Description = `${activity.Description?.replace(/\.$/, '')}.  Status Reason: ${reason}`;
}

const SIX_WEEKS = 42 * 24 * 60 * 60 * 1000;

/** Newest first, of the last six weeks. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html */
export const describeScalingActivities: Operation<DescribeScalingActivitiesCommandInput, DescribeScalingActivitiesCommandOutput> = (
  input,
  { place },
) => {
  const { ActivityIds: ids, AutoScalingGroupName: name, IncludeDeletedGroups } = input;
  const now = place.core.clock.now();
  const all = [
    ...[...groups(place).values()].flatMap(({ activities }) => activities),
    ...(IncludeDeletedGroups ? pastActivities(place) : []),
  ];
  const found = all
    .filter(({ AutoScalingGroupName }) => name === undefined || AutoScalingGroupName === name)
    .filter(({ ActivityId = '' }) => ids === undefined || ids.length === 0 || ids.includes(ActivityId))
    .filter(({ StartTime }) => now - (StartTime?.getTime() ?? 0) < SIX_WEEKS);
  const newestFirst = ({ StartTime, ActivityId }: Activity) => `${10 ** 14 - (StartTime?.getTime() ?? 0)} ${ActivityId}`;
  const { items, NextToken } = records(place, found, newestFirst, input, 100);
  return { Activities: [...items], NextToken };
};
