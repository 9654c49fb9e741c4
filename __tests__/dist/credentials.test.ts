import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { type Lab, startLab } from '../../lab/lab.ts';
import { accessKeyOf } from '../../lab/sts-sessions.ts';
import { setTrust } from '../../lab/sts-trust.ts';
import { regionClients } from '../../src/adapters/aws/region-clients.ts';
import { systemClock } from '../../src/adapters/clock.ts';
import type { Reporter, Run } from '../../src/ports/deps.ts';
import { ADMINISTRATOR, removeWorkspaces, runAction } from '../harness.ts';
import { build, leftovers, packerHere, template } from './build-lab.ts';
import { type Served, serve, tokens } from './github.ts';
import { type RollLab, rollLab } from './roll-lab.ts';
import { BUILD, type ShareLab, STAGE, shareLab } from './share-lab.ts';

const CI_ROLE = `arn:aws:iam::${BUILD}:role/path/ami-delivery`;
const NO_KEYS = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
/** No token from the environment of whoever runs these tests. */
const NOTHING = { ...NO_KEYS, ACTIONS_ID_TOKEN_REQUEST_URL: '', HOME: '/nonexistent' };

let l: ShareLab | undefined;
let r: RollLab | undefined;
const servers: Served[] = [];
afterEach(async () => {
  await Promise.all([l?.lab.close(), r?.lab.close(), ...servers.splice(0).map(server => server.close())]);
  l = undefined;
  r = undefined;
});
afterAll(removeWorkspaces);

async function lab(): Promise<ShareLab> {
  l = await shareLab();
  return l;
}

async function job(sub?: string) {
  const server = await tokens(sub);
  servers.push(server);
  return server;
}

const assumed = (of: ShareLab['lab']) =>
  of.calls.all().filter(({ operation, outcome }) => operation.startsWith('AssumeRole') && outcome === 'ok');
const resolve = (of: ShareLab, wanted: Record<string, string>, env: Record<string, string>) =>
  of.act('resolve', { image: 'latest', ...wanted }, { env });

describe('a role to work with', () => {
  test("by the job's OIDC token: one session, named after run and attempt, of the length that is wanted", async () => {
    const { lab: aws, image, act } = await lab();
    setTrust(aws.core, CI_ROLE, { subjects: ['repo:acme/web:ref:refs/heads/main'], audience: 'sts.amazonaws.com' });
    const id = image('web-1');
    const { env, asked } = await job();
    const ran = await act(
      'share',
      { image: id, accounts: STAGE, regions: 'eu-west-1', 'role-to-assume': CI_ROLE, 'role-duration': '15m' },
      { env: { ...NO_KEYS, ...env } },
    );
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(asked).toEqual(['/token?api-version=2.0&audience=sts.amazonaws.com']);
    expect(assumed(aws).map(({ operation, input }) => [operation, input['RoleSessionName'], input['DurationSeconds']])).toEqual([
      ['AssumeRoleWithWebIdentity', 'ami-action-1001-1', 900],
    ]);
    const arns = aws.calls
      .all()
      .filter(({ service }) => service === 'ec2')
      .map(({ arn }) => arn);
    expect(new Set(arns)).toEqual(new Set([`arn:aws:sts::${BUILD}:assumed-role/ami-delivery/ami-action-1001-1`]));
    expect(ran.log.replace(/^::add-mask::.*$/gm, '')).not.toMatch(/unsigned|eyJ/);
  });

  test('chained from the credentials of the environment, and a second role on top: an hour at most', async () => {
    const of = await lab();
    setTrust(of.lab.core, CI_ROLE, { principals: [`arn:aws:iam::${BUILD}:user/lab`], maxSessionSeconds: 43_200 });
    const id = of.image('web-1');
    const target = `arn:aws:iam::${STAGE}:role/ami-delivery`;
    setTrust(of.lab.core, target, { principals: [`arn:aws:sts::${BUILD}:assumed-role/ami-delivery/ami-action-1001-1`] });
    const { env } = await job();
    const ran = await of.act(
      'share',
      { image: id, accounts: STAGE, 'role-to-assume': CI_ROLE, 'role-chaining': 'true', 'role-duration': '12h', 'target-role': target },
      { env, as: { role: ADMINISTRATOR } },
    );
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(assumed(of.lab).map(({ operation, input }) => [operation, input['RoleArn'], input['DurationSeconds']])).toEqual([
      ['AssumeRole', CI_ROLE, 3600],
      ['AssumeRole', target, 3600],
    ]);
    expect(of.tags(id, STAGE)['ami-action:family']).toBe('web');
  });
});

describe('errors that name who must act', () => {
  test('scenario 82: the job lacks "id-token: write": the error names the permission', async () => {
    const of = await lab();
    const mark = of.lab.calls.mark();
    const ran = await of.act('share', { image: of.image('web-1'), accounts: STAGE, 'role-to-assume': CI_ROLE }, { env: NOTHING });
    expect([ran.exitCode, ran.outputs['outcome'], of.lab.calls.count(undefined, mark)]).toEqual([1, 'usage', 0]);
    expect(ran.errors[0]?.split('\n')).toEqual([
      `Cannot assume ${CI_ROLE}: the job has no OIDC token, because it lacks "permissions: id-token: write"`,
      'No changes were made.',
      'Next: Add "permissions: id-token: write" to the job, and "contents: read" with it. If the job is in a reusable workflow, add both to the calling job as well.',
    ]);
  });

  test('scenario 83: a pull request from a fork is refused for what it is, without a stack trace', async () => {
    const of = await lab();
    const event = join(tmpdir(), `ami-action-fork-${process.pid}.json`);
    writeFileSync(event, JSON.stringify({ pull_request: { head: { repo: { full_name: 'stranger/web' } } } }));
    const env = { ...NOTHING, GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: event };
    const mark = of.lab.calls.mark();
    const hint =
      /This is a pull request from a fork: GitHub gives it neither an OIDC token nor secrets\. Run the job for pull requests of the repository itself only: "if: github\.event\.pull_request\.head\.repo\.full_name == github\.repository"\./;
    const role = await resolve(of, { 'role-to-assume': CI_ROLE }, env);
    const none = await resolve(of, {}, env);
    for (const ran of [role, none]) {
      expect(ran.exitCode).toBe(1);
      expect(ran.errors[0]).toMatch(hint);
      expect(ran.log).not.toMatch(/^\s+at .+:\d+:\d+/m);
    }
    expect([role.outputs['outcome'], none.outputs['outcome'], of.lab.calls.count(undefined, mark)]).toEqual(['usage', 'access', 0]);
  });

  test('a trust policy of the other form: the error shows both forms, and which one this repository has', async () => {
    const of = await lab();
    setTrust(of.lab.core, CI_ROLE, { subjects: ['repo:acme/web:*'] });
    const immutable = await job('repo:acme@123456/web@456789:environment:prod');
    const ran = await resolve(of, { 'role-to-assume': CI_ROLE }, { ...NO_KEYS, ...immutable.env });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors[0]).toBe(
      [
        `Not allowed to assume ${CI_ROLE}: the role does not exist, or its trust policy does not match this job. The token has sub "repo:acme@123456/web@456789:environment:prod" and aud "sts.amazonaws.com".`,
        `Next: Set "token.actions.githubusercontent.com:sub" in the trust policy of the role to that subject. This repository has a subject with immutable IDs. A policy for the older form, "repo:acme/web:environment:prod", does not match it.`,
      ].join('\n'),
    );
    setTrust(of.lab.core, CI_ROLE, { subjects: ['repo:acme@123456/web@456789:*'] });
    const classic = await job();
    const older = await resolve(of, { 'role-to-assume': CI_ROLE }, { ...NO_KEYS, ...classic.env });
    expect(older.errors[0]).toContain('The token has sub "repo:acme/web:ref:refs/heads/main"');
    expect(older.errors[0]).toContain('does not match it.');
    expect(older.errors[0]).toContain('"repo:acme@123456/web@456789:ref:refs/heads/main"');
  });

  test.each([
    [
      {
        error: 'InvalidIdentityToken',
        message: 'No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com',
      },
      'access',
      /AWS refused the OIDC token[\s\S]*Create an IAM OIDC provider for https:\/\/token\.actions\.githubusercontent\.com with audience sts\.amazonaws\.com/,
    ],
    [
      { error: 'ExpiredTokenException', message: 'Token expired: current date/time must be before the expiration date/time' },
      'timeout',
      /The OIDC token had expired when AWS received it[\s\S]*check its clock/,
    ],
  ] as const)('what STS says of the token is told for what it is: %j', async (action, outcome, says) => {
    const of = await lab();
    of.lab.faults.add({ operation: 'AssumeRoleWithWebIdentity', action });
    const { env } = await job();
    const ran = await resolve(of, { 'role-to-assume': CI_ROLE }, { ...NO_KEYS, ...env });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, outcome]);
    expect(ran.errors[0]).toMatch(says);
  });

  test('a session that is longer than the role allows, and no token from GitHub', async () => {
    const of = await lab();
    const { env } = await job();
    const long = await resolve(of, { 'role-to-assume': CI_ROLE, 'role-duration': '2h' }, { ...NO_KEYS, ...env });
    expect([long.outputs['outcome'], long.errors[0]?.split('\n')[0]]).toEqual([
      'usage',
      `"role-duration" is 7200 s, longer than the sessions that ${CI_ROLE} allows`,
    ]);
    const none = await resolve(of, { 'role-to-assume': CI_ROLE }, { ...NO_KEYS, ...env, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-another-job' });
    expect([none.outputs['outcome'], none.errors[0]]).toEqual(['timeout', expect.stringMatching(/^GitHub gave no OIDC token: /)]);
  });

  test('scenario 84: the credentials of another account stop before the first write, and before the first look', async () => {
    const of = await lab();
    const { env } = await job();
    const role = `arn:aws:iam::${STAGE}:role/ami-delivery`;
    const mark = of.lab.calls.mark();
    const wanted = { image: 'latest', accounts: BUILD, 'role-to-assume': role, 'allowed-account-ids': BUILD };
    const ran = await of.act('share', wanted, { env: { ...NO_KEYS, ...env } });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors[0]).toBe(
      `These credentials belong to account ${STAGE}, and "allowed-account-ids" allows ${BUILD}.\nNo changes were made.\nNext: Check role-to-assume, or the credentials of this job.`,
    );
    expect(of.lab.calls.since(mark).map(({ operation }) => operation)).toEqual(['AssumeRoleWithWebIdentity', 'GetCallerIdentity']);
  });

  test('scenario 85: no network, an untrusted certificate, an unknown host', async () => {
    const of = await lab();
    const id = of.image('web-1');
    const unreachable = await of.act('share', { image: id, accounts: STAGE }, { env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' } });
    const nowhere = await of.act('share', { image: id, accounts: STAGE }, { env: { AWS_ENDPOINT_URL: 'http://nowhere.invalid' } });
    const tls = createTlsServer(SELF_SIGNED, (_, response) => void response.end()).listen(0, '127.0.0.1');
    await new Promise(done => tls.once('listening', done));
    const intercepted = await of.act(
      'share',
      { image: id, accounts: STAGE },
      { env: { AWS_ENDPOINT_URL: `https://127.0.0.1:${(tls.address() as AddressInfo).port}` } },
    );
    tls.close();
    const says = [/ECONNREFUSED/, /ENOTFOUND|EAI_AGAIN/, /DEPTH_ZERO_SELF_SIGNED_CERT/];
    for (const [index, ran] of [unreachable, nowhere, intercepted].entries()) {
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect(ran.errors[0]).toMatch(/^Cannot reach AWS \(/);
      expect(ran.errors[0]).toMatch(says[index] as RegExp);
      expect(ran.errors[0]).toContain('Next: Check "region", and the network, proxy and certificates of the runner.');
    }
    expect([...of.labImage(id).launchers]).toEqual([]);
  }, 60_000);

  test('scenario 85: a proxy is used where the environment names one', async () => {
    const of = await lab();
    const id = of.image('web-1');
    const through: string[] = [];
    const proxy = createServer((request, response) => {
      const { pathname, search, host } = new URL(request.url ?? '');
      through.push(host);
      const onward = forward(
        { host: '127.0.0.1', port: new URL(of.lab.url).port, method: request.method, headers: request.headers, path: pathname + search },
        answer => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        },
      );
      request.pipe(onward);
    }).listen(0, '127.0.0.1');
    await new Promise(done => proxy.once('listening', done));
    const env = { AWS_ENDPOINT_URL: 'http://aws.invalid', http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    const ran = await of.act('share', { image: id, accounts: STAGE }, { env });
    proxy.closeAllConnections();
    proxy.close();
    expect([ran.errors, [...of.labImage(id).launchers]]).toEqual([[], [STAGE]]);
    expect(new Set(through)).toEqual(new Set(['aws.invalid']));
  });

  test("scenario 85: the role of the runner's machine is not taken silently", async () => {
    const of = await lab();
    const id = of.image('web-1');
    const metadata = await serve(url => {
      if (url.pathname === '/latest/api/token') return { body: 'session', headers: { 'content-type': 'text/plain' } };
      if (url.pathname.endsWith('/security-credentials/')) return { body: 'runner', headers: { 'content-type': 'text/plain' } };
      const keys = {
        Code: 'Success',
        Type: 'AWS-HMAC',
        AccessKeyId: accessKeyOf(BUILD),
        SecretAccessKey: 'x',
        Token: '',
        Expiration: '2099-01-01T00:00:00Z',
      };
      return { body: keys };
    });
    servers.push(metadata);
    const env = { ...NOTHING, AWS_EC2_METADATA_DISABLED: '', AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url };
    const mark = of.lab.calls.mark();
    const ran = await of.act('share', { image: id, accounts: STAGE }, { env });
    expect([ran.exitCode, ran.outputs['outcome'], metadata.asked, of.lab.calls.count(undefined, mark)]).toEqual([1, 'access', [], 0]);
    expect(ran.errors[0]).toMatch(/^No AWS credentials: /);
    expect(ran.errors[0]).toContain('To use the role of the instance that the runner is, set "allow-instance-role: true".');
    const allowed = await of.act('share', { image: id, accounts: STAGE, 'allow-instance-role': 'true' }, { env });
    expect([allowed.exitCode, [...of.labImage(id).launchers]]).toEqual([0, [STAGE]]);
  });
});

describe('scenario 61: a promotion of ninety minutes on sessions of one hour', () => {
  const long = { bake: '90m', 'roll-timeout': '3h', 'role-to-assume': CI_ROLE };

  async function stage() {
    r = await rollLab({ speed: 900, timings: { refreshPatience: 7200 } });
    const [a, b] = [r.image('web-a'), r.image('web-b')];
    await r.group('web', { LaunchTemplateId: await r.template('web', { ImageId: a }), Version: '1' });
    await r.pointerTo(a);
    return { of: r, a, b, github: await job() };
  }

  test('scenario 61: renews with fresh tokens and finishes', async () => {
    const { of, b, github } = await stage();
    const began = of.lab.clock.now();
    const ran = await of.act('promote', { image: b, groups: 'web', ...long }, { env: { ...NO_KEYS, ...github.env } });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(of.lab.clock.now() - began).toBeGreaterThan(90 * 60_000);
    expect(github.asked.length).toBeGreaterThanOrEqual(3);
    expect(of.lab.calls.all().filter(({ outcome }) => /Expired/.test(outcome))).toEqual([]);
    expect([of.pointer(), of.runs('web'), of.candidate()]).toEqual([b, [b, b], false]);
  }, 120_000);

  test('scenario 61: renewal refused ends as "unknown", and the next run finishes what goes on', async () => {
    const { of, a, b, github } = await stage();
    const stop = of.lab.faults.add({
      operation: 'AssumeRoleWithWebIdentity',
      nth: 2,
      times: 1000,
      action: { error: 'AccessDenied', message: 'Not authorized to perform sts:AssumeRoleWithWebIdentity', status: 403 },
    });
    const ran = await of.act('promote', { image: b, groups: 'web', ...long }, { env: { ...NO_KEYS, ...github.env } });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'unknown']);
    expect(ran.errors[0]).toMatch(
      /The credentials of \S+ expired at 20\S+ \S+ UTC and could not be renewed\. What was started continues without this run\./,
    );
    expect(ran.errors[0]).toMatch(/refresh \S+ of web is in progress/);
    expect(ran.warnings.join('\n')).toContain('could not be renewed yet');
    // Neither success nor failure: nothing was put back, nothing was moved on.
    expect([of.pointer(), of.candidate()]).toEqual([a, true]);
    expect(of.refreshes('web').filter(status => /Cancel|Rollback|Failed/.test(status))).toEqual([]);
    stop();
    const refreshes = of.refreshes('web').length;
    const again = await of.act('promote', { image: b, groups: 'web', ...long }, { env: { ...NO_KEYS, ...github.env } });
    expect(again).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect([of.pointer(), of.runs('web'), of.candidate(), of.refreshes('web').length]).toEqual([b, [b, b], false, refreshes]);
  }, 120_000);

  test('a renewal that fails once is tried again, while the session still holds', async () => {
    const { of, b, github } = await stage();
    of.lab.faults.add({
      operation: 'AssumeRoleWithWebIdentity',
      nth: 2,
      times: 1,
      // Nothing that the SDK tries again by itself.
      action: { error: 'AccessDenied', message: 'not now', status: 403 },
    });
    const ran = await of.act('promote', { image: b, groups: 'web', ...long }, { env: { ...NO_KEYS, ...github.env } });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(ran.warnings.join('\n')).toMatch(
      /^The credentials of \S+ expire at 20\S+ \S+ UTC and could not be renewed yet: Not allowed to assume/m,
    );
    expect(of.pointer()).toBe(b);
  }, 120_000);
});

describe('Packer, which cannot be given a new environment', () => {
  const sleeping = (seconds: number) => ({ ...template(), 'packer/scripts/install.sh': `#!/bin/sh\nsleep ${seconds}\n` });
  const wanted = { family: 'web', 'role-to-assume': CI_ROLE };
  const byPacker = (aws: Lab) => aws.calls.all().filter(({ client, service }) => /packer/i.test(client) && service === 'ec2');

  test('builds for longer than a session lasts: it asks us for the next one', async () => {
    const aws = await startLab({ speed: 240 });
    try {
      const { env, asked } = await job();
      const ran = await build(aws, { with: { ...wanted, 'role-duration': '15m' }, files: sleeping(5), env: { ...NO_KEYS, ...env } });
      expect(ran).toMatchObject({ exitCode: 0, errors: [], outputs: { built: 'true' } });
      expect(asked.length).toBeGreaterThanOrEqual(2);
      const calls = byPacker(aws);
      expect(calls.length).toBeGreaterThan(10);
      expect((calls.at(-1)?.at ?? 0) - (calls[0]?.at ?? 0)).toBeGreaterThan(15 * 60_000);
      expect([...new Set(calls.map(({ arn, outcome }) => (/Expired/.test(outcome) ? outcome : arn)))]).toEqual([
        `arn:aws:sts::${BUILD}:assumed-role/ami-delivery/ami-action-1001-1`,
      ]);
      expect(leftovers(aws)).toEqual([]);
    } finally {
      await aws.close();
    }
  }, 120_000);

  test('outlives us, and cleans up with the credentials that it still holds', async () => {
    // Slow enough that an hour of the lab is ten minutes of ours: the SDK in Packer asks anew when five are left.
    const aws = await startLab({ speed: 6, timings: { boot: 2, statusChecks: 2, agent: 2, shutdown: 2 } });
    try {
      const { env } = await job();
      let action: ChildProcess | undefined;
      const kill = (line: string) => (/Connected to SSH/.test(line) ? action?.kill('SIGKILL') : undefined);
      const killed = await build(aws, {
        with: wanted,
        files: sleeping(60),
        env: { ...NO_KEYS, ...env },
        onLine: line => void kill(line),
        onStart: child => {
          action = child;
        },
      });
      expect([killed.signal, leftovers(aws).length > 0]).toEqual(['SIGKILL', true]);
      const mark = aws.calls.mark();
      const ended = await runAction({
        mode: 'build',
        lab: aws,
        with: wanted,
        postOf: killed,
        env: { ...(await packerHere()), ...NO_KEYS, ...env },
      });
      expect(ended).toMatchObject({ exitCode: 0, errors: [] });
      const cleaning = byPacker(aws).filter(({ number }) => number > mark);
      expect(cleaning.map(({ operation }) => operation)).toEqual(
        expect.arrayContaining(['TerminateInstances', 'DeleteSecurityGroup', 'DeleteKeyPair']),
      );
      expect(cleaning.filter(({ outcome }) => outcome !== 'ok' && !/NotFound|DependencyViolation/.test(outcome))).toEqual([]);
      expect(leftovers(aws)).toEqual([]);
    } finally {
      await aws.close();
    }
  }, 120_000);

  test('alone may ask: another process of the machine does not know the token', async () => {
    const aws = await startLab({ machines: 'paper' });
    const { env } = await job();
    const kept = { ...process.env };
    try {
      Object.assign(process.env, aws.environment(), NO_KEYS, env);
      const run = { id: '1001', attempt: '1', job: 'test' } as Run;
      const report = { warn: () => undefined, mask: () => undefined } as unknown as Reporter;
      const access = {
        mode: 'build',
        roleToAssume: CI_ROLE,
        roleDuration: 3600,
        roleChaining: false,
        allowInstanceRole: false,
        run,
        report,
      };
      const clock = systemClock(new AbortController().signal, process.env);
      const given = await regionClients({ ...access, clock })({ region: 'eu-central-1' }).account.environment();
      const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url = '', AWS_CONTAINER_AUTHORIZATION_TOKEN: token = '' } = given;
      expect(new URL(url).hostname).toBe('127.0.0.1');
      expect([given['AWS_ACCESS_KEY_ID'], given['AWS_SESSION_TOKEN'], given['AWS_PROFILE']]).toEqual(['', '', '']);
      expect((await fetch(url)).status).toBe(403);
      expect((await fetch(url, { headers: { authorization: `${token.slice(0, -1)}!` } })).status).toBe(403);
      const answer = (await (await fetch(url, { headers: { authorization: token } })).json()) as Record<string, string>;
      expect(Object.keys(answer)).toEqual(['AccessKeyId', 'SecretAccessKey', 'Token', 'Expiration']);
      expect(new Date(answer['Expiration'] ?? 0).getTime()).toBeGreaterThan(Date.now() + 30_000);
    } finally {
      process.env = kept;
      await aws.close();
    }
  });
});

/** Of a proxy that looks into everything; it protects nothing. */
const SELF_SIGNED = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaBBTKvxud8RqyfsR
0iuPRS4cRcKD3xciUc+LAF/+7eWhRANCAARVZMpsmgP0YuI9V2g1TGrsRBYrS8SA
GxJOE6U3Xkf7ha+dnD5cYcQ7YPCrCGhK7g7uHuc+3e5PDbGFZkev+9sp
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUWwwt86f0B54/D/v7MQwLyjQe8EswCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcHJveHkuaW52YWxpZDAgFw0yNjExMjExMDM0MzFaGA8yMTI2
MTAyODEwMzQzMVowGDEWMBQGA1UEAwwNcHJveHkuaW52YWxpZDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABFVkymyaA/Ri4j1XaDVMauxEFitLxIAbEk4TpTdeR/uF
r52cPlxhxDtg8KsIaEruDu4e5z7d7k8NsYVmR6/72ymjUzBRMB0GA1UdDgQWBBRb
3AtmiXIkJtjq/XXm0znKc/00fzAfBgNVHSMEGDAWgBRb3AtmiXIkJtjq/XXm0znK
c/00fzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIF1R59foTzHr
S5yK80K3D7M8vZUxWC6yifD6BbHDS7PzAiEAgOdE+BrVOaSWPA6L3ZyMw08dZHws
5GMsK1lN3vxkJ38=
-----END CERTIFICATE-----`,
};
