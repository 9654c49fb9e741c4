import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { askGroup, baseImage, type Cloud, connect, inService, makeGroup, pointerValue } from '../../demo/fleet.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { type Ran, removeWorkspaces, runAction } from '../harness.ts';
import { describeWithPacker, packerHere, template } from './build-lab.ts';
import { tokens } from './github.ts';
import { hasAwsCli, paste, shellBlock } from './paste.ts';

/** What the README says to paste under "Start": its file, the example template, the role of examples/delivery-role.yml. */

const root = join(import.meta.dirname, '..', '..');
const [, file = ''] = /```yaml\n(family: web\n[\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];

const example = (name: string) => readFileSync(join(root, 'examples', name), 'utf8');

describeWithPacker('what the README says to paste', () => {
  let lab: Lab;
  let cloud: Cloud;
  let workspace: string;

  beforeAll(async () => {
    lab = await startLab({ speed: 60, hostManagement: true, timings: { stack: 0, changeSet: 0 } });
    cloud = connect(lab);
    workspace = mkdtempSync(join(tmpdir(), 'ami-action-readme-'));
    execFileSync('git', ['init', '--quiet'], { cwd: workspace });
    const imageId = await baseImage(cloud);
    for (const name of ['web-stage', 'web-prod']) await makeGroup(cloud, { name, imageId, size: 1 });
    while ((await inService(cloud, 'web-prod')).length === 0 || (await inService(cloud, 'web-stage')).length === 0)
      await lab.clock.sleep(5);
    const idOf = (name: string) => [...templates(lab.place()).values()].find(template => template.name === name)?.id ?? '';
    const commands = shellBlock('README.md', '**1.**')
      .replace('lt-0aaaaaaaaaaaaaaaa', idOf('web-stage'))
      .replace('lt-0bbbbbbbbbbbbbbbb', idOf('web-prod'));
    if (hasAwsCli) await paste(lab, commands);
    else deployAsPasted(commands);
  });

  /** What the commands say, on a machine without the AWS CLI. */
  function deployAsPasted(commands: string): void {
    const common = { Subject: 'repo:acme/web', RepositoryId: '456789', Families: 'web' };
    for (const [, stack = '', template, given = ''] of commands.matchAll(/^deploy (\S+) (\w+) (.*)$/gm)) {
      const own = Object.fromEntries(
        given
          .replaceAll("'", '')
          .split(' ')
          .map(pair => pair.split('=') as [string, string]),
      );
      lab.deploy(example(`${template}-role.yml`), { stack, parameters: { ...common, ...own } });
    }
  }

  afterAll(async () => {
    await lab.close();
    rmSync(workspace, { recursive: true });
    removeWorkspaces();
  });

  /** A job with no keys, of which GitHub's token says what it is. */
  async function job(mode: string, given: Readonly<Record<string, string>>, where = 'ref:refs/heads/main'): Promise<Ran> {
    const server = await tokens(`repo:acme/web:${where}`);
    const noKeys = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', PKR_VAR_ssh_port: '2322' };
    const files = { ...template(), '.github/ami.yml': file };
    try {
      return await runAction({ mode, with: given, lab, workspace, files, env: { ...packerHere(), ...server.env, ...noKeys } });
    } finally {
      await server.close();
    }
  }

  test('goes all the way: roles deployed, built, validated, on stage, on prod', async () => {
    expect(lab.calls.count('ExecuteChangeSet')).toBe(hasAwsCli ? 3 : 0);
    const built = await job('build', {});
    expect(built).toMatchObject({ exitCode: 0, errors: [] });
    const image = built.outputs['ami-id'] ?? '';
    expect(await job('validate', { image })).toMatchObject({ exitCode: 0, errors: [], outputs: { verdict: 'passed' } });
    const staged = await job('promote', { environment: 'stage', image }, 'environment:stage');
    expect(staged).toMatchObject({ exitCode: 0, errors: [], outputs: { outcome: 'done' } });
    const delivered = await job('promote', { environment: 'prod', image: 'environment:stage' }, 'environment:prod');
    expect(delivered).toMatchObject({ exitCode: 0, errors: [], outputs: { outcome: 'done', 'ami-id': image } });
    expect(await pointerValue(cloud, '/ami/web/prod')).toBe(image);
    expect(await askGroup(cloud, lab, 'web-prod')).toContain('web is active');
    expect(lab.calls.all().filter(({ operation }) => operation === 'AssumeRoleWithWebIdentity').length).toBeGreaterThan(3);
  });

  test('lets no pull request in', async () => {
    const ran = await job('list', {}, 'pull_request');
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors[0]).toContain('The token has sub "repo:acme/web:pull_request"');
  });
});
