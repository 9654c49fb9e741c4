import { type CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import type { Alarms } from '../../ports/groups.ts';
import { asExpected } from './errors.ts';

export const cloudWatchAlarms = (client: CloudWatchClient): Alarms => ({
  async states(names) {
    const { MetricAlarms = [], CompositeAlarms = [] } = await client
      .send(new DescribeAlarmsCommand({ AlarmNames: [...names], AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] }))
      .catch(asExpected('read the state of alarms (cloudwatch:DescribeAlarms)'));
    return new Map([...MetricAlarms, ...CompositeAlarms].map(({ AlarmName = '', StateValue = '' }) => [AlarmName, StateValue]));
  },
});
