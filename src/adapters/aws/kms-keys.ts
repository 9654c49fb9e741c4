import { DescribeKeyCommand, GetKeyPolicyCommand, type KMSClient, ListGrantsCommand } from '@aws-sdk/client-kms';
import { AccessError } from '../../kit/errors.ts';
import type { ImageKey } from '../../model/image-key.ts';
import { asExpected } from './errors.ts';
import { allPages } from './pages.ts';

/** As its owner sees it. Policy and grants may be kept from us, which is told; whose key it is must be known. */
export async function kmsKey(kms: KMSClient, arn: string): Promise<ImageKey> {
  const { KeyMetadata } = await kms
    .send(new DescribeKeyCommand({ KeyId: arn }))
    .catch(asExpected(`look at the key ${arn} that encrypts the image (kms:DescribeKey)`));
  const known = { arn, managedByAws: KeyMetadata?.KeyManager === 'AWS', usable: KeyMetadata?.KeyState === 'Enabled' };
  if (known.managedByAws) return { ...known, policy: undefined, grantees: undefined };
  const [policy, grantees] = await Promise.all([ifAllowed(() => policyOf(kms, arn)), ifAllowed(() => granteesOf(kms, arn))]);
  return { ...known, policy, grantees };
}

async function policyOf(kms: KMSClient, KeyId: string): Promise<string> {
  const answer = await kms.send(new GetKeyPolicyCommand({ KeyId })).catch(asExpected('read the key policy (kms:GetKeyPolicy)'));
  return answer.Policy ?? '{}';
}

const granteesOf = async (kms: KMSClient, KeyId: string): Promise<readonly string[]> =>
  allPages(async Marker => {
    const page = await kms.send(new ListGrantsCommand({ KeyId, Limit: 100, Marker })).catch(asExpected('list grants (kms:ListGrants)'));
    return { items: page.Grants?.map(({ GranteePrincipal = '' }) => GranteePrincipal), next: page.Truncated ? page.NextMarker : undefined };
  });

async function ifAllowed<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (failure) {
    if (failure instanceof AccessError) return undefined;
    throw failure;
  }
}
