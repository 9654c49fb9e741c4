import { z } from 'zod';

/** Whether others can use what a key encrypts. Decided from the key's policy and grants, as its owner sees them. */
export interface ImageKey {
  readonly arn: string;
  /** aws/ebs: its policy cannot be changed, so what it encrypts stays in this account. */
  readonly managedByAws: boolean;
  readonly usable: boolean;
  /** Undefined: we may not read it. */
  readonly policy: string | undefined;
  readonly grantees: readonly string[] | undefined;
}

const many = <T extends z.ZodType>(one: T) => z.union([one.transform(value => [value]), z.array(one)]);

const policySchema = z.object({
  Statement: many(
    z.object({
      Effect: z.string(),
      Principal: z.union([z.literal('*').transform(() => ({ AWS: ['*'] })), z.object({ AWS: many(z.string()).optional() })]).optional(),
      Action: many(z.string()).optional(),
      Condition: z.unknown().optional(),
    }),
  ),
});

type Statement = z.infer<typeof policySchema>['Statement'][number];

const NEEDED = 'kms:Decrypt';

/** The role that Auto Scaling launches with. https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html */
const scalingRole = (account: string): string =>
  `arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;

export type KeyUse =
  | { readonly use: 'yes'; readonly doubt?: string | undefined }
  | { readonly use: 'no'; readonly because: string }
  | { readonly use: 'unknown'; readonly because: string };

/** Whether an account, and Auto Scaling in it, can launch what this key encrypts. */
export function keyUse(key: ImageKey, account: string): KeyUse {
  if (key.policy === undefined) return { use: 'unknown', because: `the policy of ${key.arn} may not be read (kms:GetKeyPolicy)` };
  const statements = statementsOf(key.policy);
  if (statements === undefined)
    return { use: 'unknown', because: `the policy of ${key.arn} is written in a way that we do not understand` };
  const grantees = key.grantees ?? [];
  const root = `arn:aws:iam::${account}:root`;
  const names = statements.filter(grants).flatMap(({ Principal }) => Principal?.AWS ?? []);
  const ofAccount = (who: string) => who === '*' || who === account || who.startsWith(`arn:aws:iam::${account}:`);
  if (!names.some(ofAccount) && !grantees.some(ofAccount)) {
    return { use: 'no', because: `the policy of ${key.arn} does not let account ${account} decrypt: add ${root} to it` };
  }
  const role = scalingRole(account);
  if ([...names, ...grantees].some(who => who === role)) return { use: 'yes' };
  const asked = key.grantees === undefined ? 'its grants may not be read (kms:ListGrants)' : 'neither its policy nor a grant names it';
  return {
    use: 'yes',
    doubt: `Auto Scaling in account ${account} may not be able to use ${key.arn} (${asked}), and then its instances end at once with "Client.InternalError: Client error on launch". There: aws kms create-grant --key-id ${key.arn} --grantee-principal ${role} --operations Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant`,
  };
}

// A condition can only narrow: what it leaves cannot be told from here, so it counts as said.
const grants = ({ Effect, Action = [] }: Statement): boolean =>
  Effect === 'Allow' && Action.some(action => new RegExp(`^${action.replace(/[.]/g, '\\.').replaceAll('*', '.*')}$`, 'i').test(NEEDED));

function statementsOf(policy: string): readonly Statement[] | undefined {
  try {
    const parsed = policySchema.safeParse(JSON.parse(policy));
    return parsed.success ? parsed.data.Statement : undefined;
  } catch {
    return undefined;
  }
}
