import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { Executed } from './hypervisor.ts';
import type { Pipes } from './pipes.ts';
import { isRoot } from './requirements.ts';

/** A command that runs in a guest. */
export interface Inside {
  readonly stdin: Socket | undefined;
  readonly stdout: Socket;
  readonly stderr: Socket;
  readonly ended: Promise<Ended>;
  /** All writers have ended and all output was read. Needs a reader. */
  readonly drained: Promise<unknown>;
  /** Signals the command and its children, except those in a session of their own. */
  kill(signal: NodeJS.Signals): void;
}

export interface Ended {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/** Environment of a systemd service or of a login without a profile. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  USER: 'root',
  LOGNAME: 'root',
};

/** Arguments for nsenter. The lab may enter a user namespace that it created. */
export const entering = (pid: number, kinds = ['mount', 'uts', 'ipc', 'net', 'pid']): string[] => [
  ...['--target', String(pid)],
  ...(isRoot() ? [] : ['--user', '--preserve-credentials']),
  ...kinds.map(kind => `--${kind}`),
  '--',
];

interface Entry {
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly withInput: boolean;
}

export async function enter(pipes: Pipes, pid: number, { command, environment, withInput }: Entry): Promise<Inside> {
  const [input, output, errors] = await Promise.all([withInput ? pipes.input() : undefined, pipes.output(), pipes.output()]);
  const child = spawn('nsenter', [...entering(pid), ...command], {
    env: { ...ENVIRONMENT, ...environment },
    cwd: '/',
    detached: true,
    stdio: [input?.childEnd ?? 'ignore', output.childEnd, errors.childEnd],
  });
  for (const pipe of [input, output, errors]) if (pipe !== undefined) closeSync(pipe.childEnd);
  const kill = (signal: NodeJS.Signals) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, signal);
  };
  const drained = Promise.all([output.ours, errors.ours].map(source => new Promise(settle => source.once('close', settle))));
  return { stdin: input?.ours, stdout: output.ours, stderr: errors.ours, ended: endOf(child), drained, kill };
}

const endOf = (child: ChildProcess): Promise<Ended> =>
  new Promise((settle, fail) => {
    child.once('error', fail).once('exit', (code, signal) => settle({ code: code ?? undefined, signal: signal ?? undefined }));
  });

const NUMBERS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 };

/** As in a shell: 128 plus the number of the signal. */
export const exitCode = ({ code, signal }: Ended): number => code ?? 128 + (signal === undefined ? 0 : (NUMBERS[signal] ?? 0));

interface Run {
  readonly input?: string;
  readonly signal?: AbortSignal;
  readonly onOutput?: (chunk: Buffer) => void;
}

/** A daemon that keeps the pipes open is not waited for. */
const PATIENCE_MILLISECONDS = 200;

/** Runs the command to its end and collects its output. */
export async function runInside(pipes: Pipes, pid: number, command: readonly string[], options: Run = {}): Promise<Executed> {
  const inside = await enter(pipes, pid, { command, withInput: options.input !== undefined });
  const abort = () => inside.kill('SIGKILL');
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  const [stdout, stderr] = [gather(inside.stdout, options.onOutput), gather(inside.stderr, options.onOutput)];
  inside.stdin?.end(options.input ?? '');
  const ended = await inside.ended.finally(() => options.signal?.removeEventListener('abort', abort));
  const patience = new AbortController();
  await Promise.race([inside.drained, setTimeout(PATIENCE_MILLISECONDS, undefined, { signal: patience.signal }).catch(() => undefined)]);
  patience.abort();
  for (const source of [inside.stdout, inside.stderr, inside.stdin]) source?.destroy();
  return { exitCode: exitCode(ended), stdout: stdout(), stderr: stderr() };
}

function gather(source: Socket, onOutput: Run['onOutput']): () => string {
  const chunks: Buffer[] = [];
  source.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    onOutput?.(chunk);
  });
  return () => Buffer.concat(chunks).toString();
}
