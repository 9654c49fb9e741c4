import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { AccessError, TimeoutError, UsageError } from '../../kit/errors.ts';
import { asExpected, codeOf } from './errors.ts';
import { claimsOf, FORK_HINT, isFork, subjectHint } from './oidc-token.ts';
import { type Access, clientSettings, type Identity, identity, sessionName } from './session.ts';

/** Exchanges the job's OIDC token for a session of a role. https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws */

const AUDIENCE = 'sts.amazonaws.com';

export const hasToken = (): boolean => (process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] ?? '') !== '';

/** A new token each time: it is valid for five minutes. */
async function newToken(): Promise<string> {
  const { getIDToken } = await import('@actions/core');
  return getIDToken(AUDIENCE).catch((cause: Error) => {
    throw new TimeoutError(`GitHub gave no OIDC token: ${cause.message.replace(/\s+/g, ' ')}`, { cause, next: 'Run the job again.' });
  });
}

/** Of the job's token; undefined where it has none. */
export const jobClaims = async () => (hasToken() ? claimsOf(await newToken()) : undefined);

export async function webIdentity(region: string, role: string, access: Access): Promise<Identity> {
  const token = await newToken();
  // Unsigned: the token is the proof. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
  const sts = new STSClient({ ...clientSettings(region, access), credentials: { accessKeyId: '', secretAccessKey: '' } });
  const answer = await sts
    .send(
      new AssumeRoleWithWebIdentityCommand({
        RoleArn: role,
        RoleSessionName: sessionName(access),
        WebIdentityToken: token,
        DurationSeconds: access.roleDuration,
      }),
    )
    .catch(refused(role, token, access));
  return identity(answer.Credentials, role, access.report);
}

const refused =
  (role: string, token: string, { roleDuration }: Access) =>
  (cause: unknown): never => {
    const code = codeOf(cause);
    const message = cause instanceof Error ? cause.message : String(cause);
    const { sub, aud } = claimsOf(token);
    if (code.startsWith('AccessDenied')) {
      const ids = { owner: process.env['GITHUB_REPOSITORY_OWNER_ID'] ?? '', repository: process.env['GITHUB_REPOSITORY_ID'] ?? '' };
      throw new AccessError(
        `Not allowed to assume ${role}: the role does not exist, or its trust policy does not match this job. The token has sub "${sub}" and aud "${aud}".`,
        {
          cause,
          next: `Set "token.actions.githubusercontent.com:sub" in the trust policy of the role to that subject. ${subjectHint(sub, ids)}`,
        },
      );
    }
    if (code === 'ExpiredTokenException' || code === 'ExpiredToken') {
      throw new TimeoutError(`The OIDC token had expired when AWS received it (${message}). It is valid for five minutes.`, {
        cause,
        next: 'Run the job again. On a self-hosted runner, check its clock.',
      });
    }
    if (code === 'InvalidIdentityToken' || code === 'IDPRejectedClaim') {
      throw new AccessError(`AWS refused the OIDC token for ${role}: ${message}`, {
        cause,
        next: `Create an IAM OIDC provider for https://token.actions.githubusercontent.com with audience ${AUDIENCE} in the account: examples/delivery-role.yml does.`,
      });
    }
    if (code === 'ValidationError' && /MaxSessionDuration/i.test(message)) throw tooLong(role, roleDuration, cause);
    return asExpected(`assume ${role} (sts:AssumeRoleWithWebIdentity)`)(cause);
  };

export const tooLong = (role: string, seconds: number, cause: unknown): UsageError =>
  new UsageError([`"role-duration" is ${seconds} s, longer than the sessions that ${role} allows`], {
    cause,
    next: 'Remove it: the action renews its credentials itself. Or increase the maximum session duration of the role.',
  });

/** The job has no token to exchange. */
export const tokenMissing = (role: string): UsageError =>
  isFork()
    ? new UsageError([`Cannot assume ${role}: there is no OIDC token. ${FORK_HINT}`], { unchanged: true })
    : new UsageError([`Cannot assume ${role}: the job has no OIDC token, because it lacks "permissions: id-token: write"`], {
        unchanged: true,
        next: 'Add "permissions: id-token: write" to the job, and "contents: read" with it. If the job is in a reusable workflow, add both to the calling job as well.',
      });
