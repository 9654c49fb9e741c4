import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { Socket } from 'node:net';
import { promisify } from 'node:util';

/**
 * Real pipes for what runs in a guest. Node's own `stdio: 'pipe'` is a socket pair, and a script cannot open a socket again: `echo no > /dev/stderr`
 * and `tee /dev/stdout` would fail with ENXIO. Node cannot call pipe(2) either, so the pipes are FIFOs, made a few dozen at a time.
 */
export interface Pipes {
  /** A pipe that the child writes into. */
  output(): Promise<Pipe>;
  /** A pipe that the child reads from. */
  input(): Promise<Pipe>;
}

export interface Pipe {
  /** Our end. */
  readonly ours: Socket;
  /** The child's end: goes into `stdio`, and is closed here once the child has it. */
  readonly childEnd: number;
}

const BATCH = 32;

export async function pipesIn(directory: string): Promise<Pipes> {
  await mkdir(directory, { recursive: true });
  const shelf: string[] = [];
  let made = 0;
  let refilling: Promise<void> | undefined;

  const refill = async () => {
    const names = Array.from({ length: BATCH }, () => `${directory}/${made++}`);
    await promisify(execFile)('mkfifo', ['-m', '600', ...names]);
    shelf.push(...names);
  };
  const take = async (): Promise<string> => {
    while (shelf.length === 0) {
      refilling ??= refill().finally(() => {
        refilling = undefined;
      });
      await refilling;
    }
    return shelf.pop() as string;
  };
  await refill();
  return {
    output: async () => output(await take()),
    input: async () => input(await take()),
  };
}

function output(path: string): Pipe {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const childEnd = openSync(path, 'w');
  unlinkSync(path);
  return { ours: quiet(new Socket({ fd, readable: true, writable: false })), childEnd };
}

function input(path: string): Pipe {
  // Opening one end waits for the other; a third that is both lets the two be opened one after the other.
  const both = openSync(path, 'r+');
  const childEnd = openSync(path, 'r');
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  closeSync(both);
  unlinkSync(path);
  return { ours: quiet(new Socket({ fd, readable: false, writable: true })), childEnd };
}

/** A reader that has gone (EPIPE) is how many commands end. */
const quiet = (socket: Socket): Socket => socket.on('error', () => {});
