import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PAGE_KINDS, type Pages, pages } from './pages.ts';
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
  /** One of KINDS. */
  readonly kind: string;
  /** Probability that an answer is spoilt. Default 0.15. */
  readonly chance?: number;
}

/** Every way to spoil an answer. */
export const KINDS: readonly string[] = [...Object.keys(SPOILERS), ...PAGE_KINDS];

export async function fuzzProxy(target: string, { seed, kind, chance = 0.15 }: FuzzOptions): Promise<FuzzProxy> {
  const roll = random(seed);
  const spoilt: string[] = [];
  const spoil = spoilerOf(kind, roll);
  const server = createServer((incoming, response) => {
    forward(target, incoming, spoil.request).then(
      exchange => {
        const changed = exchange.token !== undefined || roll() < chance ? spoil.answer(exchange) : undefined;
        if (changed !== undefined) spoilt.push(`${kind} ${exchange.operation}`);
        answer(response, changed ?? exchange.raw);
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

interface Exchange {
  readonly raw: Raw;
  readonly operation: string;
  /** The request as the lab got it. */
  readonly body: string;
  /** A token of ours that the client sent. */
  readonly token: string | undefined;
}

interface Spoil {
  readonly request: Pages['request'];
  /** Undefined: the answer stays. */
  readonly answer: (exchange: Exchange) => Raw | 'reset' | undefined;
}

function spoilerOf(kind: string, roll: () => number): Spoil {
  const pageKind = PAGE_KINDS.find(one => one === kind);
  if (pageKind !== undefined) {
    const paged = pages(pageKind);
    return { request: paged.request, answer: ({ raw, operation, body, token }) => paged.answer(raw, operation, body, token) };
  }
  const spoiler = SPOILERS[kind];
  if (spoiler === undefined) throw new Error(`There is no spoiler "${kind}": ${KINDS.join(', ')}.`);
  return { request: body => ({ body, token: undefined }), answer: ({ raw }) => spoiler(raw, roll) };
}

function answer(response: ServerResponse, raw: Raw | 'reset'): void {
  if (raw === 'reset') return void response.socket?.resetAndDestroy();
  response.writeHead(raw.status, { 'content-type': raw.type, 'x-amzn-requestid': 'fuzz' }).end(raw.body);
}

async function forward(target: string, incoming: IncomingMessage, translate: Pages['request']): Promise<Exchange> {
  const { body, token } = translate(await readAll(incoming));
  const operation = String(incoming.headers['x-amz-target'] ?? new URLSearchParams(body).get('Action')).replace(/^.*\./, '');
  const outgoing = request(new URL(incoming.url ?? '/', target), {
    method: incoming.method,
    headers: { ...incoming.headers, 'content-length': Buffer.byteLength(body) },
  });
  const answered = new Promise<IncomingMessage>((done, failed) => outgoing.once('response', done).once('error', failed));
  outgoing.end(body);
  const response = await answered;
  const type = String(response.headers['content-type'] ?? '');
  return { raw: { status: response.statusCode ?? 500, type, body: await readAll(response) }, operation, body, token };
}

async function readAll(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
