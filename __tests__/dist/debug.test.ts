import { afterAll, expect, test } from '@jest/globals';
import { startLab } from '../../lab/lab.ts';
import { removeWorkspaces, runAction } from '../harness.ts';

const lab = await startLab();
afterAll(async () => {
  await lab.close();
  removeWorkspaces();
});

const files = { '.github/ami.yml': 'family: web\nenvironments:\n  prod:\n    pointer: /ami/{family}/{environment}\n' };
const debugLines = (log: string) => log.split('\n').flatMap(line => (line.startsWith('::debug::') ? [line.slice('::debug::'.length)] : []));

test('debug logging shows every call with its request, and every setting with the place that decided', async () => {
  const ran = await runAction({
    mode: 'list',
    with: { region: 'eu-central-1' },
    files,
    lab,
    env: { RUNNER_DEBUG: '1' },
  });
  const lines = debugLines(ran.log);
  expect(lines).toEqual(expect.arrayContaining(['region: "eu-central-1" (with:)', 'family: "web" (.github/ami.yml line 1)']));
  const calls = lines
    .filter(line => /^\w+:\w+ eu-central-1: ok, \d+ ms, request [0-9a-f-]{36}$/.test(line))
    .map(line => line.split(' ')[0]);
  expect(calls).toEqual(expect.arrayContaining(['EC2:DescribeImages', 'STS:GetCallerIdentity']));
  expect(ran.summary).toContain('Settings of this run, and where each was set');
  expect(ran.summary).toContain('| `family` | `"web"` | .github/ami.yml line 1 |');
});

test('a denied call is shown with its error', async () => {
  const heal = lab.faults.add({ operation: 'DescribeImages', action: { error: 'UnauthorizedOperation', status: 403 } });
  const ran = await runAction({
    mode: 'resolve',
    with: { family: 'web', image: 'latest', region: 'eu-central-1' },
    lab,
    env: { RUNNER_DEBUG: '1' },
  });
  heal();
  expect(debugLines(ran.log).find(line => line.startsWith('EC2:DescribeImages'))).toMatch(
    /^EC2:DescribeImages eu-central-1: UnauthorizedOperation, \d+ ms, request [0-9a-f-]{36}$/,
  );
});

test('without debug logging there is no line of it, and `summary: false` writes none', async () => {
  const ran = await runAction({ mode: 'list', with: { family: 'web', region: 'eu-central-1', summary: 'false' }, lab });
  expect(ran.exitCode).toBe(0);
  expect(debugLines(ran.log).filter(line => line.includes('ok,'))).toEqual([]);
  expect(ran.summary).toBe('');
});

test('a secret is named and not shown, and a map neither, because a template may mark a part of it as sensitive', async () => {
  const ran = await runAction({
    mode: 'build',
    with: {
      ...{ family: 'web', region: 'eu-central-1', template: 'missing.pkr.hcl', var: 'password: hunter2' },
      'secret-var': 'token: "hunter2-and-more"',
    },
    lab,
    env: { RUNNER_DEBUG: '1' },
  });
  expect(debugLines(ran.log)).toEqual(expect.arrayContaining(['secret-var: (not shown) (with:)', 'var: (not shown) (with:)']));
  expect(`${ran.log}${ran.summary}`.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain('hunter2');
  expect(ran.summary).toContain('| `secret-var` | `(not shown)` | with: |');
});

test('a file of the runner that cannot be written is named, without a stack', async () => {
  const ran = await runAction({ mode: 'resolve', with: { region: 'eu-central-1' }, files, lab, env: { GITHUB_OUTPUT: '/nowhere/output' } });
  expect([ran.exitCode, ran.log.includes('    at ')]).toEqual([1, false]);
  expect(ran.errors.join('\n')).toContain(
    'Output "outcome" could not be written: Missing file at path: /nowhere/output. Check the disk and the permissions of the runner.',
  );
});
