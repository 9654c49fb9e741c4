import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Cloud, connect } from '../../demo/fleet.ts';
import { makeRepository, type Repository } from '../../demo/repository.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { insistOnPermissions } from '../../lab/permissions.ts';
import { goTool } from '../../scripts/go-tools.ts';
import { packerTools } from '../../scripts/packer-tools.ts';

/** A repository with the example workflows, run by act against a lab: `needs`, `if`, outputs and inputs are seen, not read. https://nektosact.com */

const root = join(import.meta.dirname, '..', '..');
const MODES = ['build', 'validate', 'share', 'promote', 'rollback', 'prune'];

export interface Acted {
  readonly exitCode: number | null;
  readonly log: string;
  /** Names of the jobs that ended so. */
  readonly succeeded: readonly string[];
  readonly failed: readonly string[];
}

export interface ActLab {
  readonly lab: Lab;
  readonly cloud: Cloud;
  readonly repository: Repository;
  act(event: string, workflow: string, inputs?: Readonly<Record<string, string>>): Promise<Acted>;
  close(): Promise<void>;
}

export async function actLab(): Promise<ActLab> {
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-act-'));
  const lab = await startLab({ speed: 60, hostManagement: true });
  const repository = makeRepository(join(folder, 'web'));
  mkdirSync(join(repository.path, '.github', 'workflows'), { recursive: true });
  for (const file of readdirSync(join(root, 'examples', 'workflows')))
    forAct(join(root, 'examples', 'workflows', file), join(repository.path, '.github', 'workflows', file));
  copyAction(join(folder, 'action'));
  return {
    ...{ lab, cloud: connect(lab), repository },
    act: (event, workflow, inputs = {}) => runAct(event, workflow, inputs, { folder, lab, repository }),
    close: async () => {
      await lab.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What `org/ami-action@v1` is: the action as it is checked out, with the bundle under test. */
function copyAction(to: string): void {
  const bundle = process.env['AMI_ACTION_BUNDLE'] === undefined ? join(root, 'dist') : dirname(process.env['AMI_ACTION_BUNDLE']);
  mkdirSync(to);
  for (const part of ['action.yml', 'package.json', '.github', 'tools', ...MODES])
    cpSync(join(root, part), join(to, part), { recursive: true });
  const pipeline = join('.github', 'workflows', 'ami-pipeline.yml');
  forAct(join(root, pipeline), join(to, pipeline));
  cpSync(bundle, join(to, 'dist'), { recursive: true });
}

/** act does not know three keys of 2026: `deployment`, `queue` and `uses: $/path`. https://github.com/nektos/act/issues/6086 */
const forAct = (from: string, to: string): void =>
  writeFileSync(
    to,
    readFileSync(from, 'utf8')
      .replace(/^ +(deployment: false|queue: max)\n/gm, '')
      .replace(/uses: \$\/(\w+)/g, 'uses: org/ami-action/$1@v1'),
  );

async function runAct(
  event: string,
  workflow: string,
  inputs: Readonly<Record<string, string>>,
  { folder, lab, repository }: { folder: string; lab: Lab; repository: Repository },
): Promise<Acted> {
  const { path, pluginPath } = await packerTools();
  const settings = { ...lab.environment(), PACKER_PLUGIN_PATH: pluginPath, PKR_VAR_ssh_port: '2322' };
  const args = [
    ...[event, '--workflows', join(repository.path, '.github', 'workflows', workflow)],
    ...['--platform', 'ubuntu-24.04=-self-hosted', '--local-repository', `org/ami-action@v1=${join(folder, 'action')}`],
    ...['--action-offline-mode', '--artifact-server-addr', '127.0.0.1', '--cache-server-addr', '127.0.0.1', '--json'],
    ...Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...Object.entries(inputs).flatMap(([name, value]) => ['--input', `${name}=${value}`]),
    ...['--secret', 'GITHUB_TOKEN=of-the-test'],
  ];
  const mark = lab.calls.mark();
  const child = spawn(await goTool('act'), args, {
    cwd: repository.path,
    env: { ...process.env, PATH: `${path}:${dirname(process.execPath)}:${process.env['PATH']}`, HOME: join(folder, 'home') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const take = (chunk: Buffer) => {
    log += chunk;
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const exitCode = await new Promise<number | null>(done => child.once('close', done));
  insistOnPermissions(lab.calls.since(mark));
  const lines = log
    .split('\n')
    .flatMap(line => (line.startsWith('{') ? [JSON.parse(line) as { job?: string; msg?: string; jobResult?: string }] : []));
  const ended = (how: string) => [
    ...new Set(lines.filter(({ jobResult }) => jobResult === how).map(({ job = '' }) => job.split('/').at(-1)?.trim() ?? '')),
  ];
  return { exitCode, log: lines.map(({ msg }) => msg).join('\n'), succeeded: ended('success'), failed: ended('failure') };
}
