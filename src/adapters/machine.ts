import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Machine } from '../ports/machine.ts';
import type { SystemClock } from './clock.ts';

const exec = promisify(execFile);

/** `folder`: where builds write. */
export const thisMachine = (folder: string, clock: Pick<SystemClock, 'skew'>): Machine => ({
  async facts() {
    const [git, disk] = await Promise.all([exec('git', ['--version']).catch(() => undefined), statfs(folder)]);
    return {
      ...{ node: process.version, system: `${process.platform} ${process.arch}` },
      git: /\d+(\.\d+)+/.exec(git?.stdout ?? '')?.[0],
      freeBytes: disk.bavail * disk.bsize,
      skewMs: clock.skew(),
    };
  },
});
