import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { Socket } from 'node:net';
import { promisify } from 'node:util';

/**
 * Real pipes for processes in a guest. Node's own `stdio: 'pipe'` is a socket pair, which a script cannot reopen: `echo no > /dev/stderr`
 * and `tee /dev/stdout` would fail with ENXIO. Node cannot call pipe(2), so the pipes are FIFOs, created a few dozen at a time.
 */
export interface Pipes {
  /** A pipe that the child writes into. */
  output(): Promise<Pipe>;
  /** A pipe that the child reads from. */
  input(): Promise<Pipe>;
}

interface Pipe {
  /** The end of the lab. */
  readonly ours: Socket;
  /** The end of the child: used in `stdio`, and closed here when the child has it. */
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
  // Opening one end blocks until the other is open. A third, read-write descriptor avoids that.
  const both = openSync(path, 'r+');
  const childEnd = openSync(path, 'r');
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  closeSync(both);
  unlinkSync(path);
  return { ours: quiet(new Socket({ fd, readable: false, writable: true })), childEnd };
}

/** Many commands end by closing their input (EPIPE). */
const quiet = (socket: Socket): Socket => socket.on('error', () => {});
