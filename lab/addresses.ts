import { createServer, type Server } from 'node:net';
import { AwsError } from './operation.ts';
import { type Core, shared } from './place.ts';

/** Addresses of instances. Linux answers on all of 127.0.0.0/8, and the lab uses 127.10.0.0/16. Several labs may run at once on one
 *  host (test workers), so each lab takes a whole 127.10.x and reserves it by listening on its last address. */
interface Book {
  readonly free: string[];
  readonly locks: Server[];
  /** Requests are queued, so that two launches never claim a range at the same time. */
  line: Promise<unknown>;
}

const books = shared((): Book => ({ free: [], locks: [], line: Promise.resolve() }));

const LOCK_PORT = 2321;

export function takeAddress(core: Core): Promise<string> {
  const book = books(core);
  const taken = book.line.then(async () => {
    if (book.free.length === 0) await claim(book, core.hypervisor.kind === 'paper');
    const address = book.free.shift();
    if (address === undefined) throw new AwsError('InsufficientFreeAddressesInSubnet', 'The lab has no address left.');
    return address;
  });
  book.line = taken.catch(() => undefined);
  return taken;
}

/** Appends to the end of the free list, so that a client of the old instance does not reach a new one. */
export const giveAddress = (core: Core, address: string): void => void books(core).free.push(address);

export function releaseAddresses(core: Core): void {
  for (const lock of books(core).locks) lock.close();
}

async function claim(book: Book, paper: boolean): Promise<void> {
  // No client connects to a paper instance, so no range is reserved.
  if (paper) return void book.free.push(...PAPER.map((_, index) => `127.11.${Math.floor(index / 250)}.${(index % 250) + 1}`));
  const start = process.pid % 256;
  for (let step = 0; step < 256; step += 1) {
    const third = (start + step) % 256;
    const lock = await listen(`127.10.${third}.254`);
    if (lock === undefined) continue;
    book.locks.push(lock);
    book.free.push(...Array.from({ length: 250 }, (_, index) => `127.10.${third}.${index + 1}`));
    return;
  }
}

const PAPER = Array.from({ length: 60_000 });

function listen(host: string): Promise<Server | undefined> {
  return new Promise(settle => {
    const server = createServer();
    server.once('error', () => settle(undefined)).listen({ port: LOCK_PORT, host, exclusive: true }, () => settle(server));
    server.unref();
  });
}
