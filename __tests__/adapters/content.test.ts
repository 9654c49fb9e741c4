import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { onPath } from '../../src/adapters/capture.ts';
import { workspaceContent } from '../../src/adapters/content.ts';
import type { ContentSelection } from '../../src/ports/deps.ts';

const home = mkdtempSync(join(tmpdir(), 'content-test-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const env = { ...process.env, RUNNER_TOOL_CACHE: join(home, 'cache') };

const write = (folder: string, files: Record<string, string>) => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
};
const git = (folder: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: folder, encoding: 'utf8' });
let count = 0;
const FILES = { 'app/server.py': 'print()\n', 'packer/image.pkr.hcl': 'source {}\n', 'README.md': 'hello\n', '.gitignore': 'ignored/\n' };
const folder = (files: Record<string, string> = FILES) => {
  count += 1;
  const path = join(home, `work-${count}`);
  mkdirSync(path);
  write(path, files);
  return path;
};
const repository = () => {
  const path = folder();
  chmodSync(join(path, 'app/server.py'), 0o755);
  symlinkSync('README.md', join(path, 'link'));
  git(path, 'init', '-q');
  git(path, 'add', '-A');
  git(path, 'commit', '-qm', 'one');
  return path;
};
const selection = (path: string, globs: string[] = [], [template = join(path, 'packer'), ...varFiles]: string[] = []) => ({
  ...{ globs, template, varFiles: varFiles.map(file => join(path, file)), references: [] as string[], isDynamic: false },
});
const listed = async (path: string, globs: string[] = [], always: string[] = [], more: Partial<ContentSelection> = {}) =>
  Object.fromEntries(
    (await workspaceContent(path, env).files({ ...selection(path, globs, always), ...more })).map(file => [
      file.path,
      `${file.mode} ${file.blob}`,
    ]),
  );

describe('the files of a workspace', () => {
  test('of a clean checkout are the tree of the commit', async () => {
    const path = repository();
    const tree = git(path, 'ls-tree', '-r', 'HEAD')
      .trim()
      .split('\n')
      .map(line => /^(\d+) blob (\w+)\t(.*)$/.exec(line) ?? []);
    expect(await listed(path)).toEqual(Object.fromEntries(tree.map(([, mode, blob, file]) => [file, `${mode} ${blob}`])));
    expect((await listed(path))['app/server.py']).toMatch(/^100755 /);
    expect((await listed(path))['link']).toMatch(/^120000 /);
  });

  test('hash the same from git and from the disk', async () => {
    const path = repository();
    const fromGit = await listed(path);
    rmSync(join(path, '.git'), { recursive: true });
    expect(await listed(path)).toEqual(fromGit);
  });

  test('count as they are on the disk: changed, added, removed, renamed', async () => {
    const path = repository();
    const clean = await listed(path);
    write(path, { 'app/server.py': 'print(2)\n', 'app/new file.py': '' });
    rmSync(join(path, 'README.md'));
    const dirty = await listed(path);
    expect(dirty['app/server.py']).not.toBe(clean['app/server.py']);
    expect(dirty['app/new file.py']).toBeDefined();
    expect(dirty['README.md']).toBeUndefined();
    git(path, 'add', '-A');
    expect(await listed(path)).toEqual(dirty);
    // Committing a file later does not change its fingerprint.
    git(path, 'commit', '-qm', 'two');
    expect(await listed(path)).toEqual(dirty);
  });

  test('that git ignores do not count', async () => {
    const path = repository();
    const clean = await listed(path);
    write(path, { 'ignored/build.log': 'x' });
    expect(await listed(path)).toEqual(clean);
  });

  test('that git ignores count where Packer reads them: the template, its variables and the var files', async () => {
    const path = repository();
    write(path, { '.gitignore': 'ignored/\n*.pkrvars.hcl\nmanifest.json\n' });
    const always = [join(path, 'packer'), 'ignored/prod.pkrvars.hcl'];
    write(path, { 'packer/x.auto.pkrvars.hcl': 'a = 1', 'packer/manifest.json': '{}', 'ignored/prod.pkrvars.hcl': 'b = 1' });
    const before = await listed(path, [], always);
    expect(before).toMatchObject({ 'packer/x.auto.pkrvars.hcl': expect.any(String), 'ignored/prod.pkrvars.hcl': expect.any(String) });
    expect(before['packer/manifest.json']).toBeUndefined();
    write(path, { 'packer/x.auto.pkrvars.hcl': 'a = 2', 'ignored/prod.pkrvars.hcl': 'b = 2' });
    const after = await listed(path, [], always);
    expect(after['packer/x.auto.pkrvars.hcl']).not.toBe(before['packer/x.auto.pkrvars.hcl']);
    expect(after['ignored/prod.pkrvars.hcl']).not.toBe(before['ignored/prod.pkrvars.hcl']);
  });

  test('narrowed by globs are what they match, and template and var files always', async () => {
    const path = repository();
    write(path, { 'ignored/app.jar': 'x' });
    expect(Object.keys(await listed(path, ['app/**', 'ignored/*.jar'], [join(path, 'packer')])).sort()).toEqual([
      'app/server.py',
      'ignored/app.jar',
      'packer/image.pkr.hcl',
    ]);
    const all = ['.gitignore', 'app/server.py', 'link', 'packer/image.pkr.hcl'];
    expect(Object.keys(await listed(path, ['**', '!README.md', '!ignored'])).sort()).toEqual(all);
    write(path, { 'module/.git': 'gitdir: elsewhere', 'module/a': '' });
    expect(Object.keys(await listed(path, ['module/**'], [join(path, 'nowhere')]))).toEqual(['module/a']);
    expect(await listed(path, ['nothing/**'], [join(path, 'packer')])).toEqual({});
  });

  test('of a template at the root are what it loads and refers to, like those of one in a directory', async () => {
    const path = repository();
    write(path, { 'root.pkr.hcl': 'source {}', 'scripts/install.sh': 'one', 'src/main.py': '' });
    const of = (more: Partial<ContentSelection>) => listed(path, ['src/**'], [path], more);
    const references = [join(path, 'scripts')];
    expect(Object.keys(await of({ references })).sort()).toEqual(['root.pkr.hcl', 'scripts/install.sh', 'src/main.py']);
    // What only Packer can evaluate may be anywhere.
    expect(Object.keys(await of({ isDynamic: true }))).toContain('README.md');
  });

  test('of the directory of a template do not count where an exclusion matches, unless Packer loads them', async () => {
    const path = repository();
    write(path, { 'packer/README.md': '', 'packer/scripts/a.sh': '' });
    const globs = ['app/**', '!packer/README.md', '!packer/image.pkr.hcl'];
    expect(Object.keys(await listed(path, globs, [join(path, 'packer')])).sort()).toEqual([
      'app/server.py',
      'packer/image.pkr.hcl',
      'packer/scripts/a.sh',
    ]);
  });

  test('that git ignores count where the template refers to them', async () => {
    const path = repository();
    write(path, { 'ignored/app.jar': 'one' });
    const references = [join(path, 'ignored')];
    const before = await listed(path, [], undefined, { references });
    write(path, { 'ignored/app.jar': 'two' });
    expect((await listed(path, [], undefined, { references }))['ignored/app.jar']).not.toBe(before['ignored/app.jar']);
  });

  describe('that a build wrote', () => {
    const built = async (path: string, wrote: Record<string, string>, globs: string[] = []) => {
      const content = workspaceContent(path, env);
      const before = await content.files(selection(path, globs));
      write(path, wrote);
      await content.recordOutputs(selection(path, globs), before);
      return Object.fromEntries(before.map(file => [file.path, `${file.mode} ${file.blob}`]));
    };

    test.each([[[]], [['**']]])('do not count, new or changed, with %j, however often it builds', async globs => {
      const path = repository();
      for (const run of ['one', 'two']) {
        const before = await built(path, { 'manifest.json': run, 'README.md': run, 'ignored/list': run }, globs);
        expect(await listed(path, globs)).toEqual(before);
      }
    });

    test('count again once they are changed, for another template, and where Packer loads them', async () => {
      const path = repository();
      const before = await built(path, { 'manifest.json': 'one', 'packer/versions.auto.pkrvars.hcl': 'a = 1' });
      const after = await listed(path);
      expect(Object.keys(after).filter(file => after[file] !== before[file])).toEqual(['packer/versions.auto.pkrvars.hcl']);
      expect(await listed(path, [], [join(path, 'other')])).toHaveProperty(['manifest.json']);
      write(path, { 'manifest.json': 'two' });
      expect(await listed(path)).toHaveProperty(['manifest.json']);
    });
  });

  test.each([
    ['the whole tree', []],
    ['what globs match', ['app/**']],
  ])('behind links of template and var files count in addition to %s: Packer follows them', async (_, globs) => {
    const path = repository();
    write(path, { '.gitignore': 'ignored/\n', 'ignored/common.pkr.hcl': 'a = 1\n', 'ignored/prod.hcl': 'b = 1\n' });
    symlinkSync('packer', join(path, 'template'));
    symlinkSync('../ignored/common.pkr.hcl', join(path, 'packer/common.pkr.hcl'));
    symlinkSync('ignored/prod.hcl', join(path, 'prod.pkrvars.hcl'));
    // A loop and a broken link.
    symlinkSync('..', join(path, 'packer/up.pkr.hcl'));
    symlinkSync('nowhere', join(path, 'packer/gone.pkr.hcl'));
    const always = [join(path, 'template'), 'prod.pkrvars.hcl'];
    const before = await listed(path, globs, always);
    expect(Object.keys(before)).toEqual(
      expect.arrayContaining(['packer/image.pkr.hcl', 'packer/common.pkr.hcl', 'ignored/common.pkr.hcl', 'ignored/prod.hcl']),
    );
    write(path, { 'ignored/common.pkr.hcl': 'a = 2\n', 'ignored/prod.hcl': 'b = 2\n', 'packer/image.pkr.hcl': 'source { }\n' });
    const after = await listed(path, globs, always);
    for (const file of ['packer/image.pkr.hcl', 'ignored/common.pkr.hcl', 'ignored/prod.hcl']) expect(after[file]).not.toBe(before[file]);
  });

  test.each(['by its own path', 'through a link'])('of a template outside, %s, all count', async way => {
    const path = repository();
    const outside = folder({ 'image.pkr.hcl': 'source {}\n', 'scripts/install.sh': 'one\n' });
    symlinkSync(outside, join(path, 'away'));
    const template = way === 'through a link' ? join(path, 'away') : outside;
    const before = await listed(path, [], [template]);
    write(outside, { 'scripts/install.sh': 'two\n' });
    const after = await listed(path, [], [template]);
    expect(Object.keys(after).filter(file => after[file] !== before[file])).toEqual([
      expect.stringMatching(/^\.\..*scripts\/install\.sh$/),
    ]);
  });

  test('of a submodule count as they are on the disk, even if the repository ignores its changes', async () => {
    const inner = repository();
    const path = repository();
    git(path, '-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', inner, 'sub');
    git(path, 'config', '-f', '.gitmodules', 'submodule.sub.ignore', 'all');
    git(path, 'add', '-A');
    git(path, 'commit', '-qm', 'with a submodule');
    expect((await listed(path))['sub']).toBe(`160000 ${git(inner, 'rev-parse', 'HEAD').trim()}`);
    write(path, { 'sub/app/server.py': 'print(2)\n' });
    const dirty = await listed(path);
    expect(dirty['sub']).toBeUndefined();
    write(path, { 'sub/app/server.py': 'print(3)\n' });
    expect((await listed(path))['sub/app/server.py']).not.toBe(dirty['sub/app/server.py']);
  });

  test('of a second working tree, and of a checkout of one commit alone, are those of the repository', async () => {
    const path = repository();
    write(path, { 'app/server.py': 'print(2)\n' });
    git(path, 'commit', '-qam', 'two');
    const [tree, shallow] = [join(home, 'second-tree'), join(home, 'shallow')];
    git(path, 'worktree', 'add', '-q', '--detach', tree);
    git(home, 'clone', '-q', '--depth=1', `file://${path}`, shallow);
    expect(await listed(tree)).toEqual(await listed(path));
    expect(await listed(shallow)).toEqual(await listed(path));
  });

  test('may have any name and any size, and need not be files', async () => {
    const path = folder({ 'a\nb\t"c"': 'x' });
    writeFileSync(join(path, 'huge'), '');
    truncateSync(join(path, 'huge'), 20 * 1024 * 1024 + 1);
    const server = createServer().listen(join(path, 'socket'));
    execFileSync('mkfifo', [join(path, 'fifo')]);
    try {
      expect(await listed(path)).toEqual({
        'a\nb\t"c"': `100644 ${git(path, 'hash-object', '--', 'a\nb\t"c"').trim()}`,
        huge: `100644 ${git(path, 'hash-object', '--', 'huge').trim()}`,
      });
    } finally {
      server.close();
    }
  });

  test('with names that are not UTF-8 count when they are committed, and are refused where they would be lost', async () => {
    const path = repository();
    const named = (byte: number) => Buffer.from([...Buffer.from(join(path, 'app', 'x')), byte]);
    writeFileSync(named(0xfe), 'one');
    writeFileSync(named(0xff), 'one');
    await expect(listed(path)).rejects.toThrow('cannot be read: its name is not UTF-8');
    await expect(listed(path, ['app/**'])).rejects.toThrow('cannot be read');
    git(path, 'add', '-A');
    git(path, 'commit', '-qm', 'two');
    const both = await workspaceContent(path, env).files(selection(path));
    writeFileSync(named(0xfe), 'two');
    git(path, 'commit', '-qam', 'three');
    expect(await workspaceContent(path, env).files(selection(path))).not.toEqual(both);
  });

  test('a glob matches them, or none', async () => {
    const { matches } = workspaceContent(folder());
    for (const glob of ['app/**', 'app', '*.md']) expect(await matches(glob)).toBe(true);
    for (const glob of ['nowhere/**', 'app/*.rb']) expect(await matches(glob)).toBe(false);
  });

  test('are read though another user checked out, and no program of the repository is run', async () => {
    const path = repository();
    const clean = await listed(path);
    const mark = join(home, 'was-run');
    const evil = join(path, '.git', 'evil');
    writeFileSync(evil, `#!/bin/sh\ntouch ${mark}\n`);
    chmodSync(evil, 0o755);
    git(path, 'config', 'core.fsmonitor', evil);
    execFileSync('chown', ['-R', '12345', path]);
    expect(await listed(path)).toEqual(clean);
    expect(() => execFileSync('test', ['-e', mark])).toThrow();
  });
});

test('a program inside the workspace is not taken, not through a link from outside either', async () => {
  const path = folder({ 'bin/git': '#!/bin/sh\n' });
  chmodSync(join(path, 'bin/git'), 0o755);
  const outside = folder({});
  symlinkSync(join(path, 'bin/git'), join(outside, 'git'));
  const PATH = `${join(path, 'bin')}:${outside}`;
  expect(await onPath('git', { PATH })).toBe(join(path, 'bin/git'));
  expect(await onPath('git', { PATH, GITHUB_WORKSPACE: path })).toBeUndefined();
});
