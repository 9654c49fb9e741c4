import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { UsageError } from '../kit/errors.ts';
import type { Files, RepositoryFile } from '../ports/deps.ts';

export const workspaceFiles = (workspace: string): Files => ({
  async read(path) {
    const absolute = inside(workspace, path);
    const found = await stat(absolute).catch(unlessMissing);
    if (found === undefined) return undefined;
    if (!found.isDirectory()) return [await fileAt(workspace, absolute)];
    const entries = await readdir(absolute, { recursive: true, withFileTypes: true });
    const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
    return Promise.all(files.sort().map(file => fileAt(workspace, file)));
  },
  async write(path, content) {
    const absolute = inside(workspace, path);
    await mkdir(dirname(absolute), { recursive: true });
    await writeFile(absolute, content);
  },
});

function inside(workspace: string, path: string): string {
  const absolute = isAbsolute(path) ? path : join(workspace, path);
  const way = relative(workspace, absolute);
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) throw new UsageError([`"${path}" is outside the workspace`]);
  return absolute;
}

async function fileAt(workspace: string, absolute: string): Promise<RepositoryFile> {
  const [content, { mode }] = await Promise.all([readFile(absolute), stat(absolute)]);
  return { path: relative(workspace, absolute).split(sep).join('/'), content, executable: (mode & 0o100) !== 0 };
}

const unlessMissing = (cause: NodeJS.ErrnoException): undefined => {
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
  throw cause;
};
