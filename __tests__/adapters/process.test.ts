import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { capture } from '../../src/adapters/capture.ts';
import { endProcess, follow, followFile } from '../../src/adapters/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'process-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const run = (script: string, options: { stop?: AbortSignal; graceSeconds?: number; onStart?: (pid: number) => void } = {}) => {
  const lines: string[] = [];
  const errors: string[] = [];
  count += 1;
  const log = join(folder, `run-${count}`);
  const ended = follow({
    command: '/bin/sh',
    args: ['-c', script],
    folder,
    environment: { PATH: process.env['PATH'] },
    log,
    onLine: line => lines.push(line),
    onErrorLine: line => errors.push(line),
    stop: new AbortController().signal,
    ...options,
  });
  return { ended, lines, errors, log };
};

const until = async (holds: () => boolean) => {
  for (let tries = 0; !holds() && tries < 200; tries += 1) await new Promise(done => setTimeout(done, 50));
  expect(holds()).toBe(true);
};

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('a process that is followed', () => {
  test('hands over its lines, the last one without a line break too, and its exit code', async () => {
    const { ended, lines, errors } = run('echo one; printf "two\\r\\n"; echo oops >&2; printf three; exit 3');
    expect(await ended).toEqual({ exitCode: 3, signal: undefined });
    expect(lines).toEqual(['one', 'two', 'three']);
    expect(errors).toEqual(['oops']);
  });

  test('hands lines over while it runs', async () => {
    const stop = new AbortController();
    const { ended, lines } = run('echo ready; sleep 30', { stop: stop.signal });
    await until(() => lines.includes('ready'));
    stop.abort();
    expect((await ended).signal).toBe('SIGTERM');
  });

  test('scenario 7: a character that two writes cut in half arrives whole', async () => {
    const path = join(folder, 'halves');
    writeFileSync(path, Buffer.from('größ'.slice(0, 2)));
    const lines: string[] = [];
    const follower = followFile(path, line => lines.push(line));
    const [, first = 0, second = 0] = Buffer.from('\nü');
    writeFileSync(path, Buffer.from([first]), { flag: 'a' });
    await new Promise(done => setTimeout(done, 300));
    writeFileSync(path, Buffer.from([second, 10]), { flag: 'a' });
    follower.finish();
    expect(lines).toEqual(['grü']);
  });

  test('scenario 1: gets SIGTERM on a cancel, and the time that its clean-up takes', async () => {
    const stop = new AbortController();
    const { ended, lines } = run('trap "echo cleaning; sleep 0.5; echo clean; exit 1" TERM; echo ready; while :; do sleep 0.05; done', {
      stop: stop.signal,
    });
    await until(() => lines.includes('ready'));
    stop.abort();
    expect(await ended).toEqual({ exitCode: 1, signal: undefined });
    expect(lines).toEqual(['ready', 'cleaning', 'clean']);
  });

  test('scenario 1: a SIGINT to our own group does not reach it', async () => {
    let pid = 0;
    const { ended, lines } = run('echo ready; sleep 1; echo done', {
      onStart: started => {
        pid = started;
      },
    });
    await until(() => lines.includes('ready'));
    // Field 5 of /proc/<pid>/stat is the process group: it leads its own.
    expect(Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[4])).toBe(pid);
    expect(await ended).toEqual({ exitCode: 0, signal: undefined });
  });

  test('scenario 3: that ignores us is killed after its grace, with its children', async () => {
    const stop = new AbortController();
    const { ended, lines } = run('trap "" TERM; sleep 60 & echo $!; wait; while :; do sleep 0.05; done', {
      stop: stop.signal,
      graceSeconds: 0.5,
    });
    await until(() => lines.length === 1);
    stop.abort();
    expect((await ended).signal).toBe('SIGKILL');
    await until(() => !alive(Number(lines[0])));
  });

  test('does not keep us when a grandchild holds its output open', async () => {
    const startedAt = Date.now();
    const { ended, lines } = run('sleep 5 & echo $!; exit 0');
    expect(await ended).toEqual({ exitCode: 0, signal: undefined });
    expect(Date.now() - startedAt).toBeLessThan(4000);
    process.kill(Number(lines[0]), 'SIGKILL');
  });

  test('that is not there is an error', async () => {
    await expect(
      follow({
        command: '/nonexistent',
        args: [],
        folder,
        environment: {},
        log: join(folder, 'none'),
        onLine: () => {},
        onErrorLine: () => {},
        stop: new AbortController().signal,
      }),
    ).rejects.toThrow('ENOENT');
  });
});

describe('a process that an earlier step left behind', () => {
  // A second node follows it and is killed, as the runner kills us.
  const leftBehind = async (script: string): Promise<{ pid: number; log: string }> => {
    count += 1;
    const log = join(folder, `left-${count}`);
    const source = `
      import { follow } from ${JSON.stringify(join(import.meta.dirname, '../../src/adapters/process.ts'))};
      await follow({ command: '/bin/sh', args: ['-c', ${JSON.stringify(script)}], folder: ${JSON.stringify(folder)}, environment: process.env, log: ${JSON.stringify(log)},
        onLine: () => {}, onErrorLine: () => {}, onStart: pid => console.log(pid), stop: new AbortController().signal });`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>(done => parent.stdout.once('data', (text: Buffer) => done(Number(text.toString()))));
    await until(() => existsSync(`${log}.out`) && readFileSync(`${log}.out`, 'utf8').includes('ready'));
    parent.kill('SIGKILL');
    await new Promise(done => parent.once('exit', done));
    return { pid, log };
  };

  test('scenario 2: survives our death, goes on writing, and is waited for', async () => {
    const { pid, log } = await leftBehind(
      'trap "echo cleaning; sleep 1; echo clean; exit 1" TERM; echo ready; while :; do sleep 0.05; echo alive; done',
    );
    await until(() => readFileSync(`${log}.out`, 'utf8').includes('alive\nalive'));
    expect(await endProcess(pid, log, 20)).toBe('ended');
    expect(readFileSync(`${log}.out`, 'utf8')).toMatch(/ready\n(alive\n)+cleaning\nclean\n$/);
  });

  test('scenario 3: is killed when it does not end', async () => {
    const { pid, log } = await leftBehind('trap "" TERM; echo ready; while :; do sleep 0.05; done');
    expect(await endProcess(pid, log, 0.5)).toBe('killed');
    await until(() => !alive(pid));
  });

  test('is left alone when its number belongs to somebody else by now', async () => {
    const stranger = spawn('/bin/sleep', ['30'], { stdio: 'ignore' });
    const ended = new Promise(done => stranger.once('exit', done));
    expect(await endProcess(stranger.pid ?? 0, join(folder, 'another'), 5)).toBe('gone');
    expect(alive(stranger.pid ?? 0)).toBe(true);
    stranger.kill('SIGKILL');
    await ended;
  });
});

describe('a short command', () => {
  const environment = { PATH: process.env['PATH'] };
  const sh = (script: string, more: Partial<Parameters<typeof capture>[2]> = {}) =>
    capture('/bin/sh', ['-c', script], { timeoutSeconds: 20, environment, ...more });

  test('returns its output and exit code, and gets no input', async () => {
    const lines: string[] = [];
    const ran = await sh('printf "gr\\303\\274n\\r\\nlast"; cat; echo oops >&2; exit 3', { onLine: line => lines.push(line) });
    expect(ran).toEqual({ exitCode: 3, signal: undefined, stdout: 'grün\r\nlast', stderr: 'oops\n' });
    expect(lines).toEqual(['grün', 'last']);
  });

  test('may have blanks and quotes in its path', async () => {
    const path = join(folder, 'a "b c');
    writeFileSync(path, '#!/bin/sh\necho "$1"\n');
    chmodSync(path, 0o755);
    expect((await capture(path, ['x "y z'], { timeoutSeconds: 20, environment })).stdout).toBe('x "y z\n');
  });

  test('is killed when its time is up, and only it', async () => {
    const [hung, other] = await Promise.all([sh('exec sleep 30', { timeoutSeconds: 0.3 }), sh('sleep 1; echo done')]);
    expect(hung).toMatchObject({ exitCode: undefined, signal: 'SIGKILL' });
    expect(other).toMatchObject({ exitCode: 0, stdout: 'done\n' });
  });

  test('is terminated by a cancel', async () => {
    const stop = new AbortController();
    const ended = sh('trap "echo clean; exit 1" TERM; echo ready; while :; do sleep 0.05; done', {
      stop: stop.signal,
      onLine: line => line === 'ready' && stop.abort(),
    });
    expect(await ended).toMatchObject({ exitCode: 1, stdout: 'ready\nclean\n' });
  });

  test('that does not exist is an error', async () => {
    await expect(capture('/nonexistent', [], { timeoutSeconds: 20, environment })).rejects.toThrow('/nonexistent');
  });
});
