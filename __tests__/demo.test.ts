import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { packerTools } from '../scripts/packer-tools.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
const MARK = 'AMI_ACTION_DEMO_TEST';

const tools = await packerTools().catch((cause: Error) => cause);
const missing = tools instanceof Error ? tools : undefined;
if (missing !== undefined && process.env['AMI_ACTION_REQUIRE_ALL'] === '1') throw missing;
if (missing !== undefined) console.error(`\n!!! Skipped, because Packer cannot be had here: ${missing.message}\n`);

/** A process, and when it started: ids are used again. */
interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly startedAt: string;
}

function processes(): Seen[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      const stat = read(`/proc/${name}/stat`);
      const [state = 'Z', parent = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie has ended; somebody only has not asked yet.
      return state === 'Z' || state === 'X' ? [] : [{ pid: Number(name), parent: Number(parent), startedAt: rest[17] ?? '' }];
    });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // ended since, or not ours
  }
}

/** What descends from a process, in whatever namespace: instances have an environment of their own, so the mark does not find them. */
function descendants(pid: number, all = processes()): Seen[] {
  const children = all.filter(({ parent }) => parent === pid);
  return [...children, ...children.flatMap(child => descendants(child.pid, all))];
}

const marked = (mark: string): number[] =>
  processes()
    .map(({ pid }) => pid)
    .filter(pid => read(`/proc/${pid}/environ`).split('\0').includes(`${MARK}=${mark}`));

const commandLine = (pid: number) => read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();

/** Mount points without their ids, which change. */
const mounts = () =>
  read('/proc/self/mountinfo')
    .split('\n')
    .map(line => line.split(' ').slice(3).join(' '))
    .sort();

const changedFiles = () => execFileSync('git', ['status', '--porcelain'], { cwd: ROOT, encoding: 'utf8' });

const folders: string[] = [];
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) if (child.exitCode === null && child.signalCode === null) killGroup(child, 'SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid !== undefined) process.kill(-child.pid, signal);
}

/** `npm run demo` as a terminal starts it, with a home and a folder for temporary files that nobody else writes to. */
async function demoUntil(line: RegExp) {
  const mark = randomUUID();
  const watched = mkdtempSync(join(tmpdir(), 'ami-action-demo-'));
  folders.push(watched);
  const [home, temporary, ofNpm] = ['home', 'temporary', 'npm'].map(name => join(watched, name)) as [string, string, string];
  for (const folder of [home, temporary]) mkdirSync(folder);
  const { npm_config_cache: _, ...environment } = process.env;
  const npm = spawn('npm', ['run', 'demo'], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...environment,
      HOME: home,
      TMPDIR: temporary,
      XDG_CACHE_HOME: CACHE,
      npm_config_cache: ofNpm,
      NODE_COMPILE_CACHE: ofNpm,
      [MARK]: mark,
    },
  });
  running.push(npm);
  const said = await saidUntil(npm, line);
  const tree = descendants(npm.pid ?? 0);
  return { npm, mark, said, tree, watched: [home, temporary] };
}

function saidUntil(child: ChildProcess, line: RegExp): Promise<string> {
  return new Promise((done, failed) => {
    let said = '';
    const take = (chunk: Buffer) => {
      said += chunk;
      if (line.test(said)) done(said);
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('exit', () => failed(new Error(`The demo ended before it said ${line}:\n${said}`)));
  });
}

type Demo = Awaited<ReturnType<typeof demoUntil>>;

const STRIKES = {
  'SIGKILL to npm': ({ npm }: Demo) => npm.kill('SIGKILL'),
  'SIGTERM to npm': ({ npm }: Demo) => npm.kill('SIGTERM'),
  'SIGKILL to the process that npm started': ({ tree }: Demo) => {
    const node = tree.find(({ pid }) => /^\S*node demo\/main\.ts/.test(commandLine(pid)));
    expect(node).toBeDefined();
    process.kill(node?.pid ?? 0, 'SIGKILL');
  },
  'SIGKILL to the story': ({ tree }: Demo) => {
    const story = tree.find(({ pid }) => /node \S*story\.ts/.test(commandLine(pid)) && !commandLine(pid).startsWith('unshare'));
    expect(story).toBeDefined();
    process.kill(story?.pid ?? 0, 'SIGKILL');
  },
  'SIGINT to the group, as Ctrl-C does': ({ npm }: Demo) => killGroup(npm, 'SIGINT'),
  'SIGTERM to the group': ({ npm }: Demo) => killGroup(npm, 'SIGTERM'),
};

const alive = ({ mark, tree }: Demo): string[] => {
  const now = new Set(processes().map(({ pid, startedAt }) => `${pid} ${startedAt}`));
  const known = tree.filter(({ pid, startedAt }) => now.has(`${pid} ${startedAt}`)).map(({ pid }) => pid);
  return [...new Set([...marked(mark), ...known])].map(pid => `${pid} ${commandLine(pid)}`);
};

async function soonNobody(demo: Demo): Promise<string[]> {
  for (let looks = 0; looks < 100; looks += 1) {
    const left = alive(demo);
    if (left.length === 0) return [];
    await new Promise(done => setTimeout(done, 200));
  }
  return alive(demo);
}

const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' });

describe(missing === undefined ? 'killing the demo leaves no process, mount or file outside the cache' : 'the demo', () => {
  const cases: readonly (readonly [when: string, line: RegExp, strike: keyof typeof STRIKES])[] = [
    ['as soon as it begins', /1\. An account/, 'SIGKILL to npm'],
    ['while the groups start', /4 instances in service/, 'SIGTERM to npm'],
    ['in a Packer build', /Packer: Launching/, 'SIGKILL to the process that npm started'],
    ['while Packer provisions', /Packer: Provisioning/, 'SIGKILL to the story'],
    ['in the checks of a validation', /Checks on i-\w+: InProgress/, 'SIGTERM to the group'],
    ['in a roll, by Ctrl-C', /InProgress, 0 %/, 'SIGINT to the group, as Ctrl-C does'],
    ['in a roll, outright', /InProgress, 0 %/, 'SIGKILL to npm'],
  ];

  (missing === undefined ? test : test.skip).each(cases)('%s', async (_when, line, strike) => {
    const before = { mounts: mounts(), changes: changedFiles() };
    const demo = await demoUntil(line);
    expect(demo.tree.length).toBeGreaterThan(1);
    STRIKES[strike](demo);
    expect(await soonNobody(demo)).toEqual([]);
    expect(demo.watched.flatMap(filesIn)).toEqual([]);
    expect(mounts()).toEqual(before.mounts);
    expect(changedFiles()).toBe(before.changes);
  });
});
