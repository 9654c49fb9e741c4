import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { AccessError, UnknownError } from '../../kit/errors.ts';
import { explain } from '../../kit/failure.ts';
import { formatMoment } from '../../kit/format.ts';
import type { Where } from '../../ports/deps.ts';
import { asExpected, codeOf } from './errors.ts';
import { type Access, clientSettings, type Identity, identity, sessionName } from './session.ts';
import { hasToken, tokenMissing, tooLong, webIdentity } from './web-identity.ts';

export interface Provider {
  (): Promise<Identity>;
  /** With their real expiration, for processes that renew by their own clock. */
  readonly held: () => Promise<Identity>;
}

const LONGEST_MARGIN_MS = 20 * 60_000;
const TRY_AGAIN_MS = 60_000;
const LAST_CALLS_MS = 60_000;
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
const CHAINED_SECONDS = 3600;

/**
 * How clients get their credentials. Without a role: the SDK's own chain. With `role-to-assume`: a session for the job's OIDC token, or
 * for the credentials of the environment, renewed in time. The role of `where` is assumed with that session.
 */
export function credentials({ region, role }: Where, access: Access): { credentials?: Provider } {
  // The role of a self-hosted runner is for other purposes unless allow-instance-role is set.
  if (!access.allowInstanceRole) process.env['AWS_EC2_METADATA_DISABLED'] ||= 'true';
  const own = ownProvider(region, access);
  if (role === undefined) return own === undefined ? {} : { credentials: own };
  return { credentials: renewing(role, () => chainedRole(region, role, access, own), access) };
}

const owners = new WeakMap<Access, Provider>();

/** One session for all regions and accounts. */
function ownProvider(region: string, access: Access): Provider | undefined {
  const { roleToAssume } = access;
  if (roleToAssume === undefined) return undefined;
  const known = owners.get(access) ?? renewing(roleToAssume, () => firstRole(region, roleToAssume, access), access);
  owners.set(access, known);
  return known;
}

/**
 * Renews long before the end: Packer, which also gets them, may outlive this process. When a renewal fails, the old credentials are used
 * until they end; after that the outcome is unknown.
 */
function renewing(role: string, fetch: () => Promise<Identity>, { clock, report }: Pick<Access, 'clock' | 'report'>): Provider {
  let held: (Identity & { readonly renewAt: number }) | undefined;
  let underWay: Promise<Identity> | undefined;
  const renew = async (): Promise<Identity> => {
    underWay ??= fetch().finally(() => {
      underWay = undefined;
    });
    const fresh = await underWay;
    const lasts = fresh.expiration.getTime() - clock.now();
    held = { ...fresh, renewAt: fresh.expiration.getTime() - Math.min(LONGEST_MARGIN_MS, lasts / 2) };
    return held;
  };
  const current = async (): Promise<Identity> => {
    if (held !== undefined && clock.now() < held.renewAt) return held;
    try {
      return await renew();
    } catch (failure) {
      if (held === undefined) throw failure;
      // The call has to reach AWS before they expire.
      if (clock.now() >= held.expiration.getTime() - LAST_CALLS_MS) throw expired(role, held.expiration, failure);
      held = { ...held, renewAt: clock.now() + TRY_AGAIN_MS };
      report.warn(
        `The credentials of ${role} expire at ${formatMoment(held.expiration)} and could not be renewed yet: ${explain(failure)}`,
      );
      return held;
    }
  };
  // The SDK caches by the system's clock. Our clock decides, so the SDK gets credentials that have just expired.
  return Object.assign(async () => ({ ...(await current()), expiration: new Date() }), { held: current });
}

const expired = (role: string, at: Date, cause: unknown): UnknownError =>
  new UnknownError(
    `The credentials of ${role} expired at ${formatMoment(at)} and could not be renewed. What was started continues without this run. ${explain(cause).split('\n')[0]}`,
    { cause, next: 'Run the job again: it continues what it started.' },
  );

const firstRole = (region: string, role: string, access: Access): Promise<Identity> => {
  if (hasToken() && !access.roleChaining) return webIdentity(region, role, access);
  if (!hasOwnCredentials() && !access.allowInstanceRole) throw tokenMissing(role);
  return chainedRole(region, role, access, undefined);
};

async function chainedRole(region: string, role: string, access: Access, from: Provider | undefined): Promise<Identity> {
  const sts = new STSClient({ ...clientSettings(region, access), ...(from === undefined ? {} : { credentials: from }) });
  const DurationSeconds = Math.min(access.roleDuration, CHAINED_SECONDS);
  const answer = await sts
    .send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: sessionName(access), DurationSeconds }))
    .catch(refused(role, DurationSeconds));
  return identity(answer.Credentials, role, access.report);
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
  (role: string, seconds: number) =>
  (cause: unknown): never => {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (codeOf(cause).startsWith('AccessDenied')) {
      throw new AccessError(`Not allowed to assume ${role}: ${message}`, {
        cause,
        next: trustRemedy(role, message),
      });
    }
    if (/MaxSessionDuration/i.test(message)) throw tooLong(role, seconds, cause);
    return asExpected(`assume ${role} (sts:AssumeRole)`)(cause);
  };

/** Both accounts have to allow it, so both are named. */
function trustRemedy(role: string, message: string): string {
  const [, caller = ''] = /User: (arn:\S+)/.exec(message) ?? [];
  if (caller === '') return `Allow the caller in the trust policy of ${role}, and grant the caller sts:AssumeRole on it.`;
  const principal = caller.replace(/:sts::(\d+):assumed-role\/([^/]+)\/.*$/, ':iam::$1:role/$2');
  const accountOf = (arn: string) => arn.split(':')[4];
  return `In account ${accountOf(role)}, allow ${principal} in the trust policy of ${role}. In account ${accountOf(principal)}, grant ${principal} sts:AssumeRole on that role.`;
}
