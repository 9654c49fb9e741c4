import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { REPOSITORY } from './repository.ts';

/**
 * `npm run release -- --out <folder>`: checks that the checkout can be released and writes notes, archive, SBOM, checksums and the commands
 * that publish them. It publishes nothing itself.
 */

const root = resolve(import.meta.dirname, '..');
const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'pipe'] });

/** A commit that the notes list: `fix(rollout): text`, with `!` or BREAKING CHANGE for a breaking one. */
interface Change {
  readonly type: string;
  readonly scope: string;
  readonly text: string;
  readonly breaking: boolean;
}

const SECTIONS: readonly (readonly [title: string, is: (change: Change) => boolean])[] = [
  ['Breaking changes', ({ breaking }) => breaking],
  ['New', ({ type, breaking }) => type === 'feat' && !breaking],
  ['Fixed', ({ type, breaking }) => type === 'fix' && !breaking],
  ['Faster', ({ type, breaking }) => type === 'perf' && !breaking],
];

export function changeOf(subject: string, body: string): Change | undefined {
  const [, type, scope = '', mark, text] = /^(\w+)(?:\(([\w-]+)\))?(!)?: (.+)$/.exec(subject) ?? [];
  if (type === undefined || text === undefined) return undefined;
  return { type, scope, text, breaking: mark === '!' || /^BREAKING[ -]CHANGE:/m.test(body) };
}

export const notesOf = (version: string, changes: readonly Change[]): string =>
  [
    `# ${version}`,
    ...SECTIONS.flatMap(([title, is]) => {
      const lines = changes.filter(is).map(({ scope, text }) => `- ${scope === '' ? '' : `**${scope}**: `}${text}`);
      return lines.length === 0 ? [] : [`## ${title}\n\n${lines.join('\n')}`];
    }),
  ].join('\n\n');

/** What forbids a release of this checkout, one line each. */
export function problems(version: string): readonly string[] {
  const index = readFileSync(join(root, 'src', 'index.ts'), 'utf8');
  return [
    ...(/^\d+\.\d+\.\d+$/.test(version) ? [] : [`package.json has version ${version}: must be X.Y.Z`]),
    ...(index.includes(`VERSION = '${version}'`) ? [] : [`src/index.ts has another VERSION than package.json (${version})`]),
    ...(readFileSync(join(root, 'README.md'), 'utf8').includes(`/v${version}/examples/`)
      ? []
      : [`README.md takes the role templates of another version than ${version}`]),
    ...(run('git', 'tag', '--list', `v${version}`) === '' ? [] : [`tag v${version} exists: raise the version in package.json`]),
    ...(run('git', 'status', '--porcelain', '--untracked-files=no') === '' ? [] : ['the checkout has uncommitted changes']),
  ];
}

function changesSince(tag: string | undefined): readonly Change[] {
  const range = tag === undefined ? 'HEAD' : `${tag}..HEAD`;
  return run('git', 'log', '--format=%s%x1f%b%x1e', range)
    .split('\x1e')
    .flatMap(entry => {
      const [subject = '', body = ''] = entry.trim().split('\x1f');
      return changeOf(subject, body) ?? [];
    });
}

const lastTag = (): string | undefined =>
  run('git', 'tag', '--list', 'v*.*.*', '--merged', 'HEAD', '--sort=-version:refname').split('\n')[0] || undefined;

/** Fails before anything is public where the repository lacks what makes a release trustworthy. The tag of the major version moves last. */
const publishScript = (version: string): string => {
  const [tag, major] = [`v${version}`, `v${version.split('.')[0]}`];
  const check = (command: string, expected: string, otherwise: string) =>
    `test "$(${command})" = ${expected} || { echo "${otherwise}"; exit 1; }`;
  return [
    '#!/usr/bin/env bash',
    'set -euo pipefail',
    '# The address in the docs and examples must be that of this repository.',
    check(
      'gh repo view --json nameWithOwner --jq .nameWithOwner',
      REPOSITORY,
      'set REPOSITORY in scripts/repository.ts and run npm run contract',
    ),
    check(
      `gh api repos/${REPOSITORY}/environments/release --jq 'any(.protection_rules[]; .type == "required_reviewers")'`,
      'true',
      'the environment release has no required reviewers',
    ),
    `git tag ${tag}`,
    `git push origin ${tag}`,
    '# An immutable release takes no files after it is published.',
    `gh release create ${tag} --draft --verify-tag --title ${tag} --notes-file release/notes.md release/*.tgz release/ami-action.mjs release/sbom.cdx.json release/SHA256SUMS`,
    `gh release edit ${tag} --draft=false`,
    check(
      `gh api repos/${REPOSITORY}/releases/tags/${tag} --jq .immutable`,
      'true',
      'switch on immutable releases in the settings of the repository',
    ),
    'npm publish --provenance --access public release/*.tgz',
    `git tag --force ${major}`,
    `git push --force origin ${major}`,
    '',
  ].join('\n');
};

/** Of what ships: `npm sbom --omit dev` also omits packages that a development tool uses too, so it gets a package without the tools. */
function sbom(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-sbom-'));
  try {
    const { devDependencies: _, workspaces: __, ...shipped } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify(shipped));
    cpSync(join(root, 'package-lock.json'), join(folder, 'package-lock.json'));
    const npm = (...args: readonly string[]) => execFileSync('npm', args, { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
    npm('install', '--package-lock-only', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund');
    return npm('sbom', '--sbom-format', 'cyclonedx', '--package-lock-only');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The terminal program as one file, for an instance or a machine without npm: `node ami-action.mjs latest --family web`. */
export async function terminalFile(file: string): Promise<void> {
  // Packages that are CommonJS call `require`, which a module does not have.
  const banner = "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);";
  await build({
    ...{ bundle: true, format: 'esm', platform: 'node', target: 'node20', mainFields: ['module', 'main'] },
    ...{ minify: true, keepNames: true, banner: { js: banner } },
    entryPoints: [join(root, 'src', 'index.ts')],
    outfile: file,
  });
}

async function write(out: string, version: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  run('npm', 'pack', '--pack-destination', out, '--ignore-scripts');
  await terminalFile(join(out, 'ami-action.mjs'));
  writeFileSync(join(out, 'sbom.cdx.json'), sbom());
  writeFileSync(join(out, 'notes.md'), `${notesOf(version, changesSince(lastTag()))}\n`);
  writeFileSync(join(out, 'publish.sh'), publishScript(version));
  const sums = readdirSync(out).map(
    file =>
      `${createHash('sha256')
        .update(readFileSync(join(out, file)))
        .digest('hex')}  ${file}`,
  );
  writeFileSync(join(out, 'SHA256SUMS'), `${sums.join('\n')}\n`);
}

if (import.meta.main) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const found = problems(version);
  for (const problem of found) console.error(problem);
  if (found.length > 0) process.exit(1);
  const out = resolve(process.argv[process.argv.indexOf('--out') + 1] ?? 'release');
  await write(out, version);
  console.log(`v${version}: ${readdirSync(out).join(', ')}`);
}
