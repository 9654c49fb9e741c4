import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Answers } from './differences.ts';

const run = promisify(execFile);
const HERE = import.meta.dirname;
const LAB = join(HERE, '..', '..', '..', 'lab');

/** Requirements in lab/, with pinned versions and hashes. ministack and boto3 need different versions of botocore. */
type Requirements = 'witness' | 'ministack';

/** A Python with the packages of the requirements, or the reason why this host has none. */
export type Witnesses = { readonly python: string } | { readonly missing: string };

/** Created once and kept in the user's cache, next to Packer and the lab's disks. */
export async function findWitnesses(requirements: Requirements = 'witness'): Promise<Witnesses> {
  const file = join(LAB, `${requirements}-requirements.txt`);
  try {
    const { stdout: version } = await run('python3', ['--version']);
    const hash = createHash('sha256')
      .update(version)
      .update(await readFile(file))
      .digest('hex')
      .slice(0, 16);
    const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ami-action', `witnesses-${hash}`);
    if (!existsSync(folder)) await install(folder, file);
    return { python: join(folder, 'bin', 'python') };
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string };
    return { missing: `no Python with the packages of ${file}: ${stderr?.trim() || message}` };
  }
}

// Created elsewhere and then moved, so that it is complete even when two processes create it at once.
async function install(folder: string, requirements: string): Promise<void> {
  const unfinished = `${folder}.${randomUUID()}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await run('python3', ['-m', 'venv', unfinished]);
    const options = ['--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary', ':all:'];
    await run(join(unfinished, 'bin', 'python'), ['-m', 'pip', 'install', ...options, '--requirement', requirements]);
    await rename(unfinished, folder).catch(cause => {
      if (!existsSync(folder)) throw cause;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Answers of the endpoint to boto3, call by call. */
export async function recordAnswers(python: string, story: string, environment: Readonly<Record<string, string>>): Promise<Answers> {
  const endpoint = environment.AWS_ENDPOINT_URL ?? '';
  const { stdout } = await run(python, ['-B', join(HERE, 'answers.py'), endpoint, story], {
    env: { ...environment, PATH: process.env.PATH, HOME: '/nonexistent' },
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout);
}

export interface Moto extends AsyncDisposable {
  readonly url: string;
}

/** https://docs.getmoto.org/en/latest/docs/server_mode.html */
export async function startMoto(python: string): Promise<Moto> {
  const port = await freePort();
  const child = spawn(python, ['-B', '-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const url = `http://127.0.0.1:${port}`;
  await answering(child, url);
  const gone = new Promise<void>(settle => child.once('exit', () => settle()));
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

async function answering(child: ChildProcess, url: string): Promise<void> {
  let said = '';
  child.stderr?.on('data', chunk => {
    said += chunk;
  });
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) throw new Error(`moto ended: ${said}`);
    const answer = await fetch(`${url}/moto-api/data.json`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise(wake => setTimeout(wake, 100));
  }
  throw new Error(`moto never answered: ${said}`);
}

export const freePort = (): Promise<number> =>
  new Promise((settle, fail) => {
    const server = createServer();
    server.once('error', fail).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? settle(address.port) : fail(new Error('no port'))));
    });
  });
