import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { concurrently } from '../kit/concurrently.ts';
import type { Content, ContentFile } from '../world.ts';
import { capture } from './capture.ts';
import { onPath } from './on-path.ts';

/** Files by the hash that git gives their content, so that what is committed need not be read at all. */
export const workspaceContent = (workspace: string, environment: NodeJS.ProcessEnv = process.env): Content => ({
  async files(globs, always) {
    const counted = always.map(path => resolve(workspace, path));
    if (globs.length === 0) {
      const known = await committed(workspace, environment);
      if (known === undefined) return onDisk(workspace, [workspace, ...counted]);
      // Git is silent about what it ignores, and Packer reads it all the same.
      const read = await onDisk(workspace, (await Promise.all(counted.map(readByPacker))).flat());
      return [...new Map([...known, ...read].map(file => [file.path, file])).values()];
    }
    const { create } = await import('@actions/glob');
    const patterns = globs.map(glob => (glob.startsWith('!') ? `!${join(workspace, glob.slice(1))}` : join(workspace, glob)));
    const globber = await create(patterns.join('\n'), { followSymbolicLinks: false, matchDirectories: false });
    const matched = await globber.glob();
    return matched.length === 0 ? [] : await onDisk(workspace, [...matched, ...counted]);
  },
});

// https://developer.hashicorp.com/packer/docs/templates/hcl_templates#file-extension
const OF_A_TEMPLATE = /\.(pkr\.(hcl|json)|auto\.pkrvars\.(hcl|json))$/;

/** Of a directory only what Packer takes from there by itself: what else is ignored there, such as a manifest, is often made by the build. */
async function readByPacker(path: string): Promise<readonly string[]> {
  const entries = await readdir(path).catch(() => undefined);
  return entries === undefined ? [path] : entries.filter(name => OF_A_TEMPLATE.test(name)).map(name => join(path, name));
}

/** The tree of the commit, with what was changed, added or removed since. Undefined where there is no git repository, or no git. */
async function committed(workspace: string, environment: NodeJS.ProcessEnv): Promise<readonly ContentFile[] | undefined> {
  const program = await onPath('git', environment, workspace);
  const git = async (...args: string[]) => {
    if (program === undefined) return undefined;
    // The runner's user is not always the one that checked out; and a repository's own settings must not start programs.
    const settings = ['-c', `safe.directory=${workspace}`, '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];
    const said = await capture(program, [...settings, ...args], { timeoutSeconds: 120, environment, folder: workspace }).catch(
      () => undefined,
    );
    return said?.exitCode === 0 ? said.stdout : undefined;
  };
  const top = await git('rev-parse', '--show-cdup');
  if (top?.trim() !== '') return undefined; // not the root of a repository
  const [tree, status] = await Promise.all([
    git('ls-tree', '-r', '-z', '--full-tree', 'HEAD'),
    git('status', '--porcelain=v1', '-z', '--untracked-files=all', '--no-renames'),
  ]);
  if (tree === undefined || status === undefined) return undefined;
  const touched = status.split('\0').flatMap(entry => (entry === '' ? [] : [entry.slice(3).replace(/\/$/, '')]));
  const stale = new Set(touched);
  const kept = tree.split('\0').flatMap(line => {
    const [, mode = '', blob = '', path = ''] = /^(\d+) \w+ ([0-9a-f]+)\t([\s\S]*)$/.exec(line) ?? [];
    return path === '' || stale.has(path) ? [] : [{ path, mode, blob }];
  });
  const changed = await onDisk(
    workspace,
    touched.map(path => join(workspace, path)),
  );
  return [...kept, ...changed];
}

// Open files are few on some machines.
const AT_ONCE = 32;

/** Files and folders as they lie on the disk; what is not there is left out. */
async function onDisk(workspace: string, paths: readonly string[]): Promise<readonly ContentFile[]> {
  const found = await concurrently([...new Set(paths)], AT_ONCE, filesUnder);
  return concurrently([...new Set(found.flat())], AT_ONCE, path => hashed(workspace, path));
}

async function filesUnder(path: string): Promise<readonly string[]> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat === undefined) return [];
  if (!stat.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true });
  const inner = entries
    .filter(({ name }) => name !== '.git' && name !== '.ami-action-temp')
    .map(({ name }) => filesUnder(join(path, name)));
  return (await Promise.all(inner)).flat();
}

async function hashed(workspace: string, path: string): Promise<ContentFile> {
  const stat = await lstat(path);
  const content = stat.isSymbolicLink() ? Buffer.from(await readlink(path)) : await readFile(path);
  const mode = stat.isSymbolicLink() ? '120000' : (stat.mode & 0o100) !== 0 ? '100755' : '100644';
  // As `git hash-object` does it.
  const blob = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  const way = relative(workspace, path);
  return { path: (isAbsolute(way) ? path : way).split(sep).join('/'), mode, blob };
}
