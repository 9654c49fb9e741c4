/** Known failures of builds: what Packer prints, the cause, who must act, and how. */

export interface Explanation {
  readonly who: 'usage' | 'access' | 'rejected';
  readonly cause: string;
  readonly next: string;
}

interface KnownFailure extends Explanation {
  readonly pattern: RegExp;
}

// The first match wins: the special before the general.
const KNOWN: readonly KnownFailure[] = [
  {
    pattern: /ExpiredToken|RequestExpired|security token included in the request is expired|TokenRefreshRequired/,
    who: 'access',
    cause: 'The AWS credentials expired during the build.',
    next: 'Set "role-to-assume", so that the action renews them, or extend the session (role-duration-seconds of aws-actions/configure-aws-credentials).',
  },
  {
    pattern: /AMI Name: '.*' is used by an existing AMI|InvalidAMIName\.Duplicate/,
    who: 'usage',
    cause: 'An image with this name exists already.',
    next: 'Add {timestamp} or {commit} to "name". Each source of a template needs its own name: "${var.ami_name}-${source.name}". Do not use force_deregister: it removes the old image before the new one exists.',
  },
  {
    pattern: /No default VPC|VPCIdNotSpecified|No subnets found for the default VPC|subnet_id or subnet_filter must be provided/,
    who: 'usage',
    cause: 'The region has no default VPC, and the template sets no subnet.',
    next: 'Set subnet_id, or subnet_filter, in the template.',
  },
  {
    pattern: /Timeout waiting for SSH|Timeout waiting for WinRM|authentication error when trying to connect to SSH/,
    who: 'rejected',
    cause: 'Packer could not log in to the build instance.',
    next: 'Check ssh_username for this base image, and that the runner reaches the instance: a public IP (associate_public_ip_address = true), or ssh_interface = "session_manager" in a private subnet.',
  },
  {
    pattern: /RequestLimitExceeded|ThrottlingException|Throttling:|Rate exceeded/,
    who: 'rejected',
    cause: 'AWS throttled the requests of this account for longer than Packer retries.',
    next: 'Run the job again. If it fails again, find what else calls EC2 in this account and region.',
  },
  {
    // The limit of 50 tags for a resource is fixed.
    pattern: /(?<!Tag)LimitExceeded|MaxSpotInstanceCountExceeded|QuotaExceeded/,
    who: 'access',
    cause: 'A quota of the account is used up.',
    next: 'Request an increase in Service Quotas (EC2), or set a smaller "instance-type".',
  },
  {
    pattern: /InsufficientInstanceCapacity|InsufficientHostCapacity|Unsupported: Your requested instance type/,
    who: 'rejected',
    cause: 'AWS has no capacity for this instance type at the moment.',
    next: 'Run the job again later, or set another "instance-type" or subnet.',
  },
  {
    pattern: /Client\.InternalError|KMS|kms:|InvalidKMSKey/,
    who: 'access',
    cause: 'A volume or snapshot is encrypted with a key that this role may not use.',
    next: 'Grant the role kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt* on the key. AWS reports this only as Client.InternalError.',
  },
  {
    pattern: /Not authorized for images?\b/,
    who: 'access',
    cause: 'The base image is not shared with this account, or no longer exists.',
    next: 'Check source_ami and its region. Its owner can share it ("mode: share"). Then check the Allowed AMIs setting of this account.',
  },
  {
    pattern: /OptInRequired/,
    who: 'access',
    cause: 'The account has not subscribed to the base image, or has not enabled the region.',
    next: 'Accept the terms of the product in AWS Marketplace, in this account; or enable the region.',
  },
  {
    pattern: /No AMI was found matching filters/,
    who: 'usage',
    cause: 'No such base image exists in this region.',
    next: 'Check owners, name and architecture in source_ami_filter. An image has another ID in every region.',
  },
  {
    // https://github.com/hashicorp/packer-plugin-amazon: a copy to a region gets the tags of its image, and its snapshots get them in a call of their own.
    pattern: /not authorized to perform: ec2:CreateTags on resource: \S+:snapshot\//,
    who: 'access',
    cause:
      'Packer copied the image to another region, and tags its snapshots only afterwards: the role may tag no snapshot that is not its own.',
    next: 'Set "home-only: true", and let mode "share" make the copies. Or deploy the role with PackerCopies=allow.',
  },
  {
    pattern: /UnauthorizedOperation|AccessDenied|not authorized to perform/,
    who: 'access',
    cause: 'The role lacks a permission that Packer needs.',
    next: "Grant the policy examples/policies/build.json of ami-action. Packer's own list: https://developer.hashicorp.com/packer/integrations/hashicorp/amazon#iam-task-or-instance-role",
  },
  {
    pattern: /rate limit/i,
    who: 'usage',
    cause: 'GitHub limits the plugin downloads of this address.',
    next: 'Set env PACKER_GITHUB_API_TOKEN: ${{ github.token }} on the step: it has a limit of its own.',
  },
  {
    pattern: /ResourceNotReady|exceeded max wait time|Error waiting for AMI/,
    who: 'rejected',
    cause: 'The image did not become available while Packer waited for it.',
    next: 'Set aws_polling { delay_seconds = 30, max_attempts = 240 } in the template.',
  },
  {
    pattern: /Unset variable|required variables? not set/i,
    who: 'usage',
    cause: 'A variable of the template has no value.',
    next: 'Set it under "var", or give it a default in the template.',
  },
  {
    pattern: /Invalid value for (input )?variable/,
    who: 'usage',
    cause: 'A variable of the template gets a value of another type.',
    next: 'Declare `ami_tags` and `run_tags` as map(string), `ami_regions` as list(string), and the other variables that ami-action sets as string.',
  },
  {
    pattern: /Undefined (-var )?variable|Undeclared variable/i,
    who: 'usage',
    cause: '"var" sets a variable that the template does not declare.',
    next: 'Declare it in the template, or remove it from "var".',
  },
  {
    pattern: /Bad (source|script)|user_data_file not found|(playbook_file|inventory_file|source|script)\b.*(no such file|does not exist)/,
    who: 'usage',
    cause: 'A relative path of the template does not exist in the directory in which Packer runs.',
    next: 'Set "working-directory" to the directory that the paths are relative to, or begin them with ${path.root}/ (HCL) or {{template_dir}}/ (JSON).',
  },
  {
    pattern: /is unknown by Packer, and is likely part of a plugin/,
    who: 'usage',
    cause: 'The template needs a plugin that required_plugins does not list.',
    next: 'Add github.com/hashicorp/amazon to required_plugins. A JSON template cannot: run "packer plugins install github.com/hashicorp/amazon" in an earlier step.',
  },
  {
    pattern: /Failed getting the ".*" plugin|Missing plugins|Error: Failed to load plugin/,
    who: 'usage',
    cause: 'A plugin of the template cannot be downloaded or started.',
    next: 'Allow the runner to reach releases.hashicorp.com and api.github.com, or put the plugin into PACKER_PLUGIN_PATH.',
  },
  {
    pattern: /Script exited with non-zero exit status|exited with non-zero exit status/,
    who: 'rejected',
    cause: 'A provisioner failed.',
    next: 'Fix the provisioner and push. Its last lines are above and in the log.',
  },
];

/** Plugins whose name is not the beginning of their component's, or that HashiCorp does not publish. */
const PLUGINS: Readonly<Record<string, string>> = {
  goss: 'github.com/YaleUniversity/goss',
  'windows-update': 'github.com/rgl/windows-update',
  googlecompute: 'github.com/hashicorp/googlecompute',
  'windows-restart': 'github.com/hashicorp/windows',
};

/** The plugin of a component that Packer does not know. */
function pluginOf(text: string): string | undefined {
  const component = /(?:builder|provisioner|post-processor|datasource|data source) '?"?([\w-]+)'?"? is unknown by Packer/i.exec(text)?.[1];
  return component === undefined ? undefined : (PLUGINS[component] ?? `github.com/hashicorp/${component.split('-')[0]}`);
}

/** Undefined for an unknown failure. */
export function explainFailure(text: string): Explanation | undefined {
  const known = KNOWN.find(({ pattern }) => pattern.test(text));
  if (known === undefined) return undefined;
  const { who, cause, next } = known;
  const plugin = pluginOf(text);
  return { who, cause, next: plugin === undefined ? next : next.replaceAll('github.com/hashicorp/amazon', plugin) };
}

/** Whether another download may succeed. */
export const isTransient = (text: string): boolean =>
  /rate limit|i\/o timeout|TLS handshake timeout|connection reset|unexpected EOF|Temporary failure in name resolution|\b50[0234]\b/i.test(
    text,
  );
