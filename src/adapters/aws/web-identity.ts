import * as core from '@actions/core';
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { AccessError, TimeoutError, UsageError } from '../../kit/errors.ts';
import { asExpected, codeOf } from './errors.ts';
import { claimsOf, FORK_HINT, isFork, subjectHint } from './oidc-token.ts';
import { type Access, clientSettings, type Identity, identity, sessionName } from './session.ts';

/** The job's OIDC token for a session of a role. https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws */

const AUDIENCE = 'sts.amazonaws.com';

export const hasToken = (): boolean => (process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] ?? '') !== '';

/** A fresh token each time: it lives for five minutes. */
export async function webIdentity(region: string, role: string, access: Access): Promise<Identity> {
  const token = await core.getIDToken(AUDIENCE).catch((cause: Error) => {
    throw new TimeoutError(`GitHub gave no OIDC token: ${cause.message.replace(/\s+/g, ' ')}`, { cause, next: 'Run the job again.' });
  });
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
  return identity(answer.Credentials);
}

const refused =
  (role: string, token: string, { roleDuration }: Access) =>
  (cause: unknown): never => {
    const code = codeOf(cause);
    const said = cause instanceof Error ? cause.message : String(cause);
    const { sub, aud } = claimsOf(token);
    if (code.startsWith('AccessDenied')) {
      const ids = { owner: process.env['GITHUB_REPOSITORY_OWNER_ID'] ?? '', repository: process.env['GITHUB_REPOSITORY_ID'] ?? '' };
      throw new AccessError(
        `Not allowed to assume ${role}: there is no such role, or its trust policy does not fit this job. The token says sub "${sub}" and aud "${aud}".`,
        { cause, next: `Let "token.actions.githubusercontent.com:sub" in the role's trust policy fit that. ${subjectHint(sub, ids)}` },
      );
    }
    if (code === 'ExpiredTokenException' || code === 'ExpiredToken') {
      throw new TimeoutError(`AWS found the OIDC token expired on arrival (${said}). It lives for five minutes.`, {
        cause,
        next: 'Run the job again; on a runner of your own, check its clock.',
      });
    }
    if (code === 'InvalidIdentityToken' || code === 'IDPRejectedClaim') {
      throw new AccessError(`AWS does not take the OIDC token for ${role}: ${said}`, {
        cause,
        next: `The account needs an IAM OIDC provider for https://token.actions.githubusercontent.com with audience ${AUDIENCE}.`,
      });
    }
    if (code === 'ValidationError' && /MaxSessionDuration/i.test(said)) throw tooLong(role, roleDuration, cause);
    return asExpected(`assume ${role} (sts:AssumeRoleWithWebIdentity)`)(cause);
  };

export const tooLong = (role: string, seconds: number, cause: unknown): UsageError =>
  new UsageError([`"role-duration" is ${seconds} s, and ${role} does not allow sessions of that length`], {
    cause,
    next: 'Take it out: the action renews its credentials itself. Or raise the maximum session duration of the role.',
  });

/** The job was to exchange a token and has none. */
export const tokenMissing = (role: string): UsageError =>
  isFork()
    ? new UsageError([`Cannot assume ${role}: there is no OIDC token. ${FORK_HINT}`], { unchanged: true })
    : new UsageError([`Cannot assume ${role}: the job has no OIDC token, because it lacks "permissions: id-token: write"`], {
        unchanged: true,
        next: 'Give the job "permissions: id-token: write" (and "contents: read", once permissions are set at all); where it calls a reusable workflow, the calling job too.',
      });
