/** Why builds fail, as people have seen it before: what Packer says, what it means, who acts and how. */

export interface Explained {
  readonly who: 'usage' | 'access' | 'rejected';
  readonly cause: string;
  readonly next: string;
}

interface Known extends Explained {
  readonly says: RegExp;
}

// The first that fits wins: what is special stands before what is general.
const KNOWN: readonly Known[] = [
  {
    says: /ExpiredToken|RequestExpired|security token included in the request is expired|TokenRefreshRequired/,
    who: 'access',
    cause: 'The AWS credentials ended before the build did.',
    next: 'Set "role-to-assume", so that the action renews them, or ask for a longer session (role-duration-seconds of aws-actions/configure-aws-credentials).',
  },
  {
    says: /AMI Name: '.*' is used by an existing AMI|InvalidAMIName\.Duplicate/,
    who: 'usage',
    cause: 'An image with this name exists already.',
    next: 'Put {timestamp} or {commit} into "name". Sources of one template need a name each: "${var.ami_name}-${source.name}". force_deregister would remove the old image before the new one is proven.',
  },
  {
    says: /No default VPC|VPCIdNotSpecified|No subnets found for the default VPC|subnet_id or subnet_filter must be provided/,
    who: 'usage',
    cause: 'The region has no default VPC, and the template names no subnet.',
    next: 'Set subnet_id, or subnet_filter, in the template.',
  },
  {
    says: /Timeout waiting for SSH|Timeout waiting for WinRM|authentication error when trying to connect to SSH/,
    who: 'rejected',
    cause: 'Packer could not log in to the build instance.',
    next: 'Check ssh_username for this base image, and that the runner reaches the instance: a public IP (associate_public_ip_address), or ssh_interface = "session_manager" in a private subnet.',
  },
  {
    says: /RequestLimitExceeded|ThrottlingException|Throttling:|Rate exceeded/,
    who: 'rejected',
    cause: 'AWS let nobody of this account ask so often, for longer than Packer tries again.',
    next: 'Run it again. If it stays so: what else asks EC2 in this account and region?',
  },
  {
    // Of tags each resource has fifty, and nobody can raise that.
    says: /(?<!Tag)LimitExceeded|MaxSpotInstanceCountExceeded|QuotaExceeded/,
    who: 'access',
    cause: 'A quota of the account is used up.',
    next: 'Ask for more in Service Quotas (EC2), or take a smaller "instance-type".',
  },
  {
    says: /InsufficientInstanceCapacity|InsufficientHostCapacity|Unsupported: Your requested instance type/,
    who: 'rejected',
    cause: 'AWS has no such instance to give at the moment.',
    next: 'Run it again, or take another "instance-type" or subnet.',
  },
  {
    says: /Client\.InternalError|KMS|kms:|InvalidKMSKey/,
    who: 'access',
    cause: 'A volume or snapshot is encrypted with a key that this role may not use.',
    next: 'Grant the role kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt* on the key. AWS says so only as Client.InternalError.',
  },
  {
    says: /Not authorized for images?\b/,
    who: 'access',
    cause: 'The base image is not shared with this account, or not there any more.',
    next: 'Check source_ami and its region; its owner can share it ("mode: share"). If that is done: do the Allowed AMIs of this account let it in?',
  },
  {
    says: /OptInRequired/,
    who: 'access',
    cause: 'The account has not subscribed to the base image, or has not enabled the region.',
    next: 'Accept the terms of the product in AWS Marketplace, in this account; or enable the region.',
  },
  {
    says: /No AMI was found matching filters/,
    who: 'usage',
    cause: 'There is no such base image in this region.',
    next: 'Check owners, name and architecture in source_ami_filter; images have other IDs in every region.',
  },
  {
    says: /UnauthorizedOperation|AccessDenied|not authorized to perform/,
    who: 'access',
    cause: 'The role may not do what Packer asks for.',
    next: "The policy that build needs is examples/policies/build.json of ami-action; Packer's own list: https://developer.hashicorp.com/packer/integrations/hashicorp/amazon#iam-task-or-instance-role",
  },
  {
    says: /rate limit/i,
    who: 'usage',
    cause: 'GitHub answers no more plugin look-ups from this address.',
    next: 'Set env PACKER_GITHUB_API_TOKEN: ${{ github.token }} on the step; it counts on its own account.',
  },
  {
    says: /ResourceNotReady|exceeded max wait time|Error waiting for AMI/,
    who: 'rejected',
    cause: 'The image did not become available in the time that Packer waits for it.',
    next: 'Give it more with aws_polling { delay_seconds = 30, max_attempts = 240 } in the template.',
  },
  {
    says: /Unset variable/,
    who: 'usage',
    cause: 'The template has a variable without a value.',
    next: 'Give it under "var", or a default in the template.',
  },
  {
    says: /Invalid value for (input )?variable/,
    who: 'usage',
    cause: 'A variable of the template gets a value of another type than it has.',
    next: 'What the action sets is a map(string) for `ami_tags` and `run_tags`, a list(string) for `ami_regions`, and a string for the others.',
  },
  {
    says: /Undefined (-var )?variable|Undeclared variable/i,
    who: 'usage',
    cause: '"var" names a variable that the template does not declare.',
    next: 'Declare it in the template, or take it out of "var".',
  },
  {
    says: /is unknown by Packer, and is likely part of a plugin/,
    who: 'usage',
    cause: 'Nothing says which plugin the template needs.',
    next: 'Name it under required_plugins. A JSON template cannot: run "packer plugins install github.com/hashicorp/amazon" in a step before.',
  },
  {
    says: /Failed getting the ".*" plugin|Missing plugins|Error: Failed to load plugin/,
    who: 'usage',
    cause: 'A plugin of the template cannot be had.',
    next: 'Let the runner reach releases.hashicorp.com and api.github.com, or put the plugin into PACKER_PLUGIN_PATH.',
  },
  {
    says: /Script exited with non-zero exit status|exited with non-zero exit status/,
    who: 'rejected',
    cause: 'A provisioner failed.',
    next: 'Its last lines are in the log; build again once it is mended.',
  },
];

/** Undefined for what nobody has seen yet. */
export function explainFailure(text: string): Explained | undefined {
  const known = KNOWN.find(({ says }) => says.test(text));
  return known && { who: known.who, cause: known.cause, next: known.next };
}

/** Failures of a download that another try may not meet. */
export const mayPass = (text: string): boolean =>
  /rate limit|i\/o timeout|TLS handshake timeout|connection reset|unexpected EOF|Temporary failure in name resolution|\b50[0234]\b/i.test(
    text,
  );
