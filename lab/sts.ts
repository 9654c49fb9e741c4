import type {
  AssumeRoleCommandInput,
  AssumeRoleCommandOutput,
  AssumeRoleWithWebIdentityCommandInput,
  AssumeRoleWithWebIdentityCommandOutput,
  GetCallerIdentityCommandInput,
  GetCallerIdentityCommandOutput,
} from '@aws-sdk/client-sts';
import { deployedRole } from './iam/roles.ts';
import { checkAssumeRole, checkOwnRight, checkWebIdentity } from './iam/trust.ts';
import { AwsError, type Operation, type Operations } from './operation.ts';
import { openSession, type Session } from './sts-sessions.ts';
import { type Claims, denied, readToken, type Trust, trustOf, trusts } from './sts-trust.ts';

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
const getCallerIdentity: Operation<GetCallerIdentityCommandInput, GetCallerIdentityCommandOutput> = (_, { place, arn, userId }) => ({
  Account: place.account,
  Arn: arn,
  UserId: userId,
});

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const assumeRole: Operation<AssumeRoleCommandInput, AssumeRoleCommandOutput> = (input, call) => {
  const role = roleOf(input.RoleArn);
  const trust = trustOf(call.place.core, role.arn);
  const trusted = trust.principals === undefined || trust.principals.some(who => who === call.place.account || who === call.arn);
  if (trust.deny === true || !trusted || (trust.externalId ?? input.ExternalId) !== input.ExternalId) {
    throw denied(`User: ${call.arn} is not authorized to perform: sts:AssumeRole on resource: ${role.arn}`);
  }
  const deployed = deployedRole(call.place.core, role.arn);
  if (deployed !== undefined) checkAssumeRole(call, deployed, input.ExternalId, input.RoleSessionName);
  else checkOwnRight(call, role.arn);
  const seconds = input.DurationSeconds ?? 3600;
  checkDuration(seconds, deployed ?? trust);
  if (call.accessKeyId.startsWith('ASIA') && seconds > 3600) {
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
    throw invalid('The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining');
  }
  return assumed(openSession(call.place.core, { ...role, session: sessionName(input.RoleSessionName) }, seconds));
};

/** The only unsigned operation: the token authenticates the caller. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
const assumeRoleWithWebIdentity: Operation<AssumeRoleWithWebIdentityCommandInput, AssumeRoleWithWebIdentityCommandOutput> = (
  input,
  { place: { core } },
) => {
  const role = roleOf(input.RoleArn);
  const claims = readToken(input.WebIdentityToken ?? '');
  const trust = trustOf(core, role.arn);
  if (!trusts(trust, claims)) throw denied('Not authorized to perform sts:AssumeRoleWithWebIdentity');
  const deployed = deployedRole(core, role.arn);
  if (deployed !== undefined) checkWebIdentity(core, deployed, claims);
  const seconds = input.DurationSeconds ?? 3600;
  checkDuration(seconds, deployed ?? trust);
  const session = openSession(core, { ...role, session: sessionName(input.RoleSessionName) }, seconds);
  return { ...assumed(session), ...provenBy(claims, role.account) };
};

const provenBy = (claims: Claims, account: string) => ({
  SubjectFromWebIdentityToken: claims.sub,
  Audience: claims.aud,
  Provider: `arn:aws:iam::${account}:oidc-provider/${claims.iss.replace(/^https:\/\//, '')}`,
});

const assumed = (session: Session) => ({
  Credentials: {
    AccessKeyId: session.accessKeyId,
    SecretAccessKey: session.secretAccessKey,
    SessionToken: session.sessionToken,
    Expiration: session.expiresAt,
  },
  AssumedRoleUser: { Arn: session.arn, AssumedRoleId: session.userId },
  PackedPolicySize: 6,
});

function roleOf(arn = ''): { arn: string; account: string; name: string } {
  const [, account, path] = /^arn:aws:iam::(\d{12}):role\/(.+)$/.exec(arn) ?? [];
  if (account === undefined || path === undefined) throw invalid(`${arn} is invalid`);
  return { arn, account, name: path.slice(path.lastIndexOf('/') + 1) };
}

function sessionName(name = ''): string {
  if (/^[\w+=,.@-]{2,64}$/.test(name)) return name;
  throw invalid(
    `Value '${name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*`,
  );
}

function checkDuration(seconds: number, { maxSessionSeconds = 3600 }: Pick<Trust, 'maxSessionSeconds'>): void {
  if (seconds < 900)
    throw invalid(
      `Value '${seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900`,
    );
  if (seconds > maxSessionSeconds) throw invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
}

const invalid = (message: string) => new AwsError('ValidationError', message);

export const stsOperations: Operations = {
  GetCallerIdentity: getCallerIdentity,
  AssumeRole: assumeRole,
  AssumeRoleWithWebIdentity: assumeRoleWithWebIdentity,
};

/** The account of an unsigned call. */
export const accountOfRole = (arn: string | undefined): string => roleOf(arn).account;
