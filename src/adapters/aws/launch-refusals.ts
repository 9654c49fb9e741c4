import { UsageError } from '../../kit/errors.ts';
import { codeOf } from './errors.ts';

/** Launches that EC2 refuses because of a setting. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
const PROBLEMS: readonly (readonly [refusal: RegExp, problem: string])[] = [
  [
    /^(VPCIdNotSpecified|VPCResourceNotSpecified|MissingInput): /,
    '"subnet" is required: the region has no default VPC, or no subnet in it',
  ],
  [/^InvalidParameter: .*different networks/, '"security-groups" and "subnet" belong to different VPCs'],
  [/^InvalidSubnet/, '"subnet" cannot be used'],
  [/^Invalid(Security)?Group/, '"security-groups" cannot be used'],
  [/^InvalidParameter\w*: .*instance ?profile/i, '"instance-profile" cannot be used'],
];

/** Undefined for other errors. */
export function settingRefused(cause: unknown): UsageError | undefined {
  const answer = `${codeOf(cause)}: ${cause instanceof Error ? cause.message : ''}`;
  const problem = PROBLEMS.find(([refusal]) => refusal.test(answer))?.[1];
  return problem === undefined ? undefined : new UsageError([`${problem}: ${answer}`], { cause });
}
