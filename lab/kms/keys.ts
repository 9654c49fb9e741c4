import type {
  DescribeKeyCommandInput,
  DescribeKeyCommandOutput,
  GetKeyPolicyCommandInput,
  GetKeyPolicyCommandOutput,
  GrantListEntry,
  ListGrantsCommandInput,
  ListGrantsCommandOutput,
} from '@aws-sdk/client-kms';
import { defaultKey } from '../ec2/snapshot-state.ts';
import { AwsError, type Operations } from '../operation.ts';
import { type Core, type Place, shared } from '../place.ts';

/** A customer managed key, as far as sharing images needs it. */
export interface LabKey {
  readonly policy: object;
  readonly grants?: readonly { readonly grantee: string; readonly operations: GrantListEntry['Operations'] }[];
  readonly enabled?: boolean;
}

/** By ARN. */
export const keys = shared(() => new Map<string, LabKey>());

const ARN = /^arn:aws:kms:([^:]+):(\d{12}):key\/([\w-]+)$/;

function find(core: Core, place: Place, id = ''): { arn: string; key: LabKey | undefined; account: string; region: string } {
  const [, region = '', account = ''] = ARN.exec(id) ?? [];
  const known = keys(core).get(id);
  if (known === undefined && id !== defaultKey(core.place(account, region))) {
    throw new AwsError('NotFoundException', `Key '${id}' does not exist`);
  }
  // On AWS the key policy decides who may describe a key. In the lab only the owner may.
  if (account !== place.account)
    throw new AwsError('AccessDeniedException', `The ciphertext refers to a customer master key of ${account}`);
  return { arn: id, key: known, account, region };
}

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html */
const describeKey = ({ KeyId }: DescribeKeyCommandInput, { place }: { place: Place }): Omit<DescribeKeyCommandOutput, '$metadata'> => {
  const { arn, key, account } = find(place.core, place, KeyId);
  const enabled = key?.enabled ?? true;
  return {
    KeyMetadata: {
      KeyId: arn.slice(arn.lastIndexOf('/') + 1),
      Arn: arn,
      AWSAccountId: account,
      KeyManager: key === undefined ? 'AWS' : 'CUSTOMER',
      KeyState: enabled ? 'Enabled' : 'Disabled',
      Enabled: enabled,
    },
  };
};

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html */
const getKeyPolicy = ({ KeyId }: GetKeyPolicyCommandInput, { place }: { place: Place }): Omit<GetKeyPolicyCommandOutput, '$metadata'> => ({
  Policy: JSON.stringify(find(place.core, place, KeyId).key?.policy ?? {}),
  PolicyName: 'default',
});

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html */
const listGrants = (
  { KeyId, Limit, Marker }: ListGrantsCommandInput,
  { place }: { place: Place },
): Omit<ListGrantsCommandOutput, '$metadata'> => {
  const { arn, key } = find(place.core, place, KeyId);
  const all = (key?.grants ?? []).map(({ grantee, operations }, index) => ({
    ...{ KeyId: arn, GrantId: `grant-${index}`, GranteePrincipal: grantee, Operations: operations },
  }));
  const from = Number(Marker ?? 0);
  const to = from + Math.min(Limit ?? 50, 2);
  return { Grants: all.slice(from, to), Truncated: to < all.length, ...(to < all.length ? { NextMarker: String(to) } : {}) };
};

export const keyOperations: Operations = { DescribeKey: describeKey, GetKeyPolicy: getKeyPolicy, ListGrants: listGrants };
