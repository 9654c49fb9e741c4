import type {
  DeleteAlarmsCommandInput,
  DeleteAlarmsCommandOutput,
  DescribeAlarmsCommandInput,
  DescribeAlarmsCommandOutput,
  MetricAlarm,
  PutMetricAlarmCommandInput,
  PutMetricAlarmCommandOutput,
  SetAlarmStateCommandInput,
  SetAlarmStateCommandOutput,
  StateValue,
} from '@aws-sdk/client-cloudwatch';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { page } from '../ssm/pages.ts';

/** Alarms by name. Their state is set by SetAlarmState: the lab has no metrics. */
const alarms = slice(() => new Map<string, MetricAlarm>());

export const alarmState = (place: Place, name: string): StateValue | undefined => alarms(place).get(name)?.StateValue;

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: a new alarm has insufficient data. */
const putMetricAlarm: Operation<PutMetricAlarmCommandInput, PutMetricAlarmCommandOutput> = ({ Tags: _, ...input }, { place }) => {
  const { AlarmName = '' } = input;
  const { StateValue = 'INSUFFICIENT_DATA' } = alarms(place).get(AlarmName) ?? {};
  alarms(place).set(AlarmName, {
    ...input,
    ...{ StateValue, AlarmArn: `arn:aws:cloudwatch:${place.region}:${place.account}:alarm:${AlarmName}` },
    StateUpdatedTimestamp: place.core.clock.date(),
  });
  return {};
};

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html */
const setAlarmState: Operation<SetAlarmStateCommandInput, SetAlarmStateCommandOutput> = (input, { place }) => {
  const { AlarmName = '', StateValue, StateReason } = input;
  const alarm = alarms(place).get(AlarmName);
  if (alarm === undefined) throw new AwsError('ResourceNotFound', `Alarm ${AlarmName} not found`, 404);
  alarms(place).set(AlarmName, { ...alarm, StateValue, StateReason, StateUpdatedTimestamp: place.core.clock.date() });
  return {};
};

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html */
const describeAlarms: Operation<DescribeAlarmsCommandInput, DescribeAlarmsCommandOutput> = (input, { place }) => {
  const { AlarmNames, AlarmNamePrefix = '', StateValue, MaxRecords = 50, NextToken: token } = input;
  const found = [...alarms(place).values()]
    .filter(({ AlarmName = '' }) => AlarmName.startsWith(AlarmNamePrefix) && (AlarmNames === undefined || AlarmNames.includes(AlarmName)))
    .filter(alarm => StateValue === undefined || alarm.StateValue === StateValue)
    .sort((a, b) => ((a.AlarmName ?? '') < (b.AlarmName ?? '') ? -1 : 1));
  const { items, NextToken } = page(found, ({ AlarmName = '' }) => AlarmName, { MaxResults: MaxRecords, NextToken: token }, 50);
  return { MetricAlarms: [...items], CompositeAlarms: [], NextToken };
};

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html */
const deleteAlarms: Operation<DeleteAlarmsCommandInput, DeleteAlarmsCommandOutput> = ({ AlarmNames = [] }, { place }) => {
  for (const name of AlarmNames) alarms(place).delete(name);
  return {};
};

export const alarmOperations: Operations = {
  DeleteAlarms: deleteAlarms,
  DescribeAlarms: describeAlarms,
  PutMetricAlarm: putMetricAlarm,
  SetAlarmState: setAlarmState,
};
