import { createHmac, randomBytes } from 'node:crypto';
import type {
  DescribeKeyCommandInput,
  DescribeKeyCommandOutput,
  GenerateMacCommandInput,
  GenerateMacCommandOutput,
  GetKeyPolicyCommandInput,
  GetKeyPolicyCommandOutput,
  GrantListEntry,
  ListGrantsCommandInput,
  ListGrantsCommandOutput,
  VerifyMacCommandInput,
  VerifyMacCommandOutput,
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

/** The secret of an HMAC key. On AWS it never leaves KMS; the tests must not know it either. */
const secrets = shared(() => new Map<string, Buffer>());

function macOf(
  { KeyId = '', Message, MacAlgorithm }: Pick<VerifyMacCommandInput, 'KeyId' | 'Message' | 'MacAlgorithm'>,
  core: Core,
): Buffer {
  const key = keys(core).get(KeyId);
  if (key === undefined) throw new AwsError('NotFoundException', `Key '${KeyId}' does not exist`);
  if (key.enabled === false) throw new AwsError('DisabledException', `${KeyId} is disabled.`);
  if (MacAlgorithm !== 'HMAC_SHA_256') throw new AwsError('InvalidKeyUsageException', `Algorithm ${MacAlgorithm} does not fit the key`);
  const secret = secrets(core).get(KeyId) ?? randomBytes(32);
  secrets(core).set(KeyId, secret);
  return createHmac('sha256', secret)
    .update(Message ?? '')
    .digest();
}

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html */
const generateMac = (input: GenerateMacCommandInput, { place }: { place: Place }): Omit<GenerateMacCommandOutput, '$metadata'> => ({
  ...{ KeyId: input.KeyId, MacAlgorithm: input.MacAlgorithm, Mac: macOf(input, place.core) },
});

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html */
function verifyMac(input: VerifyMacCommandInput, { place }: { place: Place }): Omit<VerifyMacCommandOutput, '$metadata'> {
  if (!macOf(input, place.core).equals(input.Mac ?? Buffer.of())) throw new AwsError('KMSInvalidMacException', 'The MAC is invalid.');
  return { KeyId: input.KeyId, MacAlgorithm: input.MacAlgorithm, MacValid: true };
}

export const keyOperations: Operations = {
  DescribeKey: describeKey,
  GetKeyPolicy: getKeyPolicy,
  ListGrants: listGrants,
  GenerateMac: generateMac,
  VerifyMac: verifyMac,
};
