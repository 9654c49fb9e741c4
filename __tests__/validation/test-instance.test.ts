import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readUserData } from '../../lab/machines/user-data.ts';
import { evaluateBoot, evaluateInstance } from '../../src/validation/rules/instance-states.ts';
import {
  launchToken,
  leftoverReason,
  type TestRunId,
  testInstanceTags,
  userDataProblem,
  withSelfTermination,
} from '../../src/validation/rules/test-run.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const testRunId: TestRunId = { repository: 'acme/web', runId: '7', attempt: '2', job: 'validate', region: 'eu-central-1', leg: 'a' };
const attempt = { imageId: 'ami-1', instanceType: 't3.micro', subnetId: undefined, ordinal: 0 };

describe('the token of a launch', () => {
  test('is the same for the same request, and fits', () => {
    expect(launchToken(testRunId, attempt)).toBe(launchToken({ ...testRunId }, { ...attempt }));
    expect(launchToken(testRunId, attempt)).toMatch(/^ami-action-[0-9a-f]{53}$/);
  });

  test('scenario 22: differs by attempt, leg, job, region and everything that is asked for', () => {
    const others = [
      launchToken({ ...testRunId, attempt: '3' }, attempt),
      launchToken({ ...testRunId, leg: 'b' }, attempt),
      launchToken({ ...testRunId, job: 'other' }, attempt),
      launchToken({ ...testRunId, region: 'eu-west-1' }, attempt),
      launchToken({ ...testRunId, runId: '8' }, attempt),
      launchToken(testRunId, { ...attempt, instanceType: 't3.small' }),
      launchToken(testRunId, { ...attempt, subnetId: 'subnet-1' }),
      launchToken(testRunId, { ...attempt, imageId: 'ami-2' }),
      launchToken(testRunId, { ...attempt, ordinal: 1 }),
    ];
    expect(new Set([launchToken(testRunId, attempt), ...others]).size).toBe(others.length + 1);
  });
});

describe('a leftover test instance', () => {
  const now = Date.parse('2026-05-01T12:00:00Z');
  const tags = (endsAt: string, of: TestRunId = testRunId) =>
    testInstanceTags(of, { family: 'web', imageId: 'ami-1', endsAt: new Date(endsAt), tags: {} }, scheme);
  const instance = (over: Partial<Parameters<typeof leftoverReason>[0]> = {}) => ({
    id: 'i-1',
    state: 'running',
    clientToken: launchToken(testRunId, attempt),
    tags: tags('2026-05-01T13:00:00Z'),
    ...over,
  });

  test.each([
    ['is needed still', instance(), undefined],
    ['has expired', instance({ tags: tags('2026-05-01T11:59:59Z') }), 'it expired at 2026-05-01T11:59:59.000Z'],
    [
      'has expired and is stopped',
      instance({ state: 'stopped', tags: tags('2026-05-01T11:00:00Z') }),
      'it expired at 2026-05-01T11:00:00.000Z',
    ],
    ['is expired by its tags only', instance({ clientToken: 'fleet-1', tags: tags('2026-05-01T11:00:00Z') }), undefined],
    ['has no client token', instance({ clientToken: undefined, tags: tags('2026-05-01T11:00:00Z') }), undefined],
    ['has expired and is gone', instance({ state: 'terminated', tags: tags('2026-05-01T11:00:00Z') }), undefined],
    [
      'is of an earlier attempt',
      instance({ tags: tags('2026-05-01T13:00:00Z', { ...testRunId, attempt: '1' }) }),
      'attempt 1 of this run did not terminate it',
    ],
    ['is of this attempt', instance({ tags: tags('2026-05-01T13:00:00Z') }), undefined],
    ['is of a later attempt', instance({ tags: tags('2026-05-01T13:00:00Z', { ...testRunId, attempt: '10' }) }), undefined],
    ['is of another run', instance({ tags: tags('2026-05-01T13:00:00Z', { ...testRunId, runId: '6', attempt: '1' }) }), undefined],
    [
      'is of another repository',
      instance({ tags: tags('2026-05-01T13:00:00Z', { ...testRunId, repository: 'acme/api', attempt: '1' }) }),
      undefined,
    ],
    ['has another purpose', instance({ tags: { ...tags('2026-05-01T11:00:00Z'), 'ami-action:purpose': 'build' } }), undefined],
    ['does not say until when', instance({ tags: { 'ami-action:purpose': 'validate', 'ami-action:run': '6/1' } }), undefined],
  ])('%s', (_, leftovers, reason) => {
    expect(leftoverReason(leftovers, testRunId, scheme, now)).toBe(reason);
  });
});

describe('self-termination in the user data', () => {
  const endsAt = new Date('2026-05-01T12:00:00Z');

  test.each([
    ['none', undefined, []],
    ['a script', '#!/bin/sh\necho hi', ['#!/bin/sh\necho hi']],
    ['a multipart message', withSelfTermination('#!/bin/sh\necho inner', endsAt), []],
  ])('is next to %s', (_, own, scripts) => {
    const read = readUserData(withSelfTermination(own, endsAt));
    expect(read.boothooks[0]).toContain(String(endsAt.getTime() / 1000));
    expect(read.scripts.map(script => script.trim())).toEqual(scripts);
  });

  test.each([
    ['#cloud-config\npackages: [jq]', 'text/cloud-config'],
    ['#!/bin/bash\ntrue', 'text/x-shellscript'],
    ['#include\nhttps://example.com', 'text/x-include-url'],
    ['#include-once\nhttps://example.com', 'text/x-include-once-url'],
    ['#cloud-boothook\n#!/bin/sh', 'text/cloud-boothook'],
    ['## template: jinja\n#cloud-config', 'text/jinja2'],
  ])('%j has the type %s', (own, type) => {
    expect(withSelfTermination(own, endsAt)).toContain(`Content-Type: ${type}; charset="utf-8"\n\n${own}`);
  });

  test('its timer does not wait for a boot that waits for it', () => {
    const [hook = ''] = readUserData(withSelfTermination(undefined, endsAt)).boothooks;
    expect(hook).toMatch(/systemd-run [^|&]*--timer-property=DefaultDependencies=no --property=DefaultDependencies=no shutdown/);
  });

  test('no text of the user ends its part', () => {
    const message = withSelfTermination('#!/bin/sh', endsAt);
    const boundary = /boundary="([^"]+)"/.exec(message)?.[1] ?? '';
    const trick = withSelfTermination(`#!/bin/sh\n--${boundary}--\n`, endsAt);
    expect(readUserData(trick).scripts[0]).toContain(boundary);
  });

  test('user data that EC2 would refuse is reported before', () => {
    expect(userDataProblem('x'.repeat(10_000))).toBeUndefined();
    expect(userDataProblem('x'.repeat(16_000))).toMatch(/^"user-data" is too long: 16\d{3} bytes/);
  });

  test('its shell sets the right time, also when that has passed', () => {
    const home = mkdtempSync(join(tmpdir(), 'ami-action-dead-man-'));
    const asked = (at: Date) => {
      writeFileSync(join(home, 'systemd-run'), '#!/bin/sh\nfor a in "$@"; do case $a in --on-active=*) echo "${a#*=}" ;; esac; done', {
        mode: 0o700,
      });
      const [hook = ''] = readUserData(withSelfTermination(undefined, at)).boothooks;
      return Number(execFileSync('sh', ['-s'], { input: hook, env: { PATH: `${home}:${process.env['PATH']}` } }).toString());
    };
    expect(Math.abs(asked(new Date(Date.now() + 600_000)) - 600)).toBeLessThan(5);
    expect(asked(new Date(0))).toBe(1);
    rmSync(home, { recursive: true });
  });
});

describe('the states of an instance', () => {
  test.each([
    [undefined, 'waiting', 'not visible yet'],
    [{ state: 'pending', stateReason: '' }, 'waiting', 'pending'],
    [{ state: 'running', stateReason: '' }, 'done', ''],
    [{ state: 'terminated', stateReason: 'Client.InternalError: Client error on launch' }, 'failed', 'kms:CreateGrant'],
    [
      { state: 'terminated', stateReason: 'Server.InternalError: Internal error on launch' },
      'failed',
      'Server.InternalError: Internal error on launch',
    ],
    [
      { state: 'shutting-down', stateReason: 'Client.InstanceInitiatedShutdown: Instance initiated shutdown' },
      'failed',
      'it shut itself down',
    ],
    [
      { state: 'terminated', stateReason: 'Client.VolumeLimitExceeded: Volume limit exceeded' },
      'failed',
      'the volume quota of the account is used up',
    ],
    [{ state: 'stopped', stateReason: '' }, 'failed', 'stopped: no reason given'],
  ])('%j is %s', (instance, state, says) => {
    const look = evaluateInstance(instance);
    expect(look.state).toBe(state);
    expect(JSON.stringify(look)).toContain(says);
  });

  test('an online agent is enough; before that, the instance may fail', () => {
    const up = { state: 'running', stateReason: '' };
    expect(evaluateBoot('Online', undefined, undefined).state).toBe('done');
    expect(evaluateBoot('ConnectionLost', up, { system: 'ok', instance: 'ok' })).toMatchObject({
      state: 'waiting',
      note: expect.stringContaining('the agent is ConnectionLost'),
    });
    expect(evaluateBoot(undefined, up, { system: 'ok', instance: 'impaired' })).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('its instance status check failed: it does not boot'),
    });
    expect(evaluateBoot(undefined, up, { system: 'impaired', instance: 'ok' })).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('the host, not the image, is impaired'),
    });
  });
});
