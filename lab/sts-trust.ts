import { AwsError } from './operation.ts';
import { type Core, shared } from './place.ts';

/** Who may assume a role. A role without an entry trusts every caller, for at most an hour. */
export interface Trust {
  /** Patterns for the token's `sub`, such as `repo:acme/web:*`. Default: any. */
  readonly subjects?: readonly string[];
  /** Default: any. */
  readonly audience?: string;
  /** Accounts or ARNs for plain AssumeRole. Default: any. */
  readonly principals?: readonly string[];
  readonly externalId?: string;
  readonly deny?: boolean;
  /** MaxSessionDuration of the role; default 3600. */
  readonly maxSessionSeconds?: number;
}

export interface Claims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string;
  /** All claims that are texts or numbers. */
  readonly all: Readonly<Record<string, string>>;
}

const roles = shared(() => new Map<string, Trust>());

export const setTrust = (core: Core, roleArn: string, trust: Trust): void => void roles(core).set(roleArn, trust);

export const trustOf = (core: Core, roleArn: string): Trust => roles(core).get(roleArn) ?? {};

/** Claims of a token. Its signature is not checked: the lab has no keys of any provider. */
export function readToken(token: string): Claims {
  const claims = parse(token.split('.')[1] ?? '');
  if (typeof claims.iss !== 'string' || typeof claims.sub !== 'string')
    throw refused('InvalidIdentityToken', 'The ID Token provided is not a valid JWT.');
  // Tokens are issued outside the lab, so the real clock decides.
  if (typeof claims.exp === 'number' && claims.exp * 1000 < Date.now()) throw refused('ExpiredTokenException', 'Token expired');
  const all = Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, String(value)]));
  return { iss: claims.iss, sub: claims.sub, aud: String(Array.isArray(claims.aud) ? claims.aud[0] : (claims.aud ?? '')), all };
}

function parse(part: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return {};
  }
}

export function trusts(trust: Trust, claims: Claims): boolean {
  if (trust.deny === true || (trust.audience ?? claims.aud) !== claims.aud) return false;
  return trust.subjects === undefined || trust.subjects.some(pattern => like(pattern, claims.sub));
}

// StringLike, as trust policies for GitHub use it: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
const like = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  ).test(text);

const refused = (code: string, message: string) => new AwsError(code, message);

export const denied = (message: string) => new AwsError('AccessDenied', message, 403);
