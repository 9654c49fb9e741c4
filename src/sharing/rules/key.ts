import type { ImageKey } from '../../model/image-access.ts';
import { isAccountId } from '../../model/patterns.ts';
import type { Target } from './plan.ts';

/** Which accounts the policy and the grants of a key name. Only KMS evaluates actions, conditions and Deny statements. */

const HELP = 'https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html';

/** Why a target certainly cannot use a key of the image: neither its policy nor its grants name the account. */
export function lockedOut({ kind, who }: Target, keys: readonly ImageKey[]): string | undefined {
  if (kind === 'region' || !isAccountId(who)) return undefined;
  const key = keys.find(candidate => namesAccount(candidate, who) === false);
  if (key === undefined) return undefined;
  return `Key ${key.arn} does not allow account ${who}. Add arn:${partitionOf(key)}:iam::${who}:root to its policy, with kms:Decrypt and kms:CreateGrant: ${HELP}`;
}

/** What may fail at the first launch, and what was not checked. */
export function keyWarnings(targets: readonly Target[], keys: readonly ImageKey[]): readonly string[] {
  const launching = new Set(targets.filter(({ kind }) => kind === 'launch').map(({ who }) => who));
  const all = keys.flatMap(key =>
    [...launching].flatMap(who => (isAccountId(who) ? accountWarnings(key, who) : organizationWarnings(key, who))),
  );
  return [...new Set(all)];
}

function accountWarnings(key: ImageKey, account: string): readonly string[] {
  const statements = statementsOf(key);
  if (statements === undefined)
    return [`Access of account ${account} to key ${key.arn} was not checked: its policy cannot be read (kms:GetKeyPolicy).`];
  if (namesAccount(key, account) === false) return [];
  const denies = statements.some(({ Effect }) => Effect === 'Deny');
  return [
    ...(denies
      ? [`Key ${key.arn} has Deny statements, which were not evaluated. Make sure that account ${account} can use it: ${HELP}`]
      : []),
    ...scalingWarning(key, account),
  ];
}

/** Across accounts a service-linked role needs a grant. https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html */
function scalingWarning(key: ImageKey, account: string): readonly string[] {
  const { arn, grantees } = key;
  const role = `arn:${partitionOf(key)}:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;
  if (grantees?.includes(role)) return [];
  const reason = grantees === undefined ? 'its grants cannot be read (kms:ListGrants)' : 'no grant names its service-linked role';
  return [
    `Auto Scaling in account ${account} may not be able to use key ${arn}: ${reason}. Instances then end with "Client.InternalError: Client error on launch". In account ${account}, run: aws kms create-grant --key-id ${arn} --grantee-principal ${role} --operations Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant`,
  ];
}

function organizationWarnings(key: ImageKey, organization: string): readonly string[] {
  const [, id = ''] = /\/(o-[a-z0-9]+)/.exec(organization) ?? [];
  if (key.policy?.includes(`"${id}"`)) return [];
  return [
    `Access of the accounts of ${organization} to key ${key.arn} was not checked. Its policy must allow them (aws:PrincipalOrgID ${id}): ${HELP}`,
  ];
}

interface Statement {
  readonly Effect?: unknown;
  readonly Principal?: unknown;
  readonly NotPrincipal?: unknown;
}

/** Undefined where the policy cannot be read. */
function statementsOf({ policy }: ImageKey): readonly Statement[] | undefined {
  try {
    const { Statement } = JSON.parse(policy ?? '') as { Statement?: Statement | readonly Statement[] };
    const all = [Statement ?? []].flat() as readonly Statement[];
    return all.every(statement => typeof statement === 'object') ? all : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where the policy cannot be read. */
function namesAccount(key: ImageKey, account: string): boolean | undefined {
  const statements = statementsOf(key);
  if (statements === undefined) return undefined;
  const allowing = statements.filter(({ Effect }) => Effect === 'Allow');
  const principals = JSON.stringify([allowing.map(({ Principal }) => Principal), key.grantees ?? []]);
  return allowing.some(({ NotPrincipal }) => NotPrincipal !== undefined) || new RegExp(`"\\*"|(?<!\\d)${account}(?!\\d)`).test(principals);
}

const partitionOf = ({ arn }: ImageKey): string => arn.split(':')[1] ?? 'aws';
