import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

const amiAction = (...argv: readonly string[]): Promise<Done> => amiActionWith({}, ...argv);

function amiActionWith(env: Readonly<Record<string, string>>, ...argv: readonly string[]): Promise<Done> {
  const child = spawn(process.execPath, [BUNDLE, ...argv], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...l.lab.environment(), ...env },
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

  test('uses the credentials of the AWS CLI: a role of the file trusts jobs of GitHub only, and is assumed for a flag alone', async () => {
    l.image('web-a');
    const parameters = { Subject: 'repo:acme/web', RepositoryId: '1', Repository: 'acme/web', Families: 'web' };
    l.lab.deploy(readFileSync(join(root, 'examples', 'delivery-role.yml'), 'utf8'), { stack: 'ami-web', parameters });
    const role = 'arn:aws:iam::111122223333:role/ami-web-images';
    mkdirSync(join(folder, '.github'), { recursive: true });
    writeFileSync(join(folder, '.github', 'ami.yml'), `family: web\nrole-to-assume: ${role}\n`);
    const [plain, flagged] = [await amiAction('latest'), await amiAction('latest', '--role-to-assume', role)];
    rmSync(join(folder, '.github'), { recursive: true });
    expect([plain.code, plain.out]).toEqual([0, expect.stringMatching(/^ami-/)]);
    expect([flagged.code, flagged.err]).toEqual([3, expect.stringContaining(`Not allowed to assume ${role}`)]);
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

test('--version alone is that of the program, behind a command the setting', async () => {
  expect((await amiAction('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  const { code, err } = await amiAction('build', '--family', 'web', '--version', 'not a version', '--dry-run');
  expect([code, err.includes('"version" must be 1 to 64 letters')]).toEqual([2, true]);
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

describe('list', () => {
  test('prints a table on stdout, its progress on stderr', async () => {
    const id = l.image('web-a', { 'ami-action:version': '3.0.0' });
    const { code, out, err } = await amiAction('list', '--family', 'web');
    const [head = '', row = '', ...more] = out.trimEnd().split('\n');
    expect([code, more, err.includes(id)]).toEqual([0, [], false]);
    expect(head).toMatch(/^AMI ID +Name +Version +State +Created +Commit +Region +Verdict +Used by$/);
    expect(row).toMatch(
      new RegExp(`^${id} +web-a +3\\.0\\.0 +available +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d +ccccccc +eu-central-1 +passed +unused$`),
    );
  });
});

describe('the answers of latest and list are kept for five minutes', () => {
  const answers = join(folder, '.cache', 'ami-action', 'answers');
  const files = () => (existsSync(answers) ? readdirSync(answers).map(file => join(answers, file)) : []);
  const latest = (...more: readonly string[]) => amiAction('latest', '--family', 'web', ...more);
  /** The answer, and whether AWS was asked. */
  async function asked(ask: () => Promise<Done>): Promise<readonly [out: string, asked: boolean]> {
    const mark = l.lab.calls.mark();
    const { out } = await ask();
    return [out.trim(), l.lab.calls.since(mark).length > 0];
  }
  afterEach(() => rmSync(answers, { recursive: true, force: true }));

  test('the second call asks nothing and says so; --no-cache asks again', async () => {
    const id = l.image('web-a');
    expect([await asked(latest), await asked(latest)]).toEqual([
      [id, true],
      [id, false],
    ]);
    expect((await latest()).err).toMatch(/^As read .* ago\. --no-cache reads AWS again\.\n$/);
    const newer = l.image('web-b');
    expect([await asked(latest), await asked(() => latest('--no-cache')), await asked(latest)]).toEqual([
      [id, false],
      [newer, true],
      [newer, false],
    ]);
    const list = () => amiAction('list', '--family', 'web', '--no-where-used');
    const [first] = await asked(list);
    expect(await asked(list)).toEqual([first, false]);
  });

  test('for one question with one set of credentials: another region, flag or key asks for itself', async () => {
    const id = l.image('web-a');
    await latest();
    const others = [
      ['--region', 'eu-west-1'],
      ['--architecture', 'x86_64'],
    ];
    for (const other of others) expect((await asked(() => latest(...other)))[1]).toBe(true);
    const { AWS_ACCESS_KEY_ID = '' } = l.lab.environment({ account: '444455556666' });
    expect(await asked(() => amiActionWith({ AWS_ACCESS_KEY_ID }, 'latest', '--family', 'web'))).toEqual(['', true]);
    expect(await asked(latest)).toEqual([id, false]);
    // The same outputs in another form.
    expect((await asked(() => latest('--json')))[1]).toBe(false);
  });

  test('files are for this user alone; an old one, or one that others may read or write, is not used', async () => {
    const id = l.image('web-a');
    await latest();
    const [file = ''] = files();
    expect([files().length, statSync(file).mode & 0o777, statSync(answers).mode & 0o777]).toEqual([1, 0o600, 0o700]);
    const answer = JSON.parse(readFileSync(file, 'utf8'));
    const forged = {
      ...answer,
      outputs: [
        ['ami-id', 'ami-00000000000000000'],
        ['outcome', 'done'],
      ],
    };
    const changed = async (content: object, mode: number) => {
      writeFileSync(file, JSON.stringify(content));
      chmodSync(file, mode);
      return asked(latest);
    };
    expect(await changed(forged, 0o644)).toEqual([id, true]);
    expect(await changed({ ...answer, at: answer.at - 300_000 }, 0o600)).toEqual([id, true]);
    expect(await changed({ ...answer, at: answer.at + 3_600_000 }, 0o600)).toEqual([id, true]);
    expect(await changed({ nonsense: true }, 0o600)).toEqual([id, true]);
    expect(await asked(latest)).toEqual([id, false]);
  });

  test('no failure is kept, and nothing of what a warning came with', async () => {
    for (const _ of [1, 2]) expect((await asked(() => amiAction('latest', '--family', 'none')))[1]).toBe(true);
    l.image('web-a');
    l.lab.faults.add({ operation: 'DescribeAutoScalingGroups', action: { error: 'AccessDenied', message: 'no', status: 403 } });
    const list = () => amiAction('list', '--family', 'web');
    expect([(await list()).err.includes('used is unknown'), (await list()).err.includes('used is unknown')]).toEqual([true, true]);
    expect(files()).toEqual([]);
  });

  test('nothing that writes reads them, and what writes removes them', async () => {
    const [a] = [l.image('web-a')];
    expect(await asked(latest)).toEqual([a, true]);
    const b = l.image('web-b');
    expect((await latest()).out).toBe(`${a}\n`);
    const promoted = await amiAction('promote', '--family', 'web', '--environment', 'stage', '--image', 'latest', '--strategy', 'none');
    expect([promoted.code, l.pointer(), files()]).toEqual([0, b, []]);
    expect(await asked(latest)).toEqual([b, true]);
    const refused = await amiAction('build', '--family', 'web', '--no-cache');
    expect([refused.code, refused.err]).toEqual([2, '--no-cache is for list and latest. Every other command reads AWS.\n']);
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
