import { lstatSync, realpathSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { UsageError } from '../kit/errors.ts';
import type { Files, RepositoryFile } from '../ports/deps.ts';

export const workspaceFiles = (workspace: string): Files => ({
  async read(path) {
    const absolute = insideWorkspace(workspace, path);
    const found = await stat(absolute).catch(unlessMissing);
    if (found === undefined) return undefined;
    if (!found.isDirectory()) return [await fileAt(workspace, absolute)];
    const entries = await readdir(absolute, { recursive: true, withFileTypes: true });
    const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
    return Promise.all(files.sort().map(file => fileAt(workspace, insideWorkspace(workspace, file))));
  },
  async write(path, content) {
    const absolute = insideWorkspace(workspace, path);
    await mkdir(dirname(absolute), { recursive: true });
    await writeFile(absolute, content);
  },
});

/**
 * The absolute path of a file that the settings name. Throws UsageError when it is outside the workspace, itself or through a link: a pull
 * request could add a link to the environment of the runner, and a check would send it to an instance. In .git is the token of the checkout.
 */
export function insideWorkspace(workspace: string, path: string): string {
  const absolute = isAbsolute(path) ? path : join(workspace, path);
  if (leaves(workspace, absolute)) throw new UsageError([`"${path}" is outside the workspace`]);
  const root = realpathSync(workspace);
  const real = realPathOf(absolute);
  if (real === undefined || leaves(root, real)) throw new UsageError([`"${path}" is a link that leaves the workspace`]);
  if (relative(root, real).split(sep)[0] === '.git')
    throw new UsageError([`"${path}" is in .git, which is not part of the repository's files`]);
  return absolute;
}

const leaves = (folder: string, path: string): boolean => {
  const way = relative(folder, path);
  return way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way);
};

/** Also of a path whose end does not exist yet. Undefined for a link to nothing: writing would create its target. */
function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    if (isLink(path)) return undefined;
    const parent = dirname(path) === path ? undefined : realPathOf(dirname(path));
    return parent === undefined ? undefined : join(parent, basename(path));
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

async function fileAt(workspace: string, absolute: string): Promise<RepositoryFile> {
  const [content, { mode }] = await Promise.all([readFile(absolute), stat(absolute)]);
  return { path: relative(workspace, absolute).split(sep).join('/'), content, executable: (mode & 0o100) !== 0 };
}

const unlessMissing = (cause: NodeJS.ErrnoException): undefined => {
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
  throw cause;
};
