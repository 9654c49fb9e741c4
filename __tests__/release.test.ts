import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { changeOf, notesOf } from '../scripts/release.ts';

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
    for (const file of ['package.json', 'scripts', 'src', 'bin']) cpSync(join(root, file), join(clone, file), { recursive: true });
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
    expect(readFileSync(join(out, 'publish.sh'), 'utf8')).toContain(`git tag --force v${version.split('.')[0]}`);
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
