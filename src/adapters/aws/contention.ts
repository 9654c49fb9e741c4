import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { isCode } from './errors.ts';

/**
 * Makes the SDK retry a call that another change of the same group was in the way of: it passes, and the SDK does not know these codes.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html (Errors)
 */
export function retryContention({ middlewareStack }: AutoScalingClient): void {
  middlewareStack.add(
    next => async args => {
      try {
        return await next(args);
      } catch (failure) {
        if (isCode(failure, ...CONTENTION)) Object.assign(failure as object, { $retryable: { throttling: true } });
        throw failure;
      }
    },
    { step: 'deserialize', name: 'retryContention', priority: 'high' },
  );
}

const CONTENTION = ['ResourceContention', 'ResourceContentionFault', 'ScalingActivityInProgress', 'ScalingActivityInProgressFault'];
