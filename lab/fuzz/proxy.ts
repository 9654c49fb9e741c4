import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { random } from './random.ts';
import { type Raw, SPOILERS } from './spoil.ts';

/** A proxy in front of a lab that spoils answers, from a seed. What reaches the lab is unspoilt. */
export interface FuzzProxy {
  readonly url: string;
  /** What was spoilt, as `kind operation`. */
  readonly spoilt: readonly string[];
  close(): Promise<void>;
}

export interface FuzzOptions {
  readonly seed: number;
  /** Key of SPOILERS. */
  readonly kind: string;
  /** Probability that an answer is spoilt. Default 0.15. */
  readonly chance?: number;
}

export async function fuzzProxy(target: string, { seed, kind, chance = 0.15 }: FuzzOptions): Promise<FuzzProxy> {
  const roll = random(seed);
  const spoilt: string[] = [];
  const spoiler = SPOILERS[kind];
  if (spoiler === undefined) throw new Error(`There is no spoiler "${kind}": ${Object.keys(SPOILERS).join(', ')}.`);
  const server = createServer((incoming, response) => {
    forward(target, incoming).then(
      ({ raw, operation }) => {
        const isSpoilt = roll() < chance;
        if (isSpoilt) spoilt.push(`${kind} ${operation}`);
        answer(response, isSpoilt ? spoiler(raw, roll) : raw);
      },
      () => response.socket?.resetAndDestroy(),
    );
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spoilt,
    close: () => {
      server.closeAllConnections();
      return new Promise(done => server.close(() => done()));
    },
  };
}

function answer(response: ServerResponse, raw: Raw | 'reset'): void {
  if (raw === 'reset') return void response.socket?.resetAndDestroy();
  response.writeHead(raw.status, { 'content-type': raw.type, 'x-amzn-requestid': 'fuzz' }).end(raw.body);
}

async function forward(target: string, incoming: IncomingMessage): Promise<{ raw: Raw; operation: string }> {
  const body = await readAll(incoming);
  const operation = String(incoming.headers['x-amz-target'] ?? new URLSearchParams(body).get('Action')).replace(/^.*\./, '');
  const outgoing = request(new URL(incoming.url ?? '/', target), { method: incoming.method, headers: incoming.headers });
  const answered = new Promise<IncomingMessage>((done, failed) => outgoing.once('response', done).once('error', failed));
  outgoing.end(body);
  const response = await answered;
  const type = String(response.headers['content-type'] ?? '');
  return { raw: { status: response.statusCode ?? 500, type, body: await readAll(response) }, operation };
}

async function readAll(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
