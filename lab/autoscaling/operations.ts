import type { Operations } from '../operation.ts';
import { describeScalingActivities } from './activities.ts';
import { attachmentOperations } from './attachments.ts';
import { groupOperations } from './groups.ts';
import { instanceOperations } from './instances.ts';
import { launchConfigurationOperations } from './launch-configurations.ts';
import { processOperations } from './processes.ts';
import { refreshOperations } from './refreshes.ts';
import { tagOperations } from './tags.ts';
import { trafficOperations } from './traffic.ts';
import { warmPoolOperations } from './warm-pool.ts';

export const autoScalingOperations: Operations = {
  ...attachmentOperations,
  ...groupOperations,
  ...instanceOperations,
  ...launchConfigurationOperations,
  ...processOperations,
  ...refreshOperations,
  ...tagOperations,
  ...trafficOperations,
  ...warmPoolOperations,
  DescribeScalingActivities: describeScalingActivities,
};
