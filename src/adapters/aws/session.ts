import * as core from '@actions/core';
import type { Credentials } from '@aws-sdk/client-sts';
import type { Clock, Reporter, Run } from '../../ports/deps.ts';
import { requestHandler } from './network.ts';

/** How we come to AWS: as whom, under which name, with what in hand. */

export interface Access {
  readonly mode: string;
  readonly roleToAssume: string | undefined;
  /** Of a session, in seconds. */
  readonly roleDuration: number;
  /** Assume it from the credentials of the environment, although there is an OIDC token. */
  readonly roleChaining: boolean;
  readonly allowInstanceRole: boolean;
  readonly clock: Clock;
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

/** In CloudTrail one sees which mode made a call. */
const userAgent = ({ mode }: Access): [string, string][] => [
  ['ami-action', '1'],
  ['mode', mode],
];

/**
 * What every SDK client is made with. Attempts are said here, so that AWS_MAX_ATTEMPTS in the environment, which Packer
 * reads in its own way, does not change us; the SDK's default of 3 gives up on throttling after three seconds.
 */
export const clientSettings = (region: string, access: Access) => ({
  region,
  maxAttempts: 8,
  customUserAgent: userAgent(access),
  requestHandler,
});

export function identity(answer: Credentials | undefined): Identity {
  if (answer?.AccessKeyId === undefined || answer.SecretAccessKey === undefined || answer.SessionToken === undefined) {
    throw new Error('STS answered without credentials.');
  }
  core.setSecret(answer.SecretAccessKey);
  core.setSecret(answer.SessionToken);
  return {
    accessKeyId: answer.AccessKeyId,
    secretAccessKey: answer.SecretAccessKey,
    sessionToken: answer.SessionToken,
    expiration: answer.Expiration ?? new Date(0),
  };
}
