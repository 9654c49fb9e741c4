import { describe, expect, test } from '@jest/globals';
import { launchRefusal } from '../../src/adapters/aws/launch-refusals.ts';
import { launchError } from '../../src/validation/rules/launch-errors.ts';

const target = { account: '111122223333', region: 'eu-central-1', instanceProfile: 'ami-test' };
const answerOf = (code: string, message: string) => launchRefusal(Object.assign(new Error(message), { name: code }));
const VCPU =
  'You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.';
const NO_PROFILE = 'Value (ami-test) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name';

describe('a launch that EC2 refuses', () => {
  test.each([
    ['InsufficientInstanceCapacity', 'no t3.micro', 'capacity'],
    ['InsufficientFreeAddressesInSubnet', 'full', 'capacity'],
    ['Unsupported', 'Your requested instance type (t3.micro) is not supported in your requested Availability Zone (x).', 'capacity'],
    ['Unsupported', 'The requested configuration is currently not supported. UEFI boot mode.', 'configuration'],
    ['VcpuLimitExceeded', VCPU, 'quota'],
    ['InstanceLimitExceeded', 'x', 'quota'],
    ['VPCIdNotSpecified', 'No default VPC for this user', 'no default subnet'],
    ['MissingInput', "No subnets found for the default VPC 'vpc-1'. Please specify a subnet.", 'no default subnet'],
    ['InvalidParameter', 'Security group sg-1 and subnet subnet-1 belong to different networks.', 'networks'],
    ['InvalidSubnetID.NotFound', "The subnet ID 'subnet-1' does not exist", 'subnet'],
    ['InvalidGroup.NotFound', "The security group 'sg-1' does not exist", 'security groups'],
    ['InvalidParameterValue', NO_PROFILE, 'instance profile'],
    [
      'InvalidParameterValue',
      'Value (arn:aws:iam::1:instance-profile/x) for parameter iamInstanceProfile.arn is invalid.',
      'instance profile',
    ],
  ])('%s: %s is about %s', (code, message, refused) => {
    expect(answerOf(code, message)).toEqual({ refused, message: `${code}: ${message}` });
  });

  test.each([
    ['InvalidParameterValue', 'Invalid value for instanceType'],
    ['InvalidAMIID.NotFound', 'The image id does not exist'],
    ['UnauthorizedOperation', 'no'],
  ])('%s: %s is another error', (code, message) => {
    expect(answerOf(code, message)).toBeUndefined();
  });

  const errorOf = (...refusals: readonly (readonly [code: string, message: string])[]) =>
    launchError(
      refusals.map(([code, message], n) => ({ attempt: `type-${n}`, refusal: answerOf(code, message) ?? { refused: '?', message } })),
      target,
    );

  test('for its quota names the quota, and does not say to re-run', () => {
    const error = errorOf(['VcpuLimitExceeded', VCPU]);
    expect([error.outcome, error.message]).toEqual([
      'access',
      `The EC2 quota of account 111122223333 in eu-central-1 is used up: type-0: VcpuLimitExceeded: ${VCPU}`,
    ]);
    expect(error.next).toBe(
      'Request an increase of "Running On-Demand Standard instances" in Service Quotas, or terminate instances. A re-run alone does not help.',
    );
  });

  test('for its capacity may be re-run; a mix of both is no quota', () => {
    for (const error of [
      errorOf(['InsufficientInstanceCapacity', 'no t3.micro']),
      errorOf(['VcpuLimitExceeded', VCPU], ['InsufficientInstanceCapacity', 'x']),
    ]) {
      expect([error.outcome, error.next]).toEqual(['rejected', expect.stringContaining('Re-run the job later')]);
      expect(error.message).toContain('No capacity for a test instance in eu-central-1 of account 111122223333: type-0: ');
    }
  });

  const HERE = '(account 111122223333, eu-central-1): ';
  test.each<[refusal: readonly [code: string, message: string], message: string, next: string | undefined]>([
    [
      ['InvalidParameterValue', NO_PROFILE],
      'Instance profile "ami-test" does not exist in account 111122223333: ',
      'Deploy examples/delivery-role.yml, which creates one, or remove "instance-profile" where Default Host Management is on.',
    ],
    [
      ['VPCIdNotSpecified', 'No default VPC for this user'],
      'eu-central-1 of account 111122223333 has no default VPC with a subnet, and "subnet" is not set: ',
      'Set "subnet: subnet-..." to one with a route to Systems Manager.',
    ],
    [['InvalidSubnetID.NotFound', 'x'], `"subnet" cannot be used ${HERE}`, undefined],
    [['InvalidGroup.NotFound', 'x'], `"security-groups" cannot be used ${HERE}`, undefined],
    [['InvalidParameter', 'different networks'], `"security-groups" and "subnet" belong to different VPCs ${HERE}`, undefined],
    [['Unsupported', 'boot mode'], `"test-instance-types" cannot be used with this image ${HERE}`, undefined],
  ])('for a setting names it: %j', (refusal, message, next) => {
    const error = errorOf(refusal);
    expect([error.outcome, error.message, error.next]).toEqual(['usage', `${message}${refusal.join(': ')}`, next]);
  });
});
