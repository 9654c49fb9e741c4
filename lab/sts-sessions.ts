import { randomBytes } from 'node:crypto';
import type { Protocol } from './operation.ts';
import type { Core } from './place.ts';
import { shared } from './place.ts';
import { refusal } from './wire/refusals.ts';

/** The caller of a request. */
export interface Caller {
  readonly account: string;
  readonly accessKeyId: string;
  readonly arn: string;
  readonly userId: string;
  readonly roleArn?: string;
}

export interface Session extends Caller {
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresAt: Date;
}

const sessions = shared(() => new Map<string, Session>());

const KEY = /^AKIALAB0(\d{12})$/;

/** The access key of an account. It contains the account ID, so no registration is needed. */
export const accessKeyOf = (account: string): string => `AKIALAB0${account}`;

/** Signatures are not checked. Unknown and expired keys are refused with the service's own error. */
export function callerOf(core: Core, protocol: Protocol, accessKeyId: string, token: string | undefined): Caller {
  const account = KEY.exec(accessKeyId)?.[1];
  if (account !== undefined) return { account, accessKeyId, arn: `arn:aws:iam::${account}:user/lab`, userId: 'AIDALAB0000000000LAB0' };
  const session = sessions(core).get(accessKeyId);
  if (session === undefined || session.sessionToken !== token) throw refusal('unknownKey', protocol);
  if (session.expiresAt.getTime() <= core.clock.now()) throw refusal('expired', protocol);
  return session;
}

export function openSession(
  core: Core,
  role: { arn: string; account: string; name: string; session: string },
  durationSeconds: number,
): Session {
  const roleId = `AROALAB${role.account}0`;
  const session: Session = {
    account: role.account,
    accessKeyId: `ASIA${randomKey(16)}`,
    secretAccessKey: randomBytes(30).toString('base64'),
    sessionToken: randomBytes(96).toString('base64'),
    roleArn: role.arn,
    arn: `arn:aws:sts::${role.account}:assumed-role/${role.name}/${role.session}`,
    userId: `${roleId}:${role.session}`,
    expiresAt: new Date(core.clock.now() + durationSeconds * 1000),
  };
  sessions(core).set(session.accessKeyId, session);
  return session;
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

const randomKey = (length: number): string => [...randomBytes(length)].map(byte => LETTERS[byte % LETTERS.length]).join('');
