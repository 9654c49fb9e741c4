import type { LaunchRefusal } from '../../ports/instances.ts';
import { codeOf } from './errors.ts';

/** Launches that EC2 refuses for a reason that is not a permission. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
const KINDS: readonly (readonly [answer: RegExp, refused: LaunchRefusal['refused']])[] = [
  [/^(Insufficient(Instance|Host|ReservedInstance)Capacity|InsufficientFreeAddressesInSubnet):/, 'capacity'],
  // The same code for a zone without the type, and for an image that the type cannot run.
  [/^Unsupported: .*Availability Zone/s, 'capacity'],
  [/^Unsupported:/, 'configuration'],
  [/^(InstanceLimitExceeded|VcpuLimitExceeded|MaxSpotInstanceCountExceeded):/, 'quota'],
  [/^(VPCIdNotSpecified|VPCResourceNotSpecified|MissingInput):/, 'no default subnet'],
  [/^InvalidParameter: .*different networks/s, 'networks'],
  [/^InvalidSubnet/, 'subnet'],
  [/^Invalid(Security)?Group/, 'security groups'],
  [/^InvalidParameter\w*: .*instance ?profile/is, 'instance profile'],
];

/** Undefined for other errors. */
export function launchRefusal(cause: unknown): LaunchRefusal | undefined {
  const message = `${codeOf(cause)}: ${cause instanceof Error ? cause.message : ''}`;
  const refused = KINDS.find(([answer]) => answer.test(message))?.[1];
  return refused && { refused, message };
}
