import { spawn } from 'node:child_process';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { followFile } from './follow-file.ts';

export interface Order {
  /** Absolute: never looked up in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Output goes to `<log>.out` and `<log>.err`. */
  readonly log: string;
  onLine(line: string): void;
  onErrorLine(line: string): void;
  /** Called at once, before the process can have done anything that must be undone. */
  onStart?(pid: number): void;
  /** When it fires, the process gets SIGTERM and time to clean up. */
  readonly stop: AbortSignal;
  readonly graceSeconds?: number;
}

export interface Ended {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/**
 * Runs a long command that must survive us. Its output goes to files, because a process whose reader has died is killed
 * by SIGPIPE without any clean-up; and it leads its own group, because what hits ours must not hit it.
 * Packer ignores SIGINT that is sent to its pid alone, so a stop is SIGTERM.
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
    // "exit", not "close": a grandchild that holds the output open must not keep us.
    return await new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ exitCode: code ?? undefined, signal: signal ?? undefined }));
    });
  } finally {
    stopping.done();
    for (const follower of followers) follower.finish();
  }
}

/** Packer needs about a minute to end its instance; only one that ignores us for longer is killed, with all its children. Tests wait less. */
const GRACE_SECONDS = Number(process.env['AMI_ACTION_GRACE_SECONDS'] ?? 240);

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
    return false; // it has ended already
  }
}

/** A pid is used again some day: the process is ours only while its output is our log. Where there is no /proc, the pid must do. */
function isOurs(pid: number, log: string): boolean {
  if (!signal(pid, 0)) return false;
  if (process.platform !== 'linux') return true;
  try {
    return readlinkSync(`/proc/${pid}/fd/1`) === `${log}.out`;
  } catch {
    return false; // gone, or a zombie: it holds no files any more
  }
}

/**
 * Ends a process that an earlier step left behind: asks it, waits for its clean-up, then kills its group.
 * `gone`: it had ended before we came.
 */
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
