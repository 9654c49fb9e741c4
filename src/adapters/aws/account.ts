import { GetCallerIdentityCommand, type STSClient } from '@aws-sdk/client-sts';
import type { Account } from '../../world.ts';
import type { Provider } from './credentials.ts';
import { asExpected } from './errors.ts';

/** Needs no permission: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
export function stsAccount(sts: STSClient, provider: Provider | undefined): Account {
  let known: Promise<string> | undefined;
  const ask = async () => (await sts.send(new GetCallerIdentityCommand({})).catch(asExpected('ask who we are'))).Account ?? '';
  return {
    id: () => {
      known ??= ask();
      return known;
    },
    async environment() {
      if (provider === undefined) return {};
      const { accessKeyId, secretAccessKey, sessionToken } = await provider();
      return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken };
    },
  };
}
