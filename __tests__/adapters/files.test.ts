import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { labNumber } from '../../src/adapters/clock.ts';
import { workspaceFiles } from '../../src/adapters/files.ts';
import { githubHost } from '../../src/adapters/github.ts';

const home = realpathSync(mkdtempSync(join(tmpdir(), 'files-test-')));
const workspace = join(home, 'work');
const before = process.env['GITHUB_WORKSPACE'];
afterAll(() => {
  if (before === undefined) delete process.env['GITHUB_WORKSPACE'];
  else process.env['GITHUB_WORKSPACE'] = before;
  rmSync(home, { recursive: true });
});

for (const folder of ['work/scripts', 'work/.git', 'work/.github', 'work/link-target', 'away'])
  mkdirSync(join(home, folder), { recursive: true });
for (const file of ['work/scripts/check.sh', 'work/.git/config', 'work/link-target/inner.sh', 'away/secret'])
  writeFileSync(join(home, file), file);
const link = (target: string, path: string) => symlinkSync(target, join(workspace, path));
link('/proc/self/environ', 'scripts/environ');
link('../../away/secret', 'scripts/secret');
link('../away', 'folder-away');
link('../away/not-yet', 'results-away.xml');
link('../.git/config', 'scripts/token');
link('link-target', 'folder-inside');
link('loop', 'loop');
// A second link to the workspace itself, as some runners have it.
symlinkSync(workspace, join(home, 'also-work'));
const files = workspaceFiles(workspace);
const content = (path: string) => files.read(path).then(found => found?.map(file => Buffer.from(file.content).toString()));

describe('a file of the repository', () => {
  test('is read and written, also through links that stay in the workspace', async () => {
    expect(await content('scripts/check.sh')).toEqual(['work/scripts/check.sh']);
    expect(await content('folder-inside/inner.sh')).toEqual(['work/link-target/inner.sh']);
    expect(await content('nothing/there')).toBeUndefined();
    expect(await content('scripts/check.sh/below')).toBeUndefined();
    await files.write('reports/new/results.xml', 'ok');
    expect(readFileSync(join(workspace, 'reports/new/results.xml'), 'utf8')).toBe('ok');
    expect(await workspaceFiles(join(home, 'also-work')).read('scripts/check.sh')).toHaveLength(1);
  });

  test.each([
    ['scripts/environ', 'is a link that leaves the workspace'],
    ['scripts/secret', 'is a link that leaves the workspace'],
    ['folder-away/secret', 'is a link that leaves the workspace'],
    ['folder-away', 'is a link that leaves the workspace'],
    ['loop', 'is a link that leaves the workspace'],
    ['../away/secret', 'is outside the workspace'],
    ['/etc/passwd', 'is outside the workspace'],
    ['.git/config', 'is in .git'],
    ['scripts/token', 'is in .git'],
  ])('is refused when it is %j', async (path, says) => {
    await expect(files.read(path)).rejects.toThrow(`"${path}" ${says}`);
    await expect(files.write(path, 'x')).rejects.toThrow(`"${path}" ${says}`);
    expect(readFileSync(join(home, 'away/secret'), 'utf8')).toBe('away/secret');
  });

  test.each(['folder-away/new.xml', 'results-away.xml'])('is not created outside through %j', async path => {
    await expect(files.write(path, 'x')).rejects.toThrow('is a link that leaves the workspace');
  });
});

describe('the file of the settings', () => {
  const read = (path: string) => {
    process.env['GITHUB_WORKSPACE'] = workspace;
    return githubHost.file(path);
  };

  test('is read where it is, and may be missing', () => {
    writeFileSync(join(workspace, '.github/ami.yml'), 'family: web');
    expect([read('.github/ami.yml'), read('.github/other.yml')]).toEqual(['family: web', undefined]);
  });

  test('is refused as a directory, beyond its size, and outside the workspace', () => {
    writeFileSync(join(workspace, '.github/large.yml'), 'x'.repeat(128 * 1024 + 1));
    expect(() => read('.github')).toThrow('"config" must be a file, and .github is a directory');
    expect(() => read('.github/large.yml')).toThrow('"config" must be at most 131072 bytes, and .github/large.yml has 131073');
    expect(() => read('scripts/environ')).toThrow('is a link that leaves the workspace');
    expect(() => read('../away/secret')).toThrow('is outside the workspace');
  });
});

test.each([
  [undefined, undefined],
  ['https://ec2.eu-central-1.amazonaws.com', undefined],
  ['http://127.evil.example:80', undefined],
  ['http://localhost.evil.example', undefined],
  ['not a URL', undefined],
  ['http://127.0.0.1:4566', 60],
  ['http://localhost:4566', 60],
  ['http://[::1]:4566', 60],
])('with endpoint %j the speed of the clock is %j', (endpoint, speed) => {
  expect(labNumber('CLOCK_SPEED', { AMI_ACTION_CLOCK_SPEED: '60', AWS_ENDPOINT_URL: endpoint })).toBe(speed);
});
