import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import type { Run } from '../../ports/deps.ts';

const exec = promisify(execFile);

/** Facts of a run outside GitHub: from git where the folder is a checkout, else empty. */
export async function terminalRun(folder: string, temp: string, cancelled: AbortSignal): Promise<Run> {
  const git = async (...args: string[]) => (await exec('git', args, { cwd: folder }).catch(() => ({ stdout: '' }))).stdout.trim();
  const [commit, branch, origin] = await Promise.all([
    git('rev-parse', '--verify', '--quiet', 'HEAD'),
    git('symbolic-ref', '--quiet', 'HEAD'),
    git('remote', 'get-url', 'origin'),
  ]);
  return {
    repository: repositoryOf(origin),
    commit,
    ref: branch,
    id: '',
    attempt: '1',
    job: 'terminal',
    actor: userInfo().username,
    event: 'terminal',
    url: '',
    workspace: folder,
    temp,
    cancelled,
  };
}

/** `acme/web` from `git@github.com:acme/web.git` or `https://github.com/acme/web`; empty for anything else. */
export const repositoryOf = (origin: string): string => /[:/]([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(origin)?.[1] ?? '';
