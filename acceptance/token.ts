import * as core from '@actions/core';
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';

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

/** Four hours: longer than a run, and what the role of acceptance/role.yml allows. */
const SESSION_SECONDS = 4 * 3600;

/** Puts a session of the role into the environment, for this process and its children. Without a token the environment stays as it is. */
export async function assumeOwnRole(RoleArn: string, region: string): Promise<void> {
  if (!hasToken()) return;
  const WebIdentityToken = await core.getIDToken(AUDIENCE);
  const sts = new STSClient({ region, credentials: { accessKeyId: '', secretAccessKey: '' } });
  const { Credentials } = await sts.send(
    new AssumeRoleWithWebIdentityCommand({
      ...{ RoleArn, WebIdentityToken, RoleSessionName: 'acceptance', DurationSeconds: SESSION_SECONDS },
    }),
  );
  process.env['AWS_ACCESS_KEY_ID'] = Credentials?.AccessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = Credentials?.SecretAccessKey;
  process.env['AWS_SESSION_TOKEN'] = Credentials?.SessionToken;
}
