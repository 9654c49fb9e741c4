import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type RollLab, rollLab } from './roll-lab.ts';

/** The terminal program, as a person or a script calls it: arguments in; stdout, stderr and exit code out. */

const BUNDLE = process.env['AMI_ACTION_BUNDLE'] ?? join(import.meta.dirname, '..', '..', 'dist', 'index.js');
const root = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'ami-action-terminal-'));
let l: RollLab;

beforeEach(async () => {
  l = await rollLab();
});
afterEach(() => l.lab.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Done {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function amiAction(...argv: readonly string[]): Promise<Done> {
  const child = spawn(process.execPath, [BUNDLE, ...argv], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...l.lab.environment() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    text.out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text.err += chunk;
  });
  return new Promise(done => child.on('close', code => done({ code, ...text })));
}

describe('a mode', () => {
  test('prints its outputs as lines on stdout and its progress on stderr', async () => {
    const id = l.image('web-a');
    const { code, out, err } = await amiAction('resolve', '--family', 'web', '--image', id);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^ami-id +${id}$`, 'm'));
    expect(out).toMatch(/^outcome +done$/m);
    expect(err).not.toContain('::');
  });

  test('prints JSON for a program', async () => {
    const id = l.image('web-a');
    const { code, out } = await amiAction('--json', 'resolve', '--family=web', `--image=${id}`);
    expect([code, JSON.parse(out)]).toMatchObject([0, { 'ami-id': id, outcome: 'done' }]);
  });

  test('reads .github/ami.yml, and a flag wins over the file', async () => {
    const [a, b] = [l.image('web-a'), l.image('web-b')];
    mkdirSync(join(folder, '.github'), { recursive: true });
    writeFileSync(join(folder, '.github', 'ami.yml'), `family: web\nimage: ${a}\n`);
    try {
      expect(JSON.parse((await amiAction('resolve', '--json')).out)['ami-id']).toBe(a);
      expect(JSON.parse((await amiAction('resolve', '--json', '--image', b)).out)['ami-id']).toBe(b);
    } finally {
      rmSync(join(folder, '.github'), { recursive: true });
    }
  });

  test('promotes, moves the pointer and masks nothing on the terminal by workflow commands', async () => {
    const [a, b] = [l.image('web-a'), l.image('web-b')];
    const template = await l.template('web', { ImageId: a });
    await l.group('web', { LaunchTemplateId: template, Version: '1' });
    await l.pointerTo(a);
    const { code, out, err } = await amiAction(
      'promote',
      '--family',
      'web',
      '--environment',
      'stage',
      '--image',
      b,
      '--groups',
      'web',
      '--bake',
      '2m',
    );
    expect([code, l.pointer(), l.runs('web')]).toEqual([0, b, [b, b]]);
    expect(out).toMatch(/^changed +true$/m);
    expect(`${out}${err}`).not.toContain('::');
  });

  test('a dry run changes nothing', async () => {
    const [a, b] = [l.image('web-a'), l.image('web-b')];
    await l.pointerTo(a);
    const { code, out } = await amiAction(
      'promote',
      '--family',
      'web',
      '--environment',
      'stage',
      '--image',
      b,
      '--strategy',
      'none',
      '--dry-run',
    );
    expect([code, l.pointer()]).toEqual([0, a]);
    expect(out).toMatch(/^outcome +planned$/m);
  });
});

describe('latest', () => {
  test('prints the ID alone, for scripts', async () => {
    const id = l.image('web-a');
    expect(await amiAction('latest', '--family', 'web')).toMatchObject({ code: 0, out: `${id}\n` });
  });

  test('exits 1 and prints nothing on stdout where the family has no image', async () => {
    const { code, out, err } = await amiAction('latest', '--family', 'nothing');
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('nothing');
  });
});

describe('a wrong command line exits 2 before any API call', () => {
  test.each([
    [['resolv'], 'did you mean "resolve"'],
    [['resolve', '--imag', 'latest'], 'did you mean "image"'],
    [['resolve', '--family'], '--family needs a value.'],
    [['resolve', '--famly'], '--famly is not a setting. Did you mean --family?'],
    [['resolve', 'web'], '"web" is not a flag. Write settings as --name value.'],
    [['completion', 'fish'], '"completion" takes bash or zsh, got "fish"'],
    [['help', 'promot'], '"promot" is not a mode. Did you mean "promote"?'],
  ] as const)('%j', async (argv, message) => {
    const before = l.lab.calls.mark();
    const { code, err } = await amiAction(...argv);
    expect([code, l.lab.calls.since(before)]).toEqual([2, []]);
    expect(err).toContain(message);
  });
});

/** Runs the script with programs that only write down how they are called. Returns stack and parameters of each deployment. */
function runRoleScript(script: string): readonly (readonly [stack: string, parameters: readonly string[]])[] {
  const bin = mkdtempSync(join(tmpdir(), 'ami-action-bin-'));
  const program = (name: string, body: string) => writeFileSync(join(bin, name), `#!/usr/bin/env bash\n${body}\n`, { mode: 0o755 });
  program('gh', `[ "$4" = .id ] && echo 2 || echo 'repo:acme@1/web@2'`);
  program('curl', 'true');
  program(
    'aws',
    `case "$1 $2" in 'iam list-'*) echo 0;; autoscaling*) echo lt-0;; *) printf '%s\\0' "$@" >> ${bin}/log; printf '\\n' >> ${bin}/log;; esac`,
  );
  try {
    execFileSync('bash', [script], { env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` } });
    const lines = readFileSync(join(bin, 'log'), 'utf8').trimEnd().split('\n');
    return lines.map(line => {
      const words = line.split('\0').filter(Boolean);
      return [words[words.indexOf('--stack-name') + 1] ?? '', words.slice(words.indexOf('--parameter-overrides') + 1)] as const;
    });
  } finally {
    rmSync(bin, { recursive: true });
  }
}

describe('init', () => {
  const answers = ['--family', 'web', '--region', 'eu-central-1', '--account', '111122223333', '--groups', 'stage=web-stage,prod=web-prod'];
  const settings = () => readFileSync(join(folder, '.github', 'ami.yml'), 'utf8');
  afterEach(() => rmSync(join(folder, '.github'), { recursive: true, force: true }));

  test('writes settings that the modes accept, and the workflows', async () => {
    const { code, out } = await amiAction('init', ...answers);
    expect(code).toBe(0);
    expect(out).toContain('Wrote .github/ami.yml');
    expect(readdirSync(join(folder, '.github', 'workflows')).sort()).toEqual([
      'ami-prod.yml',
      'ami-prune.yml',
      'ami-rollback.yml',
      'ami-stage.yml',
    ]);
    expect(parse(settings())).toMatchObject({
      family: 'web',
      'role-to-assume': 'arn:aws:iam::111122223333:role/ami-web-images',
      'instance-profile': 'ami-web-test',
      environments: {
        stage: { groups: ['web-stage'], 'role-to-assume': 'arn:aws:iam::111122223333:role/ami-web-stage-rollout' },
        prod: { groups: ['web-prod'], 'role-to-assume': 'arn:aws:iam::111122223333:role/ami-web-prod-rollout' },
      },
    });
    expect((await amiAction('resolve', '--image', l.image('web-a'), '--role-to-assume', '')).err).not.toContain('is not a setting');
  });

  test('writes a script that deploys the roles of the templates, with their parameters', async () => {
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    execFileSync('git', ['remote', 'add', 'origin', 'git@github.com:acme/web.git'], { cwd: folder });
    await amiAction('init', ...answers);
    const script = join(folder, '.github', 'ami-roles.sh');
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    // Not of the tag of a major version, which moves.
    expect(readFileSync(script, 'utf8')).toContain(`/ami-action/v${version}/examples/$2.yml`);
    const calls = runRoleScript(script);
    rmSync(join(folder, '.git'), { recursive: true });
    expect(calls.map(([stack]) => stack)).toEqual(['ami-web', 'ami-web-stage', 'ami-web-prod']);
    const [images = [], , prod = []] = calls.map(([, parameters]) => parameters);
    expect(images).toEqual(['Subject=repo:acme@1/web@2', 'RepositoryId=2', 'Families=web', 'Repository=acme/web', 'Provider=create']);
    expect(prod.slice(3)).toEqual(['Environment=prod', 'Pointers=/ami/web', 'Groups=web-prod*', 'LaunchTemplates=lt-0']);
    // The lab deploys the template with exactly these parameters, and refuses unknown ones.
    for (const [n, file] of ['delivery-role.yml', 'environment-role.yml'].entries()) {
      const parameters = Object.fromEntries((n === 0 ? images : prod).map(parameter => parameter.split(/=(.*)/s)));
      l.lab.deploy(readFileSync(join(root, 'examples', file), 'utf8'), { stack: `ami-${n}`, parameters });
    }
  });

  test('never replaces a file without --force', async () => {
    await amiAction('init', ...answers);
    writeFileSync(join(folder, '.github', 'ami.yml'), 'mine');
    const { code, err } = await amiAction('init', ...answers);
    expect([code, settings()]).toEqual([2, 'mine']);
    expect(err).toContain('.github/ami.yml exists already.');
    expect((await amiAction('init', '--force', ...answers)).code).toBe(0);
    expect(settings()).toContain('family: web');
  });

  test('a dry run lists the files and writes none', async () => {
    const { code, out } = await amiAction('init', '--dry-run', ...answers);
    expect([code, existsSync(join(folder, '.github'))]).toEqual([0, false]);
    expect(out).toContain('Would write .github/workflows/ami-stage.yml');
  });

  test('without a terminal every missing or wrong answer is named at once', async () => {
    const { code, err } = await amiAction('init', '--family', 'web', '--region', 'Frankfurt');
    expect(code).toBe(2);
    for (const message of [
      '--region must be a region such as eu-central-1, got "Frankfurt".',
      '--account is required',
      '--groups is required',
    ])
      expect(err).toContain(message);
  });
});

test('credentials that AWS refuses exit 3', async () => {
  l.lab.faults.add({ operation: 'DescribeImages', action: { error: 'UnauthorizedOperation', status: 403 } });
  expect((await amiAction('latest', '--family', 'web')).code).toBe(3);
});

test('help names every mode, and completions end with their registration', async () => {
  const [help, completion] = [await amiAction('help'), await amiAction('completion', 'bash')];
  for (const mode of ['build', 'validate', 'share', 'promote', 'rollback', 'prune', 'resolve', 'list', 'delete'])
    expect(help.out).toContain(mode);
  expect([help.code, completion.code]).toEqual([0, 0]);
  expect(completion.out).toMatch(/complete -F _ami_action ami-action\n$/);
});
