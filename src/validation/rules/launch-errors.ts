import { AccessError, type ActionError, RejectedError, UsageError } from '../../kit/errors.ts';

/** Why no test instance could be launched, and what to change. */

/** As the port of instances defines it. */
export interface Refusal {
  readonly refused: string;
  readonly message: string;
}

export interface LaunchTarget {
  readonly account: string;
  readonly region: string;
  readonly instanceProfile: string | undefined;
}

/** A refusal after which another instance type or subnet is tried. */
export const mayDifferElsewhere = ({ refused }: Refusal): boolean => refused === 'capacity' || refused === 'quota';

/** `tried`: each type and subnet with the refusal that it got, the last one decisive. */
export function launchError(tried: readonly { readonly attempt: string; readonly refusal: Refusal }[], target: LaunchTarget): ActionError {
  const { account, region, instanceProfile } = target;
  const [refused = '', message = ''] = [tried.at(-1)?.refusal.refused, tried.at(-1)?.refusal.message];
  if (tried.every(({ refusal }) => mayDifferElsewhere(refusal))) return noInstance(tried, target);
  if (refused === 'no default subnet')
    return new UsageError([`${region} of account ${account} has no default VPC with a subnet, and "subnet" is not set: ${message}`], {
      next: 'Set "subnet: subnet-..." to one with a route to Systems Manager.',
    });
  if (refused === 'instance profile')
    return new UsageError([`Instance profile "${instanceProfile}" does not exist in account ${account}: ${message}`], {
      next: 'Deploy examples/delivery-role.yml, which creates one, or remove "instance-profile" where Default Host Management is on.',
    });
  const problem = SETTINGS[refused] ?? '"test-instance-types" cannot be used with this image';
  return new UsageError([`${problem} (account ${account}, ${region}): ${message}`]);
}

const SETTINGS: Readonly<Record<string, string>> = {
  networks: '"security-groups" and "subnet" belong to different VPCs',
  subnet: '"subnet" cannot be used',
  'security groups': '"security-groups" cannot be used',
};

function noInstance(
  tried: readonly { readonly attempt: string; readonly refusal: Refusal }[],
  { account, region }: LaunchTarget,
): ActionError {
  const all = tried.map(({ attempt, refusal }) => `${attempt}: ${refusal.message}`).join('; ');
  if (tried.every(({ refusal }) => refusal.refused === 'quota'))
    return new AccessError(`The EC2 quota of account ${account} in ${region} is used up: ${all}`, {
      next: 'Request an increase of "Running On-Demand Standard instances" in Service Quotas, or terminate instances. A re-run alone does not help.',
    });
  return new RejectedError(`No capacity for a test instance in ${region} of account ${account}: ${all}`, {
    next: 'Re-run the job later, or set alternatives: test-instance-types "t3.micro | t3a.micro", several subnets.',
  });
}
