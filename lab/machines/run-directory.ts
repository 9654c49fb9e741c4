import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The directory of a running lab's disks. Its name holds the process ID, the start time of that process (IDs are reused), and the
 * PID namespace of the ID. Directories of dead runs are removed when the next lab starts, because a killed lab cannot clean up.
 */
export async function claimRunDirectory(cacheDirectory = defaultCache()): Promise<string> {
  const lab = join(cacheDirectory, 'ami-action', 'lab');
  await mkdir(lab, { recursive: true, mode: 0o700 });
  const here = await pidNamespace();
  await sweep(lab, here);
  const directory = join(lab, `${process.pid}-${await startOf(process.pid)}-${here}-${randomBytes(4).toString('hex')}`);
  await mkdir(directory, { mode: 0o700 });
  return directory;
}

const defaultCache = (): string => process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

async function sweep(lab: string, here: string): Promise<void> {
  const names = await readdir(lab);
  await Promise.all(
    names.map(async name => {
      if (await isDead(join(lab, name), name, here)) await rm(join(lab, name), { recursive: true, force: true });
    }),
  );
}

/** A process in another container is not visible. No run takes two days. */
const UNKNOWN_RUN_DAYS = 2;

async function isDead(path: string, name: string, here: string): Promise<boolean> {
  const [pid = '', startedAt, namespace] = name.split('-');
  if (namespace === undefined || !/^\d+$/.test(pid)) return false;
  if (namespace === here) return (await startOf(Number(pid))) !== startedAt;
  const changedAt = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Date.now(),
  );
  return Date.now() - changedAt > UNKNOWN_RUN_DAYS * 86_400_000;
}

/** Field 22 of /proc/<pid>/stat, counted after the name, which may hold spaces. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

async function pidNamespace(): Promise<string> {
  return (await readlink('/proc/self/ns/pid')).replace(/\D/g, '');
}
