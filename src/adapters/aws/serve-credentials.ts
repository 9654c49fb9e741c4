import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { devNull } from 'node:os';
import { explain } from '../../kit/failure.ts';
import type { Clock } from '../../ports/deps.ts';
import { clockSpeed } from '../clock.ts';
import type { Provider } from './credentials.ts';
import type { Access } from './session.ts';

/**
 * Credentials for a child process that runs longer than a session: it asks this process on loopback, with a token that only it has, the way that
 * processes in a container ask. Every SDK supports it: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 *
 * A child that outlives us, as Packer does after a cancel, keeps what it has: valid for at least 20 minutes (half of a session shorter than 40). The SDK
 * asks again 5 minutes before the end, and GitHub ends every process 5 minutes after a cancel.
 */
export async function servedCredentials(
  { held }: Provider,
  { clock, report }: Pick<Access, 'clock' | 'report'>,
): Promise<Readonly<Record<string, string>>> {
  const token = randomBytes(32).toString('hex');
  report.mask(token);
  const server = createServer((request, response) => void answer(request, response, { token, held, clock }));
  // Neither the server nor an open connection keeps the process alive.
  server.on('connection', socket => socket.unref());
  await new Promise<void>((listening, failed) => server.once('error', failed).listen(0, '127.0.0.1', listening));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return { ...NOTHING_ELSE, AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/`, AWS_CONTAINER_AUTHORIZATION_TOKEN: token };
}

/** What an SDK would read first. Empty removes it. */
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

interface Server {
  readonly token: string;
  readonly held: Provider['held'];
  readonly clock: Clock;
}

async function answer({ headers }: IncomingMessage, response: ServerResponse, { token, held, clock }: Server): Promise<void> {
  const send = (status: number, body: object) =>
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
  if (!same(headers.authorization ?? '', token)) {
    send(403, { code: 'AccessDenied', message: 'Wrong token.' });
    return;
  }
  try {
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await held();
    const remaining = (expiration.getTime() - clock.now()) / clockSpeed();
    send(200, {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: new Date(Date.now() + remaining).toISOString(),
    });
  } catch (failure) {
    send(500, { code: 'CredentialsNotRenewed', message: explain(failure) });
  }
}

function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
