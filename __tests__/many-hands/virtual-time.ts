import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, ServerResponse } from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { random } from '../../lab/fuzz/random.ts';

/**
 * Time that passes only while everything waits: product, SDK and lab in one process see the same `Date` and the same timers, so that an hour of polls
 * takes as long as its calls. Randomness has a seed, so that a run can be repeated. Installed once, in a process of its own.
 */

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

const RealDate = Date;
const turn = setImmediate;
const realTimeout = setTimeout;
let now = RealDate.UTC(2030, 0, 1);
let order = 0;
let activity = 0;
/** Requests that a client has begun and a server has not received or has already answered. */
const onTheWay = { clients: 0, servers: 0 };
const timers = new Map<number, Timer>();
const queue: Timer[] = [];
const watchers = new Set<() => void>();

/** Called whenever everything waits, before time moves on. The returned function unsubscribes. */
export function onQuiet(watch: () => void): () => void {
  watchers.add(watch);
  return () => void watchers.delete(watch);
}

export function install(): void {
  const shown = new Proxy(RealDate, {
    construct: (date, given: unknown[]) => Reflect.construct(date, given.length === 0 ? [now] : given) as Date,
    get: (date, name) => (name === 'now' ? () => now : Reflect.get(date, name)),
  });
  const later = (task: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) => handle(add(() => task(...given), ms));
  const drop = (timer: unknown) => void timers.delete(Number(timer));
  Object.assign(globalThis, { Date: shown, setTimeout: later, clearTimeout: drop });
  subscribe('http.client.request.start', message => count('clients', (message as { request: ClientRequest }).request));
  subscribe('http.server.request.start', message => {
    const { response } = message as { response: ServerResponse };
    // Node would send the real time, which the SDK and the product compare with theirs.
    response.setHeader('date', new Date().toUTCString());
    count('servers', response);
  });
}

function count(side: keyof typeof onTheWay, exchange: ClientRequest | ServerResponse): void {
  activity += 1;
  onTheWay[side] += 1;
  exchange.once('close', () => {
    activity += 1;
    onTheWay[side] -= 1;
  });
}

function add(task: () => void, ms: number): number {
  activity += 1;
  order += 1;
  const timer: Timer = { at: now + Math.max(1, Number(ms) || 0), order, task };
  timers.set(order, timer);
  push(timer);
  return order;
}

const handle = (id: number) => {
  const timer = { ref: () => timer, unref: () => timer, hasRef: () => true, refresh: () => timer, [Symbol.toPrimitive]: () => id };
  return timer;
};

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A binary heap. */
function push(timer: Timer): void {
  let at = queue.push(timer) - 1;
  for (let up = (at - 1) >> 1; at > 0 && isBefore(timer, queue[up] as Timer); up = (at - 1) >> 1) {
    queue[at] = queue[up] as Timer;
    at = up;
  }
  queue[at] = timer;
}

function pop(): Timer | undefined {
  const [first] = queue;
  const last = queue.pop();
  if (first === undefined || last === undefined || queue.length === 0) return first;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const right = left + 1;
    const child = right < queue.length && isBefore(queue[right] as Timer, queue[left] as Timer) ? right : left;
    if (child >= queue.length || !isBefore(queue[child] as Timer, last)) break;
    queue[at] = queue[child] as Timer;
    at = child;
  }
  queue[at] = last;
  return first;
}

// A connection on loopback needs some turns of the event loop for every step of an exchange.
const QUIET_TURNS = 3;
/** A module that is loaded late comes from the disk, which no timer shows: half a minute on a busy machine. */
const STUCK_LOOKS = 600;

/** Lets time pass until the work has ended. */
export async function during<T>(work: () => Promise<T>): Promise<T> {
  let ended = false;
  const working = work().finally(() => {
    ended = true;
  });
  working.catch(() => undefined);
  let quiet = 0;
  let stuck = 0;
  let seen = activity;
  while (!ended) {
    await new Promise<void>(done => void turn(done));
    const isQuiet = seen === activity && onTheWay.clients === onTheWay.servers;
    quiet = isQuiet ? quiet + 1 : 0;
    seen = activity;
    if (quiet < QUIET_TURNS) continue;
    for (const watch of watchers) watch();
    quiet = 0;
    if (tick()) stuck = 0;
    else if (stuck++ < STUCK_LOOKS) await new Promise<void>(done => void realTimeout(done, 50));
    else throw new Error('everything waits, and nothing will happen any more');
  }
  return working;
}

/** Runs the next timer. */
function tick(): boolean {
  for (let next = pop(); next !== undefined; next = pop()) {
    if (!timers.delete(next.order)) continue;
    now = Math.max(now, next.at);
    next.task();
    return true;
  }
  return false;
}

/** For a new run: the same time, the same random numbers, no timer of an earlier run. */
export function restart(seed: number): void {
  now = RealDate.UTC(2030, 0, 1);
  timers.clear();
  queue.length = 0;
  const roll = random(seed);
  Math.random = roll;
  const bytes = (size: number) => Buffer.from(Array.from({ length: size }, () => Math.floor(roll() * 256)));
  const hex = (size: number) => bytes(size).toString('hex');
  const randomUUID = () => `${hex(4)}-${hex(2)}-4${hex(2).slice(1)}-8${hex(2).slice(1)}-${hex(6)}`;
  Object.assign(createRequire(import.meta.url)('node:crypto') as object, { randomBytes: bytes, randomUUID });
  syncBuiltinESMExports();
}
