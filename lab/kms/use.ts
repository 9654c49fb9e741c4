import { defaultKey } from '../ec2/snapshot-state.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { keys, type LabKey } from './keys.ts';

/** Who may use a key, as KMS decides it. It shares no code with the action's own evaluation, so that their errors are independent. */

export interface Principal {
  readonly account: string;
  /** A service-linked role, which needs a grant or a key policy that names it. */
  readonly serviceRole?: string;
  /** Whether the caller's own policies allow it. Undefined: an administrator. */
  readonly identity?: (action: string, keyArn: string, region: string) => boolean;
}

/** What a caller needs for volumes that a customer managed key encrypts. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html */
const VOLUME_ACTIONS = [
  'kms:CreateGrant',
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

export const scalingRole = (account: string): string =>
  `arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;

type Text = string | readonly string[];
interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal: '*' | { readonly AWS?: Text };
  readonly Action: Text;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, Text>>>>;
}

const listOf = (text: Text | undefined): readonly string[] => (text === undefined ? [] : [text].flat());

/**
 * Whether EC2 may use this key on behalf of the principal. Keys without an entry are open to every account, except the AWS managed key, which
 * belongs to its account. https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
 */
export function mayDecrypt(place: Place, arn: string | undefined, who: Principal): boolean {
  if (arn === undefined) return true;
  const key = keys(place.core).get(arn);
  const owner = arn.split(':')[4] ?? '';
  const isManaged = arn === defaultKey(place.core.place(owner, arn.split(':')[3] ?? ''));
  if (!isManaged && !VOLUME_ACTIONS.every(action => who.identity?.(action, arn, place.region) ?? true)) return false;
  if (key === undefined) return who.account === owner || !isManaged;
  if (key.enabled === false) return false;
  return ['kms:Decrypt', 'kms:CreateGrant'].every(action => may(key, action, who, { owner, region: place.region }));
}

function may(key: LabKey, action: string, who: Principal, at: { owner: string; region: string }): boolean {
  const { Statement = [] } = key.policy as { Statement?: readonly Statement[] };
  const matching = Statement.filter(statement =>
    listOf(statement.Action).some(pattern => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(action)),
  )
    .filter(statement => isMeant(statement, who))
    .filter(({ Condition = {} }) => holds(Condition, who, at));
  if (matching.some(({ Effect }) => Effect === 'Deny')) return false;
  const grantee = who.serviceRole ?? who.account;
  const granted = (key.grants ?? []).some(
    grant => grant.grantee === grantee || (who.serviceRole === undefined && accountOf(grant.grantee) === who.account),
  );
  if (granted) return true;
  const allowed = matching.filter(({ Effect }) => Effect === 'Allow');
  if (who.serviceRole === undefined) return allowed.length > 0;
  // If one account owns key and role, a key policy that names the role is sufficient.
  return at.owner === who.account && allowed.some(({ Principal }) => Principal !== '*' && listOf(Principal.AWS).includes(grantee));
}

const accountOf = (arn: string): string => arn.split(':')[4] ?? '';

function isMeant({ Effect, Principal }: Statement, { account, serviceRole }: Principal): boolean {
  if (Principal === '*') return true;
  return listOf(Principal.AWS).some(name => {
    if (name === '*' || name === account || name === `arn:aws:iam::${account}:root` || name === serviceRole) return true;
    // Callers of the lab have no ARN here, so an Allow for one principal of the account applies to them.
    return Effect === 'Allow' && serviceRole === undefined && accountOf(name) === account;
  });
}

function holds(condition: NonNullable<Statement['Condition']>, { account }: Principal, { region }: { region: string }): boolean {
  const values: Readonly<Record<string, string>> = {
    'kms:CallerAccount': account,
    'kms:ViaService': `ec2.${region}.amazonaws.com`,
    'kms:GrantIsForAWSResource': 'true',
  };
  return Object.entries(condition).every(([operator, wanted]) =>
    Object.entries(wanted).every(([name, list]) => {
      const value = values[name];
      if (value === undefined || !['StringEquals', 'StringNotEquals', 'Bool'].includes(operator))
        throw new AwsError('InternalFailure', `The lab does not know the condition ${operator} ${name}.`);
      return listOf(list).includes(value) !== (operator === 'StringNotEquals');
    }),
  );
}
