import * as core from '@actions/core';
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Clock } from '../src/ports/deps.ts';

/** What a trust policy asks of GitHub's token, as parameters of the shipped templates. */
export interface Subject extends Record<string, string> {
  readonly Subject: string;
  readonly RepositoryId: string;
  readonly Branch: string;
}

/** Outside GitHub there is no token. No token has these. */
const NO_TOKEN: Subject = { Subject: 'repo:acceptance.suite/none', RepositoryId: '0', Branch: 'none' };

const hasToken = (): boolean => process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] !== undefined;

const AUDIENCE = 'sts.amazonaws.com';

/** Read from the token itself, so that it fits whatever form the subject of this repository has. */
export async function subjectOfToken(): Promise<Subject> {
  if (!hasToken()) return NO_TOKEN;
  const [, payload = ''] = (await core.getIDToken(AUDIENCE)).split('.');
  const { sub, repository_id, ref } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, string>;
  return {
    Subject: (sub ?? '').replace(/:environment:.*$/, ''),
    RepositoryId: repository_id ?? '',
    Branch: (ref ?? '').replace(/^refs\/heads\//, ''),
  };
}

export interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

// What the role of acceptance/role.yml allows. A mode that starts with a session has three hours of it.
const SESSION_SECONDS = 4 * 3600;
const RENEWED_AFTER_MS = 3600 * 1000;

/** Sessions of the role for the token of the job, renewed every hour. Each call returns the current one. */
export function sessions(RoleArn: string, region: string, clock: Pick<Clock, 'now'>): () => Promise<Session> {
  let held: (Omit<Session, 'expiration'> & { readonly since: number }) | undefined;
  const sts = new STSClient({ region, credentials: { accessKeyId: '', secretAccessKey: '' } });
  return async () => {
    if (held === undefined || clock.now() - held.since > RENEWED_AFTER_MS) {
      const WebIdentityToken = await core.getIDToken(AUDIENCE);
      const { Credentials } = await sts.send(
        new AssumeRoleWithWebIdentityCommand({
          ...{ RoleArn, WebIdentityToken, RoleSessionName: 'acceptance', DurationSeconds: SESSION_SECONDS },
        }),
      );
      const { AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '', SessionToken: sessionToken = '' } = Credentials ?? {};
      core.setSecret(secretAccessKey);
      core.setSecret(sessionToken);
      held = { accessKeyId, secretAccessKey, sessionToken, since: clock.now() };
    }
    // The SDK would keep it until it expires, so it gets one that has just expired.
    return { ...held, expiration: new Date() };
  };
}
