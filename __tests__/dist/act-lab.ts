import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { type Cloud, connect } from '../../demo/fleet.ts';
import { makeRepository, type Repository } from '../../demo/repository.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { insistOnPermissions } from '../../lab/permissions.ts';
import { goTool } from '../../scripts/go-tools.ts';
import { packerTools } from '../../scripts/packer-tools.ts';
import { fakeGitHub, type GitHub } from './github.ts';

/**
 * A repository with the example workflows, run by act against a lab: `needs`, `if`, outputs and inputs are seen, not read. https://nektosact.com
 * Jobs have no keys: what they may do is what the role that trusts their token may do.
 */

const root = join(import.meta.dirname, '..', '..');
const PIPELINE = join('.github', 'workflows', 'ami-pipeline.yml');

export interface Acted {
  readonly exitCode: number | null;
  readonly log: string;
  /** Names of the jobs that ended so. */
  readonly succeeded: readonly string[];
  readonly failed: readonly string[];
}

export interface Event {
  readonly inputs?: Readonly<Record<string, string>>;
  /** The payload, such as that of a pull request. */
  readonly payload?: object;
  /** Variables of the repository or the environment. */
  readonly vars?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  /** Without them, those of the main branch. */
  readonly ref?: string;
}

export interface ActLab {
  readonly lab: Lab;
  readonly cloud: Cloud;
  readonly repository: Repository;
  readonly github: GitHub;
  /** For programs and files of a test. `bin` in it is on PATH. */
  readonly folder: string;
  act(event: string, workflow: string, inputs?: Readonly<Record<string, string>>, more?: Omit<Event, 'inputs'>): Promise<Acted>;
  close(): Promise<void>;
}

export interface ActLabOptions {
  readonly speed?: number;
  /** Stand-ins for actions of others, which act would download: `owner/name@ref` -> a script. */
  readonly actions?: Readonly<Record<string, string>>;
}

/** The runner as it is between jobs. */
interface Runner {
  readonly folder: string;
  readonly lab: Lab;
  readonly repository: Repository;
  readonly github: GitHub;
  /** `owner/name@ref` -> its folder. */
  readonly actions: Readonly<Record<string, string>>;
  /** The workflow and the ref of the run that asks for tokens. */
  current: { workflow: string; ref: string };
}

export async function actLab({ speed = 60, actions = {} }: ActLabOptions = {}): Promise<ActLab> {
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-act-'));
  const lab = await startLab({ speed, hostManagement: true });
  const repository = makeRepository(join(folder, 'web'));
  execFileSync('git', ['remote', 'add', 'origin', 'https://github.com/acme/web.git'], { cwd: repository.path });
  mkdirSync(join(repository.path, '.github', 'workflows'), { recursive: true });
  for (const file of readdirSync(join(root, 'examples', 'workflows')))
    forAct(join(root, 'examples', 'workflows', file), join(repository.path, '.github', 'workflows', file));
  copyAction(join(folder, 'action'));
  const current = { workflow: '', ref: 'refs/heads/main' };
  const github = await fakeGitHub(query => subjectOf(query, { folder, repository, current }));
  const standIns = Object.fromEntries(Object.entries(actions).map(([name, script]) => [name, standIn(folder, name, script)]));
  const runner: Runner = { folder, lab, repository, github, current, actions: standIns };
  installNode(runner);
  return {
    ...{ lab, cloud: connect(lab), repository, github, folder },
    act: (event, workflow, inputs = {}, more = {}) => runAct(event, workflow, { ...more, inputs }, runner),
    close: async () => {
      await lab.close();
      await github.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What `org/ami-action@v1` is: the action as it is checked out, with the bundle under test. */
function copyAction(to: string): void {
  const bundle = process.env['AMI_ACTION_BUNDLE'] === undefined ? join(root, 'dist') : dirname(process.env['AMI_ACTION_BUNDLE']);
  mkdirSync(to);
  const subActions = readdirSync(root, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && readdirSync(join(root, entry.name)).includes('action.yml'))
    .map(({ name }) => name);
  for (const part of ['action.yml', 'package.json', '.github', 'tools', ...subActions])
    cpSync(join(root, part), join(to, part), { recursive: true });
  forAct(join(root, PIPELINE), join(to, PIPELINE));
  cpSync(bundle, join(to, 'dist'), { recursive: true });
}

function standIn(folder: string, name: string, script: string): string {
  const path = join(folder, name.replace(/\W/g, '-'));
  mkdirSync(path);
  writeFileSync(join(path, 'action.yml'), `name: ${name}\nruns: { using: node24, main: index.js }\n`);
  writeFileSync(join(path, 'index.js'), script);
  return path;
}

/** act does not know three keys of 2026: `deployment`, `queue` and `uses: $/path`. https://github.com/nektos/act/issues/6086 */
const forAct = (from: string, to: string): void =>
  writeFileSync(
    to,
    readFileSync(from, 'utf8')
      .replace(/^ +(deployment: false|queue: max)\n/gm, '')
      .replace(/uses: \$\/(\w+)/g, 'uses: org/ami-action/$1@v1'),
  );

/**
 * act has no token service: the `node` that it finds adds what GitHub's runner knows of a job. A shell would drop variables such as INPUT_DRY-RUN.
 * act asks a `node` for its path first, and then runs that.
 */
function installNode({ folder }: Runner): void {
  mkdirSync(join(folder, 'bin'));
  const node = join(folder, 'bin', 'node');
  const program = `#!${process.execPath}
const { env, argv } = process;
if (argv.includes('-e') || argv.some(text => text.includes('process.execPath'))) {
  console.log(argv[1]);
} else {
  if (env.ACTIONS_ID_TOKEN_REQUEST_URL) env.ACTIONS_ID_TOKEN_REQUEST_URL += '&' + new URLSearchParams({ job: env.GITHUB_JOB ?? '', environment: env.INPUT_ENVIRONMENT ?? '' });
  argv.splice(1, 1);
  import(argv[1]);
}
`;
  writeFileSync(node, program, { mode: 0o755 });
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly environment?: string | { readonly name?: string };
}

/** The subject of a job, as GitHub forms it from the workflow. https://docs.github.com/en/actions/reference/security/oidc#example-subject-claims */
function subjectOf(query: URLSearchParams, { folder, repository, current }: Pick<Runner, 'folder' | 'repository' | 'current'>) {
  const files = [join(repository.path, '.github', 'workflows', current.workflow), join(folder, 'action', PIPELINE)];
  const all = files.map(file => (parse(readFileSync(file, 'utf8')) as { jobs: Readonly<Record<string, Job>> }).jobs);
  const job = all
    .flatMap(jobs => Object.entries(jobs))
    .find(([id, { permissions }]) => permissions?.['id-token'] === 'write' && id === query.get('job'))?.[1];
  if (job === undefined) return undefined;
  const { environment } = job;
  const name = (typeof environment === 'object' ? environment.name : environment)?.replace(
    /^\$\{\{.*\}\}$/,
    query.get('environment') ?? '',
  );
  const rest = name === undefined ? (current.ref.startsWith('refs/pull/') ? 'pull_request' : `ref:${current.ref}`) : `environment:${name}`;
  return { sub: `repo:acme/web:${rest}`, ref: current.ref };
}

async function runAct(
  event: string,
  workflow: string,
  { inputs = {}, payload, vars = {}, secrets = {}, ref = 'refs/heads/main' }: Event,
  runner: Runner,
): Promise<Acted> {
  const { folder, lab, repository, github, current } = runner;
  Object.assign(current, { workflow, ref });
  const { path, pluginPath } = await packerTools();
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...keyless } = lab.environment();
  const settings = {
    ...{ ...keyless, ...github.env },
    PACKER_PLUGIN_PATH: pluginPath,
    PKR_VAR_ssh_port: '2322',
  };
  const given = (flag: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  if (payload !== undefined) writeFileSync(join(folder, 'event.json'), JSON.stringify(payload));
  const args = [
    ...[event, '--workflows', join(repository.path, '.github', 'workflows', workflow)],
    ...['--platform', 'ubuntu-24.04=-self-hosted', '--local-repository', `org/ami-action@v1=${join(folder, 'action')}`],
    ...['--action-offline-mode', '--artifact-server-addr', '127.0.0.1', '--cache-server-addr', '127.0.0.1', '--json'],
    ...Object.entries(runner.actions).flatMap(([name, path]) => ['--local-repository', `${name}=${path}`]),
    ...(payload === undefined ? [] : ['--eventpath', join(folder, 'event.json')]),
    ...[...given('--env', settings), ...given('--input', inputs), ...given('--var', vars)],
    ...given('--secret', { GITHUB_TOKEN: 'of-the-test', ...secrets }),
  ];
  const mark = lab.calls.mark();
  const search = [join(folder, 'bin'), path, dirname(process.execPath), process.env['PATH']].join(':');
  const { exitCode, log } = await outputOf(await goTool('act'), args, repository.path, {
    ...process.env,
    ...{ PATH: search, HOME: join(folder, 'home') },
  });
  // What act printed, for a look at a job that failed.
  if (process.env['AMI_ACTION_ACT_LOG'] !== undefined) appendFileSync(process.env['AMI_ACTION_ACT_LOG'], log);
  insistOnPermissions(lab.calls.since(mark));
  const lines = log
    .split('\n')
    .flatMap(line => (line.startsWith('{') ? [JSON.parse(line) as { job?: string; msg?: string; jobResult?: string }] : []));
  const ended = (how: string) => [
    ...new Set(lines.filter(({ jobResult }) => jobResult === how).map(({ job = '' }) => job.split('/').at(-1)?.trim() ?? '')),
  ];
  return { exitCode, log: lines.map(({ msg }) => msg).join('\n'), succeeded: ended('success'), failed: ended('failure') };
}

async function outputOf(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv) {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const take = (chunk: Buffer) => {
    log += chunk;
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const exitCode = await new Promise<number | null>(done => child.once('close', done));
  return { exitCode, log };
}
