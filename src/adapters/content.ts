import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { concurrently } from '../kit/concurrently.ts';
import { UsageError } from '../kit/errors.ts';
import type { Content, ContentFile, ContentSelection } from '../ports/deps.ts';
import { outputsFile, recordOutputs, withoutOutputs } from './build-outputs.ts';
import { capture, onPath } from './capture.ts';
import { templateFiles } from './packer/template-files.ts';

/** Files by their git hash, so that committed files need not be read. */
export function workspaceContent(workspace: string, environment: NodeJS.ProcessEnv = process.env): Content {
  /** As they are on the disk, and which of them Packer loads by itself. */
  async function current(selection: ContentSelection): Promise<{ files: readonly ContentFile[]; loaded: ReadonlySet<string> }> {
    const read = await onDisk(workspace, await loadedFiles(workspace, selection));
    const files = await (selection.globs.length === 0 ? committedFiles(workspace, environment, selection) : selected(workspace, selection));
    const loaded = new Set(read.map(({ path }) => path));
    return {
      files: files.length === 0 && selection.globs.length > 0 ? [] : [...files.filter(({ path }) => !loaded.has(path)), ...read],
      loaded,
    };
  }
  return {
    async files(selection) {
      const { files, loaded } = await current(selection);
      return withoutOutputs(outputsFile(workspace, selection.template, environment), files, loaded);
    },
    async paths(globs) {
      const found = await (await globber(workspace, globs)).glob();
      return found.map(path => relative(workspace, path).split(sep).join('/'));
    },
    async matches(glob) {
      for await (const _ of (await globber(workspace, [glob])).globGenerator()) return true;
      return false;
    },
    async recordOutputs(selection, before) {
      const { files } = await current(selection);
      await recordOutputs(outputsFile(workspace, selection.template, environment), before, files);
    },
  };
}

/** What Packer loads, also where git ignores it, or outside the repository. */
async function loadedFiles(workspace: string, { template, varFiles }: ContentSelection): Promise<readonly string[]> {
  const named = [template, ...varFiles].map(async path => ((await isOutside(workspace, path)) ? [path] : templateFiles(path)));
  return throughLinks(workspace, (await Promise.all(named)).flat());
}

async function committedFiles(
  workspace: string,
  environment: NodeJS.ProcessEnv,
  { references }: ContentSelection,
): Promise<readonly ContentFile[]> {
  const known = await committed(workspace, environment);
  if (known === undefined) return onDisk(workspace, [workspace, ...references]);
  const paths = new Set(known.map(({ path }) => path));
  const more = await onDisk(workspace, await throughLinks(workspace, references));
  return [...known, ...more.filter(({ path }) => !paths.has(path))];
}

/** What the globs match, and of the template what they do not exclude: its directory, or what it refers to where that is the workspace. */
async function selected(workspace: string, { globs, template, references, isDynamic }: ContentSelection): Promise<readonly ContentFile[]> {
  const matched = await (await globber(workspace, globs)).glob().catch(unreadable(globs.join(', ')));
  if (matched.length === 0) return [];
  const folder = (await lstat(template).catch(() => undefined))?.isFile() ? dirname(template) : template;
  const isAround = !relative(folder, workspace).startsWith('..');
  const own = isAround && !isDynamic ? [] : [isAround ? folder : template];
  const excluding = globs.filter(glob => glob.startsWith('!')).map(glob => glob.slice(1));
  const excluded = new Set(excluding.length === 0 ? [] : await (await globber(workspace, excluding)).glob());
  const files = await throughLinks(workspace, [...own, ...references]);
  return onDisk(workspace, [...matched, ...files.filter(path => !excluded.has(path))]);
}

async function isOutside(workspace: string, path: string): Promise<boolean> {
  const [from, to] = await Promise.all([workspace, path].map(one => realpath(one).catch(() => one)));
  return /^\.\.([/\\]|$)/.test(relative(from ?? '', to ?? ''));
}

async function globber(workspace: string, globs: readonly string[]) {
  const { create } = await import('@actions/glob');
  const patterns = globs.map(glob => (glob.startsWith('!') ? `!${join(workspace, glob.slice(1))}` : join(workspace, glob)));
  // Git writes there on every command: "**" would never be the same twice.
  return create([...patterns, `!${join(workspace, '**', '.git')}`].join('\n'), { followSymbolicLinks: false, matchDirectories: false });
}

/** The tree of the commit with later changes. Undefined without a git repository, or without git. */
async function committed(workspace: string, environment: NodeJS.ProcessEnv): Promise<readonly ContentFile[] | undefined> {
  const program = await onPath('git', environment, workspace);
  const git = async (...args: string[]) => {
    if (program === undefined) return undefined;
    // Another user may have checked out; and settings of the repository must not start programs.
    const settings = ['-c', `safe.directory=${workspace}`, '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];
    const answer = await capture(program, [...settings, ...args], { timeoutSeconds: 120, environment, folder: workspace }).catch(
      () => undefined,
    );
    return answer?.exitCode === 0 ? answer.stdout : undefined;
  };
  const top = await git('rev-parse', '--show-cdup');
  if (top?.trim() !== '') return undefined; // not the root of a repository
  const [tree, status] = await Promise.all([
    git('ls-tree', '-r', '-z', '--full-tree', 'HEAD'),
    git('status', '--porcelain=v1', '-z', '--untracked-files=all', '--ignore-submodules=none', '--no-renames'),
  ]);
  if (tree === undefined || status === undefined) return undefined;
  const changed = status.split('\0').flatMap(entry => (entry === '' ? [] : [entry.slice(3).replace(/\/$/, '')]));
  const stale = new Set(changed);
  const kept = tree.split('\0').flatMap(line => {
    const [, mode = '', blob = '', path = ''] = /^(\d+) \w+ ([0-9a-f]+)\t([\s\S]*)$/.exec(line) ?? [];
    return path === '' || stale.has(path) ? [] : [{ path, mode, blob }];
  });
  const read = await onDisk(
    workspace,
    changed.map(path => join(workspace, path)),
  );
  return [...kept, ...read];
}

// Some runners allow few open files.
const AT_ONCE = 32;

/** Files and folders on the disk; missing ones are left out. */
async function onDisk(workspace: string, paths: readonly string[]): Promise<readonly ContentFile[]> {
  const found = await concurrently([...new Set(paths)], AT_ONCE, filesUnder);
  return concurrently([...new Set(found.flat())], AT_ONCE, path => hashed(workspace, path));
}

async function filesUnder(path: string): Promise<readonly string[]> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat?.isDirectory()) {
    const entries = await readdir(path, { withFileTypes: true }).catch(unreadable(path));
    const inner = entries
      .filter(({ name }) => name !== '.git' && name !== '.ami-action-temp')
      .map(({ name }) => filesUnder(join(path, name)));
    return (await Promise.all(inner)).flat();
  }
  // A name that is not UTF-8 is read back as another, which does not exist: left out, its changes would go unnoticed.
  if (stat === undefined && path.includes('\ufffd')) unreadable(path)(new Error('its name is not UTF-8'));
  return stat?.isFile() || stat?.isSymbolicLink() ? [path] : [];
}

/** These files, and the targets of links, which Packer follows. A link to a folder around the workspace is not followed. */
async function throughLinks(workspace: string, paths: readonly string[]): Promise<readonly string[]> {
  const root = await realpath(workspace).catch(() => workspace);
  const seen = new Set<string>();
  for (let next = paths; next.length > 0; ) {
    const files = (await concurrently(next, AT_ONCE, filesUnder)).flat().filter(path => !seen.has(path));
    for (const path of files) seen.add(path);
    const targets = (await concurrently(files, AT_ONCE, targetOf)).flat();
    next = targets.filter(target => !`${root}${sep}`.startsWith(`${target}${sep}`));
  }
  return [...seen];
}

const targetOf = async (path: string): Promise<readonly string[]> =>
  (await lstat(path)).isSymbolicLink()
    ? realpath(path).then(
        target => [target],
        () => [],
      )
    : [];

async function hashed(workspace: string, path: string): Promise<ContentFile> {
  const stat = await lstat(path).catch(unreadable(path));
  const mode = stat.isSymbolicLink() ? '120000' : (stat.mode & 0o100) !== 0 ? '100755' : '100644';
  const blob = await blobOf(path, stat).catch(unreadable(path));
  const local = relative(workspace, path);
  return { path: (isAbsolute(local) ? path : local).split(sep).join('/'), mode, blob };
}

// Larger files are streamed: AT_ONCE of them would be in memory at once, and over 2 GiB cannot be.
const MOST_AT_ONCE = 16 * 1024 * 1024;

/** As `git hash-object` computes it. */
async function blobOf(path: string, stat: Stats): Promise<string> {
  const hash = createHash('sha1').update(`blob ${stat.size}\0`);
  const small = async () => (stat.isSymbolicLink() ? await readlink(path) : await readFile(path));
  for await (const chunk of stat.size > MOST_AT_ONCE ? createReadStream(path) : [await small()]) hash.update(chunk);
  return hash.digest('hex');
}

const unreadable =
  (path: string) =>
  (cause: Error): never => {
    throw new UsageError([`${JSON.stringify(path)} may determine the image, but cannot be read: ${cause.message}`], {
      next: 'Make it readable for the user of the runner, or set "content" to what determines the image.',
    });
  };
