import { expect, test } from '@jest/globals';
import { explainFailure, isTransient } from '../../src/image-build/rules/packer-failures.ts';

// Messages of Packer 1.16 and amazon plugin 1.8.2.
test.each<[string, string, RegExp]>([
  ['Error launching source instance: api error VPCIdNotSpecified: No default VPC for this user', 'usage', /subnet_id/],
  ['No default VPC found', 'usage', /subnet_id/],
  ["api error MissingInput: No subnets found for the default VPC 'vpc-1'. Please specify a subnet.", 'usage', /subnet_id/],
  ['api error AuthFailure: Not authorized for images: [ami-0123456789abcdef0]', 'access', /mode: share/],
  [
    'api error OptInRequired: In order to use this AWS Marketplace product you need to accept terms and subscribe.',
    'access',
    /Marketplace/,
  ],
  ['Error: Datasource.Execute failed: No AMI was found matching filters: {...}', 'usage', /source_ami_filter/],
  ['Timeout waiting for SSH.', 'rejected', /ssh_username/],
  [
    'api error VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 32 allows',
    'access',
    /Service Quotas/,
  ],
  ['api error SecurityGroupLimitExceeded: The maximum number of security groups per VPC has been reached', 'access', /Service Quotas/],
  ['api error ResourceLimitExceeded: too many copies', 'access', /Service Quotas/],
  ['api error RequestLimitExceeded: Request limit exceeded.', 'rejected', /Run the job again/],
  [
    'The builder amazon-ebs is unknown by Packer, and is likely part of a plugin that\nis not installed.',
    'usage',
    /packer plugins install/,
  ],
  ['Error: Invalid value for variable\n  string required.', 'usage', /map\(string\)/],
  ['api error InsufficientInstanceCapacity: We currently do not have sufficient t3.small capacity', 'rejected', /instance-type/],
  ['Error waiting for instance (i-1) to become ready: Client.InternalError: Client error on launch', 'access', /kms:CreateGrant/],
  ['api error KMSKeyNotAccessibleFault: The KMS key is not accessible', 'access', /kms:/],
  ['api error ExpiredToken: The security token included in the request is expired', 'access', /role-to-assume/],
  ['api error RequestExpired: Request has expired.', 'access', /role-to-assume/],
  ["Error: AMI Name: 'web-1' is used by an existing AMI: ami-0123456789abcdef0", 'usage', /\{timestamp\}/],
  [
    'Plugin host rate limited the plugin getter. Try again in 22m.\nHINT: Set the PACKER_GITHUB_API_TOKEN env var',
    'usage',
    /PACKER_GITHUB_API_TOKEN/,
  ],
  ['Failed getting the "github.com/hashicorp/amazon" plugin: 403 API rate limit exceeded', 'usage', /PACKER_GITHUB_API_TOKEN/],
  ['Failed getting the "github.com/hashicorp/amazon" plugin: dial tcp: lookup api.github.com: no such host', 'usage', /PACKER_PLUGIN_PATH/],
  ['api error UnauthorizedOperation: You are not authorized to perform this operation.', 'access', /policy/],
  ['Error waiting for AMI: failed with ResourceNotReady error', 'rejected', /aws_polling/],
  ['Error: Unset variable "app_version"', 'usage', /"var"/],
  ['required variable not set: ami_name', 'usage', /"var"/],
  ["Bad script 'scripts/x.sh': stat scripts/x.sh: no such file or directory", 'usage', /working-directory/],
  ["Bad source 'conf': stat conf: no such file or directory", 'usage', /working-directory/],
  [
    'The provisioner ansible is unknown by Packer, and is likely part of a plugin that\nis not installed.',
    'usage',
    /github\.com\/hashicorp\/ansible/,
  ],
  ['The provisioner windows-update is unknown by Packer, and is likely part of a plugin', 'usage', /github\.com\/rgl\/windows-update/],
  ['Script exited with non-zero exit status: 7. Allowed exit codes are: [0]', 'rejected', /last lines/],
])('%s has the outcome %s', (message, who, next) => {
  expect(explainFailure(message)).toEqual({ who, cause: expect.any(String), next: expect.stringMatching(next) });
});

test('an unknown failure is not explained', () => {
  expect(explainFailure('the moon is in the wrong house')).toBeUndefined();
});

test.each([
  ['Plugin host rate limited the plugin getter.', true],
  ['net/http: TLS handshake timeout', true],
  ['unexpected status code: 503', true],
  ['dial tcp: lookup api.github.com: no such host', false],
  ['Error: Duplicate required plugin', false],
])('%s is transient: %s', (message, transient) => {
  expect(isTransient(message)).toBe(transient);
});
