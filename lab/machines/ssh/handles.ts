import type { FileHandle } from 'node:fs/promises';
import type { FileEntry } from 'ssh2';

/** Open handles of an SFTP client. */
export interface Handles {
  keep(file: FileHandle): Buffer;
  keepListing(entries: FileEntry[]): Buffer;
  file(handle: Buffer): FileHandle;
  /** The whole directory at the first call, nothing at the second. */
  nextEntries(handle: Buffer): FileEntry[];
  close(handle: Buffer): Promise<void>;
  closeAll(): Promise<void>;
}

export function handleBook(): Handles {
  const open = new Map<string, FileHandle | FileEntry[]>();
  let count = 0;
  const keep = (what: FileHandle | FileEntry[]): Buffer => {
    count += 1;
    open.set(String(count), what);
    return Buffer.from(String(count));
  };
  return {
    keep,
    keepListing: keep,
    file: handle => {
      const file = open.get(handle.toString());
      if (file === undefined || Array.isArray(file)) throw new Error('no such handle');
      return file;
    },
    nextEntries: handle => {
      const entries = open.get(handle.toString());
      return Array.isArray(entries) ? entries.splice(0) : [];
    },
    close: async handle => {
      const what = open.get(handle.toString());
      open.delete(handle.toString());
      if (what !== undefined && !Array.isArray(what)) await what.close();
    },
    closeAll: async () => {
      for (const what of open.values()) if (!Array.isArray(what)) await what.close();
      open.clear();
    },
  };
}
