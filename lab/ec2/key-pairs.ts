import { createHash, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type {
  CreateKeyPairCommandInput,
  CreateKeyPairCommandOutput,
  DeleteKeyPairCommandInput,
  DeleteKeyPairCommandOutput,
  DescribeKeyPairsCommandInput,
  DescribeKeyPairsCommandOutput,
  ImportKeyPairCommandInput,
  ImportKeyPairCommandOutput,
} from '@aws-sdk/client-ec2';
import ssh2 from 'ssh2';
import { newId } from '../ids.ts';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Fields, select, tagList, tagsFor } from './filters.ts';
import { dropTags, keyPairs, type LabKeyPair, setTags, tagsOf } from './state.ts';

const generate = promisify(generateKeyPair);
const generateOpenSsh = promisify(ssh2.utils.generateKeyPair) as (type: 'ed25519', options: object) => Promise<{ private: string }>;

type KeyType = LabKeyPair['type'];
type TagSpecifications = CreateKeyPairCommandInput['TagSpecifications'];

/** Real keys, which can log in. RSA keys are PKCS#1, ED25519 keys are OpenSSH, as on AWS. */
async function privateKey(type: KeyType): Promise<string> {
  if (type === 'ed25519') return (await generateOpenSsh('ed25519', {})).private;
  const { privateKey } = await generate('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
}

function publicKeyOf(material: string): { type: KeyType; line: string; fingerprint: string } {
  const parsed = ssh2.utils.parseKey(material);
  if (parsed instanceof Error) throw new AwsError('InvalidKey.Format', 'Key is not in valid OpenSSH public key format');
  const blob = parsed.getPublicSSH();
  const type = parsed.type === 'ssh-ed25519' ? 'ed25519' : 'rsa';
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-keys.html; for RSA the lab hashes the public key, AWS the private one.
  const fingerprint =
    type === 'ed25519'
      ? createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')
      : (createHash('sha1').update(blob).digest('hex').match(/../g) ?? []).join(':');
  return { type, line: `${parsed.type} ${blob.toString('base64')}`, fingerprint };
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html */
export const createKeyPair: Operation<CreateKeyPairCommandInput, CreateKeyPairCommandOutput> = async (input, { place }) => {
  refuseTaken(place, input.KeyName);
  if (input.KeyFormat === 'ppk') throw new AwsError('InvalidParameterValue', 'The lab makes keys in PEM format only.');
  const KeyMaterial = await privateKey(input.KeyType ?? 'rsa');
  const pair = keep(place, input.KeyName ?? '', KeyMaterial, input.TagSpecifications);
  return { ...shape(place, pair), KeyMaterial };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html */
export const importKeyPair: Operation<ImportKeyPairCommandInput, ImportKeyPairCommandOutput> = (input, { place }) => {
  refuseTaken(place, input.KeyName);
  const material = Buffer.from(input.PublicKeyMaterial ?? []).toString();
  return shape(place, keep(place, input.KeyName ?? '', material, input.TagSpecifications));
};

function refuseTaken(place: Place, name: string | undefined): void {
  if (name === undefined || name === '') throw new AwsError('MissingParameter', 'The request must contain the parameter KeyName');
  if (keyPairs(place).has(name)) throw new AwsError('InvalidKeyPair.Duplicate', `The keypair already exists`);
}

function keep(place: Place, name: string, material: string, specifications: TagSpecifications): LabKeyPair {
  const { type, line, fingerprint } = publicKeyOf(material);
  const pair: LabKeyPair = { id: newId('key'), name, type, fingerprint, publicKey: `${line} ${name}`, createdAt: place.core.clock.date() };
  keyPairs(place).set(name, pair);
  setTags(place, pair.id, tagsFor(specifications, 'key-pair'));
  return pair;
}

const shape = (place: Place, { id, name, fingerprint }: LabKeyPair) => ({
  ...{ KeyPairId: id, KeyName: name, KeyFingerprint: fingerprint },
  Tags: tagList(tagsOf(place, id)),
});

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeKeyPairs.html */
export const describeKeyPairs: Operation<DescribeKeyPairsCommandInput, DescribeKeyPairsCommandOutput> = (input, { place }) => {
  const all = [...keyPairs(place).values()];
  const missing = input.KeyNames?.find(name => !keyPairs(place).has(name));
  if (missing !== undefined) throw new AwsError('InvalidKeyPair.NotFound', `The key pair '${missing}' does not exist`);
  const unknown = input.KeyPairIds?.find(id => !all.some(pair => pair.id === id));
  if (unknown !== undefined) throw new AwsError('InvalidKeyPair.NotFound', `The key pair ID '${unknown}' does not exist`);
  const named = all.filter(
    pair => (input.KeyNames ?? [pair.name]).includes(pair.name) && (input.KeyPairIds ?? [pair.id]).includes(pair.id),
  );
  const found = select(named, input.Filters, FIELDS, ({ id }) => tagsOf(place, id));
  return {
    KeyPairs: found.map(pair => ({
      ...shape(place, pair),
      ...{ KeyType: pair.type, CreateTime: pair.createdAt },
      PublicKey: input.IncludePublicKey === true ? pair.publicKey : undefined,
    })),
  };
};

const FIELDS: Fields<LabKeyPair> = {
  'key-name': ({ name }) => name,
  'key-pair-id': ({ id }) => id,
  fingerprint: ({ fingerprint }) => fingerprint,
};

/** A key pair that does not exist is no error. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteKeyPair.html */
export const deleteKeyPair: Operation<DeleteKeyPairCommandInput, DeleteKeyPairCommandOutput> = ({ KeyName, KeyPairId }, { place }) => {
  const pair = [...keyPairs(place).values()].find(({ id, name }) => name === KeyName || id === KeyPairId);
  if (pair === undefined) return { Return: true };
  keyPairs(place).delete(pair.name);
  dropTags(place, pair.id, 'all');
  return { Return: true, KeyPairId: pair.id };
};
