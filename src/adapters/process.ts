import { spawn } from 'node:child_process';
import { closeSync, type FSWatcher, openSync, readlinkSync, readSync, watch } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { labNumber } from './clock.ts';

export interface Order {
  /** Absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Output goes to `<log>.out` and `<log>.err`. */
  readonly log: string;
  onLine(line: string): void;
  onErrorLine(line: string): void;
  /** Called before the process can have done anything that must be undone. */
  onStart?(pid: number): void;
  /** When it fires, the process gets SIGTERM and `graceSeconds` to clean up. */
  readonly stop: AbortSignal;
  readonly graceSeconds?: number;
}

export interface Ended {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/**
 * Runs `packer build`, which must survive us. @actions/exec would not do: it reads from pipes, and a writer whose reader has died is
 * killed by SIGPIPE without clean-up; and its children share our process group, which the runner signals. Here output goes to files.
 * A stop is SIGTERM: Packer ignores a SIGINT that is sent to its pid alone.
 */
export async function follow(order: Order): Promise<Ended> {
  const out = openSync(`${order.log}.out`, 'w', 0o600);
  const err = openSync(`${order.log}.err`, 'w', 0o600);
  const child = spawn(order.command, [...order.args], {
    cwd: order.folder,
    env: { ...order.environment },
    detached: true,
    stdio: ['ignore', out, err],
  });
  closeSync(out);
  closeSync(err);
  if (child.pid !== undefined) order.onStart?.(child.pid);
  const followers = [followFile(`${order.log}.out`, order.onLine), followFile(`${order.log}.err`, order.onErrorLine)];
  const stopping = stopWhen(order, child.pid);
  try {
    // "exit", not "close": a grandchild may hold the output open.
    return await new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ exitCode: code ?? undefined, signal: signal ?? undefined }));
    });
  } finally {
    stopping.done();
    for (const follower of followers) follower.finish();
  }
}

/** Packer needs about a minute to terminate its instance. After this it is killed with all its children. Tests wait less. */
const GRACE_SECONDS = labNumber('GRACE_SECONDS') ?? 240;

function stopWhen({ stop, graceSeconds = GRACE_SECONDS }: Order, pid: number | undefined): { done(): void } {
  let lastResort: NodeJS.Timeout | undefined;
  const interrupt = () => {
    if (pid === undefined) return;
    signal(pid, 'SIGTERM');
    lastResort = setTimeout(() => signal(-pid, 'SIGKILL'), graceSeconds * 1000);
  };
  if (stop.aborted) interrupt();
  else stop.addEventListener('abort', interrupt, { once: true });
  return {
    done() {
      clearTimeout(lastResort);
      stop.removeEventListener('abort', interrupt);
    },
  };
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // it has ended
  }
}

/** A pid is reused: the process is ours only while its output is our log. Without /proc the pid has to be enough. */
function isOurs(pid: number, log: string): boolean {
  if (!signal(pid, 0)) return false;
  if (process.platform !== 'linux') return true;
  try {
    return readlinkSync(`/proc/${pid}/fd/1`) === `${log}.out`;
  } catch {
    return false; // ended, or a zombie, which holds no files
  }
}

/** Ends a process of an earlier step: SIGTERM, time for its clean-up, then SIGKILL for its group. `gone`: it had ended before. */
export async function endProcess(pid: number, log: string, graceSeconds = GRACE_SECONDS): Promise<'gone' | 'ended' | 'killed'> {
  if (!isOurs(pid, log)) return 'gone';
  signal(pid, 'SIGTERM');
  const deadline = Date.now() + graceSeconds * 1000;
  while (Date.now() < deadline) {
    if (!isOurs(pid, log)) return 'ended';
    await new Promise(done => setTimeout(done, 200));
  }
  signal(-pid, 'SIGKILL');
  return 'killed';
}

const CHUNK_BYTES = 64 * 1024;
// For changes that the file system does not report. Shorter would cost a second of processor time in a build of 15 minutes.
const EVERY_MS = 1000;

/** Calls back for each line of text that comes in pieces, without its line break. `end` passes on a last line that has none. */
export function lineSplitter(onLine: (line: string) => void): { write(bytes: Buffer): void; end(): void } {
  // The end of a piece may cut a character in two.
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    write(bytes) {
      const lines = (rest + decoder.write(bytes)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line.replace(/\r$/, ''));
    },
    end() {
      const last = rest + decoder.end();
      if (last !== '') onLine(last);
    },
  };
}

/** Passes on the lines of a file while another process writes it. Call `finish` when the writer has ended: it reads the rest. */
export function followFile(path: string, onLine: (line: string) => void): { finish(): void } {
  const file = openSync(path, 'r');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  const lines = lineSplitter(onLine);
  const readOn = () => {
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) lines.write(buffer.subarray(0, length));
  };
  const timer = setInterval(readOn, EVERY_MS);
  const watcher = watching(path, readOn);
  // The watcher does not report what was written before it started.
  readOn();
  return {
    finish() {
      clearInterval(timer);
      watcher?.close();
      readOn();
      closeSync(file);
      lines.end();
    },
  };
}

/** Some file systems have no watchers, and each machine has a limit. */
function watching(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(path, onChange).on('error', () => undefined);
  } catch {
    return undefined;
  }
}
