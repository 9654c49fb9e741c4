import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeBaseDisk } from './base-disk.ts';
import type { Disk } from './hypervisor.ts';

export interface Disks {
  base(): Promise<Disk>;
  clone(disk: Disk): Promise<Disk>;
  discard(disk: Disk): Promise<void>;
}

/** Disks as directories under one run's directory. */
export async function disksIn(runDirectory: string): Promise<Disks> {
  const directory = join(runDirectory, 'disks');
  await mkdir(directory);
  let count = 0;
  let base: Promise<Disk> | undefined;

  const fresh = (): Disk => {
    count += 1;
    const id = `disk-${String(count).padStart(6, '0')}`;
    return { id, path: join(directory, id) };
  };
  const make = async (): Promise<Disk> => {
    const disk = fresh();
    await makeBaseDisk(disk.path);
    return disk;
  };
  return {
    base: () => {
      base ??= make();
      return base;
    },
    clone: async disk => {
      const copy = fresh();
      await copyTree(disk.path, copy.path);
      return copy;
    },
    discard: async disk => {
      if (disk.path === (await base)?.path) return;
      await rm(disk.path, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** A disk in use may lose files while it is copied (`no_reboot`). Vanished files are no failure, all other errors are. */
async function copyTree(from: string, to: string): Promise<void> {
  const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' };
  await promisify(execFile)('cp', ['-a', '--reflink=auto', from, to], { env: environment }).catch((cause: Error & { stderr?: string }) => {
    const complaints = (cause.stderr ?? '').split('\n').filter(line => line !== '');
    if (complaints.length === 0 || !complaints.every(line => line.endsWith('No such file or directory'))) throw cause;
  });
}
