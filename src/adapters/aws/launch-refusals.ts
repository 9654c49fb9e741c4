import { UsageError } from '../../kit/errors.ts';
import { codeOf } from './errors.ts';

/** What EC2 does not take of a launch because of a setting. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
const PROBLEMS: readonly (readonly [refusal: RegExp, problem: string])[] = [
  [
    /^(VPCIdNotSpecified|VPCResourceNotSpecified|MissingInput): /,
    '"subnet" is missing: there is no default VPC in this region, or no subnet in it',
  ],
  [/^InvalidParameter: .*different networks/, '"security-groups" and "subnet" are of different networks'],
  [/^InvalidSubnet/, '"subnet" cannot be used'],
  [/^Invalid(Security)?Group/, '"security-groups" cannot be used'],
  [/^InvalidParameter\w*: .*instance ?profile/i, '"instance-profile" cannot be used'],
];

/** Undefined where it is about something else. */
export function settingRefused(cause: unknown): UsageError | undefined {
  const said = `${codeOf(cause)}: ${cause instanceof Error ? cause.message : ''}`;
  const problem = PROBLEMS.find(([refusal]) => refusal.test(said))?.[1];
  return problem === undefined ? undefined : new UsageError([`${problem}: ${said}`], { cause });
}
