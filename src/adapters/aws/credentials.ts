import * as core from '@actions/core';
import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, type Credentials, STSClient } from '@aws-sdk/client-sts';
import { AccessError } from '../../kit/errors.ts';
import type { Clock, Where } from '../../world.ts';
import { asExpected, codeOf } from './errors.ts';
import type { Access } from './places.ts';

interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}
export type Provider = () => Promise<Identity>;

// Renewed long before they end: a call that was signed just before and retried for a minute must still be valid.
const RENEW_BEFORE_MS = 10 * 60_000;

/**
 * How clients get their credentials. Without a role: the SDK's own chain. With `role-to-assume`: the runner's OIDC token,
 * or the credentials of the environment, exchanged for a session and renewed. A role of `where` is assumed on top of that.
 */
export function credentials({ region, role }: Where, access: Access): { credentials?: Provider } {
  const { roleToAssume } = access;
  const own = roleToAssume === undefined ? undefined : renewing(() => firstRole(region, roleToAssume, access), access.clock);
  if (role === undefined) return own === undefined ? {} : { credentials: own };
  return { credentials: renewing(() => chainedRole(region, role, access, own), access.clock) };
}

function renewing(fetch: () => Promise<Identity>, clock: Clock): Provider {
  let known: Promise<Identity> | undefined;
  let goodUntil = 0;
  return async () => {
    if (known === undefined || clock.now() >= goodUntil - RENEW_BEFORE_MS) {
      known = fetch();
      known.catch(() => {
        known = undefined;
      });
      goodUntil = (await known).expiration.getTime();
    }
    // The SDK keeps what it thinks is valid by the system's clock. Ours decides, so to the SDK it has always just expired.
    return { ...(await known), expiration: new Date() };
  };
}

const firstRole = (region: string, role: string, access: Access): Promise<Identity> =>
  process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] ? webIdentity(region, role, access) : chainedRole(region, role, access, undefined);

async function webIdentity(region: string, role: string, access: Access): Promise<Identity> {
  const token = await core.getIDToken('sts.amazonaws.com');
  // Unsigned: the token is the proof. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
  const sts = new STSClient({ region, maxAttempts: 8 });
  const answer = await sts
    .send(new AssumeRoleWithWebIdentityCommand({ RoleArn: role, RoleSessionName: sessionName(access), WebIdentityToken: token }))
    .catch(refused(role, access));
  return identity(answer.Credentials);
}

async function chainedRole(region: string, role: string, access: Access, from: Provider | undefined): Promise<Identity> {
  if (from === undefined && access.roleToAssume === role && !hasOwnCredentials()) {
    throw new AccessError(`Cannot assume ${role}: the job has no OIDC token, and no credentials of its own.`, {
      next: 'Give the job "permissions: id-token: write" (and "contents: read", once permissions are set at all).',
    });
  }
  const sts = new STSClient({ region, maxAttempts: 8, ...(from === undefined ? {} : { credentials: from }) });
  const answer = await sts
    .send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: sessionName(access) }))
    .catch(refused(role, access));
  return identity(answer.Credentials);
}

const OWN = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
];
const hasOwnCredentials = () => OWN.some(name => (process.env[name] ?? '') !== '');

const refused =
  (role: string, { run }: Access) =>
  (cause: unknown): never => {
    if (codeOf(cause).startsWith('AccessDenied')) {
      // Repositories made after July 2026 have a subject with immutable IDs.
      // https://docs.github.com/en/actions/reference/security/oidc
      throw new AccessError(`Not allowed to assume ${role}: its trust policy does not fit this job (${run.repository}, ${run.ref}).`, {
        cause,
        next: 'Compare the trust policy\'s "sub" with the token\'s: repo:OWNER/REPO:... for older repositories, repo:OWNER@ID/REPO@ID:... for newer ones; with an environment it ends in environment:NAME.',
      });
    }
    return asExpected(`assume ${role} (sts:AssumeRole)`)(cause);
  };

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: 2 to 64 of these characters
const sessionName = ({ run }: Access) => `ami-action-${run.id || 'local'}-${run.attempt}`.replace(/[^\w+=,.@-]/g, '-').slice(0, 64);

function identity(answer: Credentials | undefined): Identity {
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
