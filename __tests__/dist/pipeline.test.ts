import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { askGroup, baseImage, type Cloud, connect, inService, makeGroup, pointerValue } from '../../demo/fleet.ts';
import { makeRepository, type Repository } from '../../demo/repository.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { insistOnPermissions } from '../../lab/permissions.ts';
import { goTool } from '../../scripts/go-tools.ts';
import { packerTools } from '../../scripts/packer-tools.ts';

/** The workflows themselves, run by act on this machine: what `needs`, `if`, outputs and inputs do is seen, not read. https://nektosact.com */

const root = join(import.meta.dirname, '..', '..');
let folder: string;
let lab: Lab;
let cloud: Cloud;
let repository: Repository;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ami-action-act-'));
  lab = await startLab({ speed: 60, hostManagement: true });
  cloud = connect(lab);
  repository = makeRepository(join(folder, 'web'));
  mkdirSync(join(repository.path, '.github', 'workflows'), { recursive: true });
  for (const file of readdirSync(join(root, 'examples', 'workflows'))) {
    asActKnowsIt(join(root, 'examples', 'workflows', file), join(repository.path, '.github', 'workflows', file));
  }
  // What `org/ami-action@v1` is: the action as it is checked out, or the bundle that is tried.
  const bundle = process.env['AMI_ACTION_BUNDLE'] === undefined ? join(root, 'dist') : dirname(process.env['AMI_ACTION_BUNDLE']);
  mkdirSync(join(folder, 'action'));
  const modes = ['build', 'validate', 'share', 'promote', 'rollback', 'prune'];
  for (const part of ['action.yml', 'package.json', '.github', 'tools', ...modes])
    cpSync(join(root, part), join(folder, 'action', part), { recursive: true });
  const pipeline = join('.github', 'workflows', 'ami-pipeline.yml');
  asActKnowsIt(join(root, pipeline), join(folder, 'action', pipeline));
  cpSync(bundle, join(folder, 'action', 'dist'), { recursive: true });
  const imageId = await baseImage(cloud);
  for (const name of ['web-stage', 'web-prod']) await makeGroup(cloud, { name, imageId, size: 1 });
  while ((await inService(cloud, 'web-prod')).length === 0 || (await inService(cloud, 'web-stage')).length === 0) await lab.clock.sleep(5);
});

/** act does not know three keys of 2026: `deployment`, `queue` and `uses: $/path`. https://github.com/nektos/act/issues/6086 */
const asActKnowsIt = (from: string, to: string): void =>
  writeFileSync(
    to,
    readFileSync(from, 'utf8')
      .replace(/^ +(deployment: false|queue: max)\n/gm, '')
      .replace(/uses: \$\/(\w+)/g, 'uses: org/ami-action/$1@v1'),
  );

afterAll(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Acted {
  readonly exitCode: number | null;
  readonly log: string;
  /** Names of the jobs that ended so. */
  readonly succeeded: readonly string[];
  readonly failed: readonly string[];
}

async function act(event: string, workflow: string, inputs: Readonly<Record<string, string>> = {}): Promise<Acted> {
  const { path, pluginPath } = await packerTools();
  const settings = { ...lab.environment(), PACKER_PLUGIN_PATH: pluginPath, PKR_VAR_ssh_port: '2322' };
  const args = [
    ...[event, '--workflows', join(repository.path, '.github', 'workflows', workflow)],
    ...['--platform', 'ubuntu-24.04=-self-hosted', '--local-repository', `org/ami-action@v1=${join(folder, 'action')}`],
    ...['--action-offline-mode', '--artifact-server-addr', '127.0.0.1', '--cache-server-addr', '127.0.0.1', '--json'],
    ...Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...Object.entries(inputs).flatMap(([name, value]) => ['--input', `${name}=${value}`]),
    ...['--secret', 'GITHUB_TOKEN=of-no-one'],
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

test('a push to main goes through every job to stage', async () => {
  repository.commit('Serve a page', '1.0.0', server => server);
  const ran = await act('push', 'ami-stage.yml');
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Build', 'Validate', 'Promote to stage', 'Prune'] });
  expect(await askGroup(cloud, lab, 'web-stage')).toMatch(/web is active, version 1\.0\.0$/);
  expect(await pointerValue(cloud, '/ami/web/stage')).toMatch(/^ami-/);
});

test('a person promotes to prod what stage runs, and nothing is built', async () => {
  const mark = lab.calls.mark();
  const ran = await act('workflow_dispatch', 'ami-prod.yml', { image: 'environment:stage' });
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Promote to prod'] });
  expect(lab.calls.count('ec2:CreateImage', mark)).toBe(0);
  expect(await pointerValue(cloud, '/ami/web/prod')).toBe(await pointerValue(cloud, '/ami/web/stage'));
  expect(await askGroup(cloud, lab, 'web-prod')).toMatch(/web is active, version 1\.0\.0$/);
});

test('a rehearsal plans the promotion and the pruning, and changes nothing', async () => {
  const workflows = join(repository.path, '.github', 'workflows');
  const prod = readFileSync(join(workflows, 'ami-prod.yml'), 'utf8');
  writeFileSync(join(workflows, 'rehearsal.yml'), `${prod}      prune: 'true'\n`);
  const mark = lab.calls.mark();
  const ran = await act('workflow_dispatch', 'rehearsal.yml', { image: 'environment:stage', 'dry-run': 'true' });
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Promote to prod', 'Prune'] });
  expect(ran.log.match(/outcome=\w+/g)).toEqual(['outcome=planned', 'outcome=planned']);
  expect(Object.keys(lab.calls.byOperation(mark)).filter(call => !/:(Describe|Get|List)/.test(call))).toEqual([]);
});

test('a broken image ends red at Validate, with the cause, and is not promoted', async () => {
  const before = await pointerValue(cloud, '/ami/web/stage');
  repository.commit('It does not start', '1.1.0', server => `import turbo\n${server}`);
  const ran = await act('push', 'ami-stage.yml');
  expect(ran).toMatchObject({ failed: ['Validate'], succeeded: ['Build'] });
  expect(ran.exitCode).not.toBe(0);
  expect(ran.log).toMatch(/failed validation: \d of 4 checks failed/);
  expect(ran.log).toContain('GET / on port 8080: no answer');
  expect(await pointerValue(cloud, '/ami/web/stage')).toBe(before);
  expect(await askGroup(cloud, lab, 'web-stage')).toMatch(/web is active, version 1\.0\.0$/);
});
