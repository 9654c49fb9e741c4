/** What `init` knows of the repository's roles. */
export interface RoleFacts {
  readonly repository: string;
  readonly family: string;
  readonly region: string;
  /** Environment -> its groups. */
  readonly environments: Readonly<Record<string, readonly string[]>>;
  /** Of this program. Its templates belong to the same release: the tag of a major version moves. */
  readonly version: string;
}

export const ROLE_SCRIPT = '.github/ami-roles.sh';

/** Names of roles are those that the templates in examples/ give: by stack. */
export const imagesRole = (account: string, family: string): string => `arn:aws:iam::${account}:role/ami-${slug(family)}-images`;
export const rolloutRole = (account: string, family: string, environment: string): string =>
  `arn:aws:iam::${account}:role/ami-${slug(family)}-${environment}-rollout`;
export const testProfile = (family: string): string => `ami-${slug(family)}-test`;

/** A stack's name has letters, digits and hyphens only. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html */
const slug = (family: string): string => family.replace(/[^A-Za-z0-9]+/g, '-');

/** A script that deploys the templates of the roles with the parameters of this repository. */
export const roleScript = ({ repository, family, region, environments, version }: RoleFacts): string =>
  `#!/usr/bin/env bash
# Creates the roles of ami-action with AWS CloudFormation. Run it with the credentials of an admin: bash ${ROLE_SCRIPT}
# Run it again when a group gets another launch template. Instances with a role of their own need GroupRoles=<ARN> below.
set -euo pipefail
export AWS_REGION=${region}
repository=${repository}
# The subject of its tokens: repositories that were created after 15 July 2026 have an immutable one.
subject=$(gh api "repos/$repository" --jq 'if .created_at > "2026-07-15" then "repo:\\(.owner.login)@\\(.owner.id)/\\(.name)@\\(.id)" else "repo:\\(.full_name)" end')
number=$(gh api "repos/$repository" --jq .id)
known=$(aws iam list-open-id-connect-providers --query "length(OpenIDConnectProviderList[?ends_with(Arn, '/token.actions.githubusercontent.com')])" --output text)

deploy() { # stack, template, parameters
  curl -fsSL -o "/tmp/$2.yml" "https://raw.githubusercontent.com/org/ami-action/v${version}/examples/$2.yml"
  aws cloudformation deploy --stack-name "$1" --template-file "/tmp/$2.yml" --capabilities CAPABILITY_NAMED_IAM --parameter-overrides \\
    "Subject=$subject" "RepositoryId=$number" "Families=${family}" "\${@:3}"
}
templates() { # groups
  aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$@" --output text --query \\
    "join(',', AutoScalingGroups[].[LaunchTemplate.LaunchTemplateId, MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId][] | [?@])"
}

deploy ami-${slug(family)} delivery-role "Repository=$repository" "Provider=$([ "$known" = 0 ] && echo create || echo exists)"
${Object.entries(environments)
  .map(
    ([name, groups]) =>
      `deploy ami-${slug(family)}-${name} environment-role Environment=${name} Pointers=/ami/${family} "Groups=${groups.map(group => `${group}*`).join(',')}" "LaunchTemplates=$(templates ${groups.join(' ')})"`,
  )
  .join('\n')}
`;
