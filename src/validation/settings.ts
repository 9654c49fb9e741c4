import { randomBytes } from 'node:crypto';
import { duration, flag, list, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { tags } from '../model/common-settings.ts';
import type { Check } from './rules/checks.ts';
import { GATES } from './rules/gates.ts';
import type { TestRunOptions } from './test-run.ts';

/** The settings of mode validate that other modes do not have. */

export const FAILED_IMAGE_ACTIONS = ['keep', 'deprecate', 'delete'] as const;

export const gateSettings = {
  require: list('Properties that the image must have, checked without an instance: `private`, `encrypted`, `imds-v2`, `ena`.', {
    fallback: 'private',
    pattern: new RegExp(`^(${GATES.join('|')})$`),
    message: `must be one of ${GATES.join(', ')}`,
    neededBy: 'teams with rules for all images',
  }),
  baseMaxAge: optional(
    duration('Maximum age of the base image (tag `ami-action:base-ami`).', {
      neededBy: 'teams with rules for all images',
    }),
  ),
};

export const instanceSettings = {
  testInstanceTypes: list(
    'Instance types to test on, one a line, in parallel. `t3.micro | t3a.micro` is one instance; t3a.micro is used if t3.micro has no capacity. Default: t3.micro, or t4g.micro for arm64.',
    {
      fallback: '',
      pattern: /^[a-z0-9-]+\.[a-z0-9-]+( *\| *[a-z0-9-]+\.[a-z0-9-]+)*$/,
      message: 'must be an instance type such as t3.small, or several with " | " between them',
    },
  ),
  instanceProfile: optional(
    text('Instance profile (name or ARN) with AmazonSSMManagedInstanceCore. Not needed where Default Host Management is on.', {
      pattern: /^(arn:aws[a-z-]*:iam::\d{12}:instance-profile\/)?[\w+=,.@/-]{1,200}$/,
      message: 'must be the name or ARN of an instance profile',
    }),
  ),
};

export const instanceTuning = {
  subnet: list(
    'Subnets for the test instance. The next one is used where the one before has no capacity. Default: one of the default VPC.',
    {
      fallback: '',
      pattern: /^subnet-[0-9a-f]{8,17}$/,
      message: 'must be a subnet ID',
      neededBy: 'accounts without a default VPC',
    },
  ),
  securityGroups: list('Security groups of the test instance. It needs port 443 outbound, nothing inbound.', {
    fallback: '',
    pattern: /^sg-[0-9a-f]{8,17}$/,
    message: 'must be a security group ID',
    neededBy: 'accounts whose default group allows no outbound traffic',
  }),
  reboot: flag('Run the checks, reboot, run them again.', false, { neededBy: 'images that live longer than one boot' }),
  maxBootTime: optional(
    duration('Maximum time from launch to the SSM agent. A longer boot fails validation.', {
      minSeconds: 1,
      neededBy: 'groups that must scale out fast',
    }),
  ),
  keepOnFailure: duration('How long a failed test instance is kept for debugging. It then terminates itself.', {
    fallback: '0s',
    maxSeconds: 86_400,
    neededBy: 'engineers who debug a failed image',
  }),
  userData: optional(
    text('File in the workspace with user data for the test instance.', { neededBy: 'images that need their user data to boot' }),
  ),
  tags,
  bootTimeout: duration('Time limit from launch to running.', {
    fallback: '10m',
    minSeconds: 10,
    maxSeconds: 7200,
    neededBy: 'large images',
  }),
  agentTimeout: duration('Time limit from running to the SSM agent.', {
    fallback: '10m',
    minSeconds: 10,
    maxSeconds: 7200,
    neededBy: 'images that boot slowly',
  }),
  checksTimeout: duration('Time limit for all checks together.', {
    fallback: '15m',
    minSeconds: 10,
    maxSeconds: 21_600,
    neededBy: 'long suites',
  }),
};

type InstanceInputs = Values<typeof instanceSettings & typeof instanceTuning> & {
  readonly family: string;
  readonly checks: readonly Check[];
};

const SPARE_SECONDS = 15 * 60;

/** The longest life of a test instance: its own phases, a control instance in addition, and the time it is kept. */
const lifeSeconds = ({ reboot, bootTimeout, agentTimeout, checksTimeout, keepOnFailure }: InstanceInputs): number =>
  (reboot ? 2 : 1) * (bootTimeout + agentTimeout + checksTimeout) + bootTimeout + agentTimeout + keepOnFailure + SPARE_SECONDS;

/** What all test instances of a run have in common. */
export function testRunOptions(
  inputs: InstanceInputs,
  now: number,
): Omit<TestRunOptions, 'image' | 'scheme' | 'testRunId' | 'deliveries' | 'instanceTypes' | 'userData' | 'launchControl'> {
  return {
    family: inputs.family,
    checks: inputs.checks,
    nonce: randomBytes(8).toString('hex'),
    subnets: inputs.subnet,
    securityGroupIds: inputs.securityGroups,
    instanceProfile: inputs.instanceProfile,
    tags: inputs.tags,
    bootSeconds: inputs.bootTimeout,
    agentSeconds: inputs.agentTimeout,
    checksSeconds: inputs.checksTimeout,
    maxBootSeconds: inputs.maxBootTime,
    reboot: inputs.reboot,
    keepSeconds: inputs.keepOnFailure,
    endsAt: new Date(now + lifeSeconds(inputs) * 1000),
  };
}
