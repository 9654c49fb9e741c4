import { lstat, mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

/**
 * The path on the host for a path of a guest. Links are followed as in the guest: an absolute link must not lead
 * into the host's root. `root` is a disk, or /proc/<pid>/root of a running guest (which includes its tmpfs mounts). The last part of the
 * path may be missing. With `keepLast`, a link there is not followed.
 */
export async function resolveIn(root: string, path: string, keepLast = false): Promise<string> {
  const ahead = path.split('/');
  let done: string[] = [];
  let links = 0;
  while (ahead.length > 0) {
    const part = ahead.shift();
    if (part === undefined || part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const here = join(root, ...done, part);
    const isLink = !(keepLast && ahead.every(rest => rest === '')) && (await isSymbolicLink(here));
    if (!isLink) {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > 40) throw Object.assign(new Error(`too many links in ${path}`), { code: 'ELOOP' });
    const target = await readlink(here);
    if (posix.isAbsolute(target)) done = [];
    ahead.unshift(...target.split('/'));
  }
  return join(root, ...done);
}

const isSymbolicLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    found => found.isSymbolicLink(),
    () => false,
  );

/** Undefined when the file does not exist. */
export async function readIn(root: string, path: string): Promise<string | undefined> {
  return readFile(await resolveIn(root, path), 'utf8').catch(() => undefined);
}

export async function writeIn(root: string, path: string, content: string, mode = 0o644): Promise<void> {
  await mkdir(await resolveIn(root, posix.dirname(path)), { recursive: true });
  await writeFile(await resolveIn(root, path), content, { mode });
}
