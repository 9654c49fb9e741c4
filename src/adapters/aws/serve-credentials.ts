import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { devNull } from 'node:os';
import * as core from '@actions/core';
import { explain } from '../../kit/failure.ts';
import type { Clock } from '../../ports/deps.ts';
import { clockSpeed } from '../clock.ts';
import type { Provider } from './credentials.ts';

/**
 * Credentials for a child process that runs longer than a session: it asks us again, on loopback, with a token that only it knows, as processes in a
 * container ask. Every SDK knows the way: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 *
 * A child that outlives us, as Packer does after a cancel, goes on with what it holds. That lasts: what we hand out is good for 20 minutes at least (for
 * half of a session that is shorter than 40), and the SDK asks anew 5 minutes before the end. GitHub ends everything 5 minutes after a cancel.
 */
export async function servedCredentials({ held }: Provider, clock: Clock): Promise<Readonly<Record<string, string>>> {
  const token = randomBytes(32).toString('hex');
  core.setSecret(token);
  const server = createServer((request, response) => void answer(request, response, { token, held, clock }));
  // Neither it nor a child that still holds a connection keeps us from ending.
  server.on('connection', socket => socket.unref());
  await new Promise<void>((listening, failed) => server.once('error', failed).listen(0, '127.0.0.1', listening));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return { ...NOTHING_ELSE, AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/`, AWS_CONTAINER_AUTHORIZATION_TOKEN: token };
}

/** Everything that an SDK would look at first: empty means not there. */
const NOTHING_ELSE = {
  AWS_ACCESS_KEY_ID: '',
  AWS_SECRET_ACCESS_KEY: '',
  AWS_SESSION_TOKEN: '',
  AWS_PROFILE: '',
  AWS_DEFAULT_PROFILE: '',
  AWS_WEB_IDENTITY_TOKEN_FILE: '',
  AWS_ROLE_ARN: '',
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '',
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '',
  AWS_SHARED_CREDENTIALS_FILE: devNull,
  AWS_CONFIG_FILE: devNull,
};

interface Desk {
  readonly token: string;
  readonly held: Provider['held'];
  readonly clock: Clock;
}

async function answer({ headers }: IncomingMessage, response: ServerResponse, { token, held, clock }: Desk): Promise<void> {
  const say = (status: number, body: object) =>
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
  if (!same(headers.authorization ?? '', token)) {
    say(403, { code: 'AccessDenied', message: 'Not for you.' });
    return;
  }
  try {
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await held();
    const left = (expiration.getTime() - clock.now()) / clockSpeed();
    say(200, {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: new Date(Date.now() + left).toISOString(),
    });
  } catch (failure) {
    say(500, { code: 'CredentialsNotRenewed', message: explain(failure) });
  }
}

function same(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
