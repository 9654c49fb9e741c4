import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { changeOf, notesOf } from '../scripts/release.ts';
import { REPOSITORY } from '../scripts/repository.ts';

const root = join(import.meta.dirname, '..');
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;

describe('notes', () => {
  test('a conventional subject is a change, any other is not', () => {
    expect(changeOf('fix(rollout): keep the pointer', '')).toEqual({
      type: 'fix',
      scope: 'rollout',
      text: 'keep the pointer',
      breaking: false,
    });
    expect(changeOf('feat!: drop a setting', '')).toMatchObject({ breaking: true });
    expect(changeOf('feat: x', 'text\nBREAKING CHANGE: y')).toMatchObject({ breaking: true });
    expect(changeOf('Merge branch main', '')).toBeUndefined();
  });

  test('list what a user notices, breaking changes first', () => {
    const changes = [
      { type: 'fix', scope: 'build', text: 'b', breaking: false },
      { type: 'feat', scope: '', text: 'a', breaking: false },
      { type: 'refactor', scope: 'kit', text: 'c', breaking: false },
      { type: 'feat', scope: 'share', text: 'd', breaking: true },
    ];
    expect(notesOf('1.2.3', changes)).toBe(
      '# 1.2.3\n\n## Breaking changes\n\n- **share**: d\n\n## New\n\n- a\n\n## Fixed\n\n- **build**: b',
    );
  });
});

describe('a dry run on a scratch clone', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'ami-action-release-'));
  const clone = join(scratch, 'clone');
  const out = join(scratch, 'out');
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], { cwd: clone, encoding: 'utf8' });
  const release = () =>
    execFileSync(process.execPath, ['scripts/release.ts', '--out', out], { cwd: clone, encoding: 'utf8', stdio: 'pipe' });

  beforeAll(() => {
    execFileSync('git', ['clone', '--quiet', '--no-tags', root, clone]);
    // The files as they are now, committed or not.
    for (const file of ['package.json', 'README.md', 'scripts', 'src', 'bin'])
      cpSync(join(root, file), join(clone, file), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
    git('add', '--all');
    git('commit', '--quiet', '--allow-empty', '-m', 'feat(terminal): a change for the notes');
  }, 60_000);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test('writes archive, SBOM, notes, commands and checksums that fit', () => {
    expect(release()).toContain(`v${version}: `);
    const files = ['SHA256SUMS', `ami-action-${version}.tgz`, 'ami-action.mjs', 'notes.md', 'publish.sh', 'sbom.cdx.json'];
    expect(readdirSync(out).sort()).toEqual(files);
    for (const line of readFileSync(join(out, 'SHA256SUMS'), 'utf8').trim().split('\n')) {
      const [sum, file = ''] = line.split('  ');
      expect(
        createHash('sha256')
          .update(readFileSync(join(out, file)))
          .digest('hex'),
      ).toBe(sum);
    }
    const sbom = JSON.parse(readFileSync(join(out, 'sbom.cdx.json'), 'utf8')) as { components: { name: string }[] };
    const names = sbom.components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['zod', 'yaml', '@aws-sdk/client-ec2']));
    expect(names.filter(name => ['jest', 'knip', 'ssh2', 'lab'].includes(name))).toEqual([]);
    expect(readFileSync(join(out, 'notes.md'), 'utf8')).toContain('**terminal**: a change for the notes');
    const packed = execFileSync('tar', ['-tzf', join(out, `ami-action-${version}.tgz`)], { encoding: 'utf8' }).split('\n');
    expect(packed).toEqual(expect.arrayContaining(['package/bin/ami-action.js', 'package/dist/index.js', 'package/action.yml']));
    expect(packed.filter(file => /__tests__|\/lab\/|\/src\//.test(file))).toEqual([]);
  }, 120_000);

  test('has the terminal program as one file that needs nothing next to it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ami-action-alone-'));
    cpSync(join(out, 'ami-action.mjs'), join(folder, 'ami-action.mjs'));
    const run = (...args: readonly string[]) =>
      spawnSync(process.execPath, ['ami-action.mjs', ...args], { cwd: folder, encoding: 'utf8', env: {} });
    expect(run('--version').stdout.trim()).toBe(version);
    // With a region and no credentials it gets as far as the call.
    const latest = run('latest', '--family', 'web', '--region', 'eu-central-1', '--allow-instance-role', 'false');
    expect([latest.status, latest.stderr]).toEqual([3, expect.stringContaining('redentials')]);
    expect(
      run('init', '--family', 'web', '--region', 'eu-central-1', '--account', '111122223333', '--groups', 'stage=web').stderr,
    ).toContain('npx ami-action init');
    rmSync(folder, { recursive: true });
  }, 60_000);

  const untag = () =>
    git('tag')
      .split('\n')
      .filter(Boolean)
      .map(tag => git('tag', '--delete', tag));

  /** Runs the commands in the clone, whose origin is a bare repository. `gh` answers what is asked, and both programs write down how they are called. */
  function publish(answers: Readonly<Record<string, string>>) {
    const [bin, origin, log] = ['bin', 'origin.git', 'log'].map(name => join(scratch, name)) as [string, string, string];
    for (const path of [bin, origin, log]) rmSync(path, { recursive: true, force: true });
    untag();
    execFileSync('git', ['clone', '--quiet', '--bare', clone, origin]);
    git('remote', 'set-url', 'origin', origin);
    cpSync(out, join(clone, 'release'), { recursive: true });
    mkdirSync(bin);
    const cases = Object.entries(answers).map(([asked, answer]) => `*'${asked}'*) echo '${answer}';;`);
    writeFileSync(join(bin, 'gh'), `#!/bin/sh\necho "gh $*" >>${log}\ncase "$*" in ${cases.join(' ')} esac\n`, { mode: 0o755 });
    writeFileSync(join(bin, 'npm'), `#!/bin/sh\necho "npm $*" >>${log}\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` };
    const { status, stdout } = spawnSync('bash', ['release/publish.sh'], { cwd: clone, env, encoding: 'utf8' });
    rmSync(join(clone, 'release'), { recursive: true });
    untag();
    const tags = execFileSync('git', ['tag', '--list', '--format=%(refname:short) %(objectname)'], { cwd: origin, encoding: 'utf8' });
    const calls = readFileSync(log, 'utf8').trim().split('\n');
    return {
      status,
      stdout,
      calls,
      tags: Object.fromEntries(
        tags
          .trim()
          .split('\n')
          .filter(Boolean)
          .map(line => line.split(' ')),
      ),
    };
  }
  const READY = { 'repo view': REPOSITORY, 'environments/release': 'true', 'releases/tags': 'true' };

  test('its commands make tag and release, publish with provenance, and move the tag of the major version last', () => {
    const { status, calls, tags } = publish(READY);
    const head = git('rev-parse', 'HEAD').trim();
    expect([status, tags]).toEqual([0, { [`v${version}`]: head, [`v${version.split('.')[0]}`]: head }]);
    expect(calls.filter(call => /release (create|edit)|npm/.test(call))).toEqual([
      `gh release create v${version} --draft --verify-tag --title v${version} --notes-file release/notes.md release/ami-action-${version}.tgz release/ami-action.mjs release/sbom.cdx.json release/SHA256SUMS`,
      `gh release edit v${version} --draft=false`,
      `npm publish --provenance --access public release/ami-action-${version}.tgz`,
    ]);
  });

  test.each([
    ['of another address', { 'repo view': 'acme/ami-action' }, 'set REPOSITORY in scripts/repository.ts', []],
    ['without a reviewer', { 'environments/release': 'false' }, 'the environment release has no required reviewers', []],
    ['without immutable releases', { 'releases/tags': 'false' }, 'switch on immutable releases', [`v${version}`]],
  ])('a repository %s publishes nothing on npm, and v0 stays', (_, answer, message, left) => {
    const { status, stdout, calls, tags } = publish({ ...READY, ...answer });
    expect([status, Object.keys(tags)]).toEqual([1, left]);
    expect(stdout).toContain(message);
    expect(calls.filter(call => call.startsWith('npm'))).toEqual([]);
  });

  test('refuses a version that has a tag, and a checkout with changes', () => {
    git('tag', `v${version}`);
    writeFileSync(join(clone, 'action.yml'), 'changed');
    try {
      release();
      throw new Error('it released');
    } catch (failure) {
      const { stderr } = failure as { stderr?: string };
      expect(stderr).toContain(`tag v${version} exists`);
      expect(stderr).toContain('uncommitted changes');
    }
  }, 120_000);
});
