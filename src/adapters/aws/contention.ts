import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import { isCode } from './errors.ts';

/** Refusals that pass, and whose codes the SDK does not repeat. */

/**
 * Another change of the same group was in the way.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html (Errors)
 */
export const retryContention = (client: AutoScalingClient): void => retry(client, failure => isCode(failure, ...CONTENTION));

const CONTENTION = ['ResourceContention', 'ResourceContentionFault', 'ScalingActivityInProgress', 'ScalingActivityInProgressFault'];

/**
 * A new image, or one that was shared a moment ago, cannot be tagged yet. Without its tags it would have no family.
 * https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
 */
export const retryTags = (client: EC2Client): void =>
  retry(client, (failure, command) => TAGS.test(command) && isCode(failure, 'InvalidAMIID.NotFound', 'InvalidSnapshot.NotFound'));

const TAGS = /^(Create|Delete)TagsCommand$/;

function retry({ middlewareStack }: AutoScalingClient | EC2Client, passes: (failure: unknown, command: string) => boolean): void {
  (middlewareStack as EC2Client['middlewareStack']).add(
    (next, { commandName = '' }) =>
      async args => {
        try {
          return await next(args);
        } catch (failure) {
          if (passes(failure, commandName)) Object.assign(failure as object, { $retryable: { throttling: true } });
          throw failure;
        }
      },
    { step: 'deserialize', name: 'retryPassing', priority: 'high' },
  );
}
