import { AsyncLocalStorage } from 'node:async_hooks';
import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { access, constants, realpath } from 'node:fs/promises';
import { delimiter, isAbsolute, join, sep } from 'node:path';
import { lineSplitter } from './process.ts';

/** Finds and runs short commands: git, and all of Packer but `packer build` (process.ts). */

export interface Captured {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CaptureOptions {
  /** After this the command is killed. */
  readonly timeoutSeconds: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly folder?: string;
  readonly onLine?: (line: string) => void;
  readonly onErrorLine?: (line: string) => void;
  /** When it fires, the command gets SIGTERM, and SIGKILL 10 s later. */
  readonly stop?: AbortSignal;
}

const KILL_AFTER_MS = 10_000;

// @actions/exec ends no command: Node reports each child here, in the context that started it.
// https://nodejs.org/api/diagnostics_channel.html#event-child_process
const started = new AsyncLocalStorage<(child: ChildProcess) => void>();
subscribe('child_process', message => started.getStore()?.((message as { process: ChildProcess }).process));

/** Runs a command to its end and returns its output. Its input is empty, so that it cannot ask a question. Rejects when it cannot start. */
export async function capture(command: string, args: readonly string[], options: CaptureOptions): Promise<Captured> {
  const { getExecOutput } = await import('@actions/exec');
  const { timeoutSeconds, environment, folder, stop, onLine = () => {}, onErrorLine = () => {} } = options;
  const [out, err] = [lineSplitter(onLine), lineSplitter(onErrorLine)];
  let child: ChildProcess | undefined;
  let killer: NodeJS.Timeout | undefined;
  const terminate = () => {
    child?.kill('SIGTERM');
    killer = setTimeout(() => child?.kill('SIGKILL'), KILL_AFTER_MS);
  };
  const limit = setTimeout(() => child?.kill('SIGKILL'), timeoutSeconds * 1000);
  stop?.addEventListener('abort', terminate, { once: true });
  try {
    const run = () =>
      getExecOutput(`"${command.replaceAll('"', '\\"')}"`, [...args], {
        env: environment as Record<string, string>,
        silent: true,
        ignoreReturnCode: true,
        ...(folder === undefined ? {} : { cwd: folder }),
        listeners: { stdout: out.write, stderr: err.write },
      });
    const onSpawn = (spawned: ChildProcess) => {
      child = spawned;
      // It may end before its input does.
      process.nextTick(() => spawned.stdin?.on('error', () => {}).end());
    };
    const { exitCode, stdout, stderr } = await started.run(onSpawn, run);
    return { exitCode: exitCode ?? undefined, signal: child?.signalCode ?? undefined, stdout, stderr };
  } finally {
    clearTimeout(limit);
    clearTimeout(killer);
    stop?.removeEventListener('abort', terminate);
    out.end();
    err.end();
  }
}

/**
 * The first executable of that name in an absolute folder of PATH outside the workspace: a program in the current folder, or one that
 * a pull request added, is never used.
 */
export async function onPath(
  name: string,
  { PATH = '', GITHUB_WORKSPACE }: NodeJS.ProcessEnv,
  workspace = GITHUB_WORKSPACE,
): Promise<string | undefined> {
  const workspaces = workspace === undefined || workspace === '' ? [] : [workspace, await realpath(workspace).catch(() => workspace)];
  for (const folder of PATH.split(delimiter).filter(isAbsolute)) {
    const candidate = join(folder, process.platform === 'win32' ? `${name}.exe` : name);
    const real = await realExecutable(candidate);
    if (real !== undefined && !isInside(workspaces, candidate, real)) return candidate;
  }
  return undefined;
}

/** The real path of an executable; undefined where there is none. */
export const realExecutable = (path: string): Promise<string | undefined> =>
  access(path, constants.X_OK)
    .then(() => realpath(path))
    .catch(() => undefined);

export const isInside = (folders: readonly string[], ...paths: readonly string[]): boolean =>
  folders.some(folder => paths.some(path => path.startsWith(folder + sep)));
