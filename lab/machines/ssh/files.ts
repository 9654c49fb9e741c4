import { constants } from 'node:fs';
import { chmod, chown, type FileHandle, lstat, open, readdir, truncate, utimes } from 'node:fs/promises';
import type { Attributes, FileEntry } from 'ssh2';
import ssh2 from 'ssh2';

/** Translation between SFTP and Node's file calls. https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02 */

const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp;

const FLAGS: readonly (readonly [number, number])[] = [
  [OPEN_MODE.CREAT, constants.O_CREAT],
  [OPEN_MODE.TRUNC, constants.O_TRUNC],
  [OPEN_MODE.APPEND, constants.O_APPEND],
  [OPEN_MODE.EXCL, constants.O_EXCL],
];

export function openFile(path: string, asked: number, mode: number | undefined): Promise<FileHandle> {
  const writes = (asked & OPEN_MODE.WRITE) !== 0;
  const access = writes ? ((asked & OPEN_MODE.READ) !== 0 ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  const flags = FLAGS.reduce((all, [theirs, ours]) => ((asked & theirs) === 0 ? all : all | ours), access);
  return open(path, flags, (mode ?? 0o644) & 0o7777);
}

export async function setAttributes(path: string, { mode, uid, gid, size, atime, mtime }: Partial<Attributes>): Promise<void> {
  if (size !== undefined) await truncate(path, size);
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
  if (mode !== undefined) await chmod(path, mode & 0o7777);
  if (atime !== undefined && mtime !== undefined) await utimes(path, atime, mtime);
}

interface Known {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
}

export const attributes = ({ mode, uid, gid, size, atimeMs, mtimeMs }: Known): Attributes => ({
  ...{ mode, uid, gid, size },
  atime: Math.floor(atimeMs / 1000),
  mtime: Math.floor(mtimeMs / 1000),
});

export async function listing(directory: string): Promise<FileEntry[]> {
  const names = ['.', '..', ...(await readdir(directory))];
  return Promise.all(
    names.map(async filename => {
      const found = await lstat(`${directory}/${filename}`);
      const kind = found.isDirectory() ? 'd' : found.isSymbolicLink() ? 'l' : '-';
      const when = found.mtime.toISOString().slice(0, 16).replace('T', ' ');
      const longname = `${kind}${(found.mode & 0o777).toString(8)} ${found.nlink} ${found.uid} ${found.gid} ${found.size} ${when} ${filename}`;
      return { filename, longname, attrs: attributes(found) };
    }),
  );
}

/** Node's error codes as SFTP's. */
export function statusOf(cause: unknown): number {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return STATUS_CODE.NO_SUCH_FILE;
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? STATUS_CODE.PERMISSION_DENIED : STATUS_CODE.FAILURE;
}
