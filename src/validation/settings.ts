import { randomBytes } from 'node:crypto';
import { duration, flag, list, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { tags } from '../model/common-settings.ts';
import type { Check } from './rules/checks.ts';
import type { TestRunOptions } from './test-run.ts';

/** How a user says on which machines, and for how long. */

export const instance = {
  testInstanceTypes: list(
    'Machines to try it on, one a line, in parallel; `t3.micro | t3a.micro` is one machine with a stand-in. Default: t3.micro, or t4g.micro for arm64.',
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
  subnet: list('Subnets for the machine; the next one where AWS has no room in the one before. Default: one of the default VPC.', {
    fallback: '',
    pattern: /^subnet-[0-9a-f]{8,17}$/,
    message: 'must be a subnet ID',
    neededBy: 'accounts without a default VPC',
  }),
  securityGroups: list('Security groups of the machine; it needs 443 out, nothing in.', {
    fallback: '',
    pattern: /^sg-[0-9a-f]{8,17}$/,
    message: 'must be a security group ID',
    neededBy: 'accounts whose default group lets nothing out',
  }),
  reboot: flag('Check, reboot, check again.', false, { neededBy: 'images that live longer than one boot' }),
  maxBootTime: optional(
    duration('From launch to the SSM agent at most; longer is a failure.', { minSeconds: 1, neededBy: 'groups that must scale out fast' }),
  ),
  keepOnFailure: duration('How long a machine on which something failed stays, for a look; it still ends itself.', {
    fallback: '0s',
    maxSeconds: 86_400,
    neededBy: 'whoever has to find out why',
  }),
  userData: optional(
    text('File with user data for the machine, in the workspace.', { neededBy: 'images that need their user data to come up' }),
  ),
  tags,
  bootTimeout: duration('From launch to running.', { fallback: '10m', minSeconds: 10, maxSeconds: 7200, neededBy: 'large images' }),
  agentTimeout: duration('From running to the SSM agent.', {
    fallback: '10m',
    minSeconds: 10,
    maxSeconds: 7200,
    neededBy: 'images that boot slowly',
  }),
  checksTimeout: duration('For all checks together.', { fallback: '15m', minSeconds: 10, maxSeconds: 21_600, neededBy: 'long suites' }),
};

interface Wanted extends Values<typeof instance>, Values<typeof instanceTuning> {
  readonly family: string;
  readonly checks: readonly Check[];
}

const SPARE_SECONDS = 15 * 60;

/** What a machine may last: beside its own story it waits for a second one, where somebody wants to look at it. */
const lifeSeconds = ({ reboot, bootTimeout, agentTimeout, checksTimeout, keepOnFailure }: Wanted): number =>
  (reboot ? 2 : 1) * (bootTimeout + agentTimeout + checksTimeout) + bootTimeout + agentTimeout + keepOnFailure + SPARE_SECONDS;

/** What all machines have in common. */
export function testRunOptions(
  wanted: Wanted,
  now: number,
): Omit<TestRunOptions, 'image' | 'scheme' | 'testRunId' | 'deliveries' | 'instanceTypes' | 'userData' | 'launchControl'> {
  return {
    family: wanted.family,
    checks: wanted.checks,
    nonce: randomBytes(8).toString('hex'),
    subnets: wanted.subnet,
    securityGroupIds: wanted.securityGroups,
    instanceProfile: wanted.instanceProfile,
    tags: wanted.tags,
    bootSeconds: wanted.bootTimeout,
    agentSeconds: wanted.agentTimeout,
    checksSeconds: wanted.checksTimeout,
    maxBootSeconds: wanted.maxBootTime,
    reboot: wanted.reboot,
    keepSeconds: wanted.keepOnFailure,
    endsAt: new Date(now + lifeSeconds(wanted) * 1000),
  };
}
