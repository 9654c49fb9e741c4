import type { ImageKey } from '../../model/image-key.ts';
import { type Answer, ask, type Caller, isOf, type Statement, statementsOf } from './policy.ts';

/** EC2 reads the key, and hands it on to EBS by a grant. https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html */
const READS = 'kms:Decrypt';
const HANDS_ON = 'kms:CreateGrant';

/** The role that Auto Scaling launches with. https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html */
const scalingRole = ({ arn }: ImageKey, account: string): string =>
  `arn:${partitionOf(arn)}:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;

/** aws, aws-cn, aws-us-gov ... */
const partitionOf = (arn: string): string => arn.split(':')[1] ?? 'aws';

export type KeyUse =
  | { readonly use: 'yes'; readonly warning?: string | undefined }
  | { readonly use: 'no'; readonly reason: string }
  | { readonly use: 'unknown'; readonly reason: string };

/** Whether an account, and Auto Scaling in it, can launch what this key encrypts. */
export function keyUse(key: ImageKey, account: string): KeyUse {
  if (key.policy === undefined) return { use: 'unknown', reason: `the policy of ${key.arn} may not be read (kms:GetKeyPolicy)` };
  const statements = statementsOf(key.policy);
  if (statements === undefined) return { use: 'unknown', reason: `the policy of ${key.arn} is written in a way that we do not understand` };
  const refused = refusal(key, statements, account);
  if (refused !== undefined) return refused;
  return { use: 'yes', warning: doubtOf(key, statements, account) };
}

/** https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html; names in small letters, as IAM compares them. */
const callerOf = ({ arn }: ImageKey, account: string, role?: string): Caller => ({
  account,
  arn: role,
  context: {
    'kms:calleraccount': account,
    'aws:principalaccount': account,
    'kms:viaservice': `ec2.${arn.split(':')[3]}.amazonaws.com`,
    'kms:grantisforawsresource': 'true',
    'aws:securetransport': 'true',
    ...(role === undefined ? {} : { 'aws:principalarn': role }),
  },
});

function refusal(key: ImageKey, statements: readonly Statement[], account: string): Exclude<KeyUse, { use: 'yes' }> | undefined {
  const [role, anybody] = [scalingRole(key, account), callerOf(key, account)];
  const asks = [
    { who: `account ${account}`, action: READS, answer: ask(statements, READS, anybody) },
    { who: `account ${account}`, action: HANDS_ON, answer: ask(statements, HANDS_ON, anybody) },
    { who: `Auto Scaling in account ${account}`, action: READS, answer: ask(statements, READS, callerOf(key, account, role)) },
  ];
  for (const { who, action, answer } of asks) {
    if (answer.says !== 'denied') continue;
    return { use: 'no', reason: `the policy of ${key.arn} denies ${action} to ${who} (statement ${answer.statement}): except it there` };
  }
  const granted = (key.grantees ?? []).some(who => who === account || isOf(account, who));
  const reads = asks[0]?.answer as Answer;
  if (reads.says === 'silent' && !granted) {
    const root = `arn:${partitionOf(key.arn)}:iam::${account}:root`;
    return { use: 'no', reason: `the policy of ${key.arn} does not let account ${account} decrypt: add ${root} to it` };
  }
  const unsure = asks.flatMap(({ answer }) => (answer.says === 'unknown' ? answer.keys : []));
  if (unsure.length === 0) return undefined;
  return { use: 'unknown', reason: `the policy of ${key.arn} depends on ${[...new Set(unsure)].join(', ')}` };
}

/** Across accounts the policy is not enough for a service-linked role: it takes a grant. */
function doubtOf(key: ImageKey, statements: readonly Statement[], account: string): string | undefined {
  const role = scalingRole(key, account);
  if (key.grantees?.includes(role)) return undefined;
  if (ask(statements, HANDS_ON, callerOf(key, account)).says === 'silent')
    return `Account ${account} may not be able to launch what ${key.arn} encrypts: its policy does not let that account use ${HANDS_ON}, which EC2 needs to attach the volumes.`;
  const asked = key.grantees === undefined ? 'its grants may not be read (kms:ListGrants)' : 'no grant names it';
  return `Auto Scaling in account ${account} may not be able to use ${key.arn} (${asked}), and then its instances end at once with "Client.InternalError: Client error on launch". There: aws kms create-grant --key-id ${key.arn} --grantee-principal ${role} --operations Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant`;
}

/** What is to be said of a whole organization, or a unit of one; undefined where the policy lets all its accounts in. */
export function organizationDoubt(key: ImageKey, organization: string): string | undefined {
  const statements = key.policy === undefined ? undefined : statementsOf(key.policy);
  const unchecked = `Whether the accounts of ${organization} may use ${key.arn} was not checked`;
  if (statements === undefined) return `${unchecked}: its policy cannot be read.`;
  const [, id = ''] = /\/(o-[a-z0-9]+)/.exec(organization) ?? [];
  const { context } = callerOf(key, '');
  const { 'kms:calleraccount': _, 'aws:principalaccount': __, ...ofAll } = context;
  const answer = ask(statements, READS, { account: '', context: { ...ofAll, 'aws:principalorgid': id } });
  if (answer.says === 'allowed') return undefined;
  if (answer.says === 'unknown') return `${unchecked}: its policy depends on ${answer.keys.join(', ')}.`;
  return `The policy of ${key.arn} does not let the accounts of ${organization} in as a whole (aws:PrincipalOrgID ${id}): those that it does not name cannot launch the image.`;
}
