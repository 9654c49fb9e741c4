import { GetCallerIdentityCommand, type STSClient } from '@aws-sdk/client-sts';
import type { Account, Clock } from '../../ports/deps.ts';
import type { Provider } from './credentials.ts';
import { asExpected } from './errors.ts';
import { servedCredentials } from './serve-credentials.ts';

/** Needs no permission: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
export function stsAccount(sts: STSClient, provider: Provider | undefined, clock: Clock): Account {
  let known: Promise<string> | undefined;
  let served: Promise<Readonly<Record<string, string>>> | undefined;
  const ask = async () => (await sts.send(new GetCallerIdentityCommand({})).catch(asExpected('ask who we are'))).Account ?? '';
  return {
    id: () => {
      known ??= ask();
      return known;
    },
    async environment() {
      if (provider === undefined) return {};
      served ??= servedCredentials(provider, clock);
      return served;
    },
  };
}
