import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Credentials } from '@aws-sdk/client-sts';
import { StandardRetryStrategy } from '@smithy/core/retry';
import type { Reporter, Run } from '../../ports/deps.ts';
import { clockSpeed, type SystemClock } from '../clock.ts';
import { unreadableAnswer } from './errors.ts';

/** How clients reach AWS: session, credentials, connections. */

export interface Access {
  readonly mode: string;
  readonly roleToAssume: string | undefined;
  /** Length of a session in seconds. */
  readonly roleDuration: number;
  /** Assume it with the credentials of the environment, even where there is an OIDC token. */
  readonly roleChaining: boolean;
  readonly allowInstanceRole: boolean;
  readonly clock: SystemClock;
  readonly run: Run;
  readonly report: Reporter;
}

export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: 2 to 64 of these characters
export const sessionName = ({ run }: Access): string =>
  `ami-action-${run.id || 'local'}-${run.attempt}`.replace(/[^\w+=,.@-]/g, '-').slice(0, 64);

/** CloudTrail shows which mode made a call. */
const userAgent = ({ mode }: Access): [string, string][] => [
  ['ami-action', '1'],
  ['mode', mode],
];

// The SDK reads neither HTTPS_PROXY nor NO_PROXY. Node's agents do since 24.5 when they get the environment.
// https://nodejs.org/api/http.html#built-in-proxy-support
const options = { keepAlive: true, maxSockets: 50, proxyEnv: process.env };
const [httpAgent, httpsAgent] = [new HttpAgent(options), new HttpsAgent(options)];

// Connections are shared by all clients. Without a limit a connection that hangs would outlive an OIDC token; without
// throwOnRequestTimeout the SDK only warns when the time is up.
const requestHandler = { connectionTimeout: 5_000, requestTimeout: 60_000, throwOnRequestTimeout: true, httpAgent, httpsAgent };

const MAX_ATTEMPTS = 8;

/** The SDK pauses for up to a second before it repeats a throttled call. These pauses are shorter by the speed of the lab, as all others are. */
function labRetries(speed: number) {
  let base = 0;
  const backoff = {
    setDelayBase: (ms: number) => {
      base = ms / speed;
    },
    computeNextBackoffDelay: (attempt: number) => Math.random() * base * 2 ** attempt,
  };
  return { retryStrategy: new StandardRetryStrategy({ maxAttempts: MAX_ATTEMPTS, backoff }) };
}

/**
 * Settings of every SDK client. `maxAttempts` is fixed, because AWS_MAX_ATTEMPTS means something else to Packer; the SDK's default of 3
 * gives up on throttling after three seconds.
 */
export const clientSettings = (region: string, access: Access) => ({
  region,
  maxAttempts: MAX_ATTEMPTS,
  customUserAgent: userAgent(access),
  requestHandler,
  ...(clockSpeed() === 1 ? {} : labRetries(clockSpeed())),
});

/** Throws if a part is missing. Its secrets are masked from now on. */
export function identity(answer: Credentials | undefined, role: string, { mask }: Pick<Reporter, 'mask'>): Identity {
  if (
    answer?.AccessKeyId === undefined ||
    answer.SecretAccessKey === undefined ||
    answer.SessionToken === undefined ||
    answer.Expiration === undefined
  ) {
    throw unreadableAnswer(`assume ${role}`, 'it has no credentials');
  }
  mask(answer.SecretAccessKey);
  mask(answer.SessionToken);
  return {
    accessKeyId: answer.AccessKeyId,
    secretAccessKey: answer.SecretAccessKey,
    sessionToken: answer.SessionToken,
    expiration: answer.Expiration,
  };
}
