import { type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, packerHere, template } from '../__tests__/dist/build-lab.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { removeWorkspaces } from '../lab/runner.ts';

/**
 * What the action adds to Packer, and what it saves: bare `packer init` and `packer build`, the action's build of the same template, and an
 * unchanged run. Same lab, same template with a provisioner that sleeps. `npm run benchmark:build -- [seconds] [times]`
 */

const sleeps = process.argv[2] ?? '30';
const times = Number(process.argv[3] ?? 3);
const BASE = 'name:136693071363/debian-12-amd64-*';

interface Cost {
  readonly wall: number;
  /** Of all children, in seconds; the lab is none of them. */
  readonly cpu: number;
  readonly calls: number;
}

const files = { ...template(), 'packer/scripts/clean.sh': `#!/bin/sh\nsleep ${sleeps}\n` };
const workspace = mkdtempSync(join(tmpdir(), 'benchmark-build-'));
const lab = await startLab();
try {
  await checkout();
  const [bare, ours, unchanged]: [Cost[], Cost[], Cost[]] = [[], [], []];
  for (let turn = 0; turn < times; turn += 1) {
    const family = `bench-${turn}`;
    bare.push(await measured(() => packerAlone(lab, turn)));
    ours.push(await measured(() => action(family)));
    unchanged.push(await measured(() => action(family)));
  }
  const [packer, whole, nothing] = [median(bare), median(ours), median(unchanged)];
  print('packer init, packer build', packer);
  print('ami-action build', whole);
  print('ami-action, unchanged push', nothing);
  console.log(
    `action over Packer: ${(whole.wall / packer.wall).toFixed(3)} of the time (target 1.02), ${(whole.cpu - packer.cpu).toFixed(2)} s CPU extra (target 0.5)`,
  );
  console.log(`unchanged push over full build: ${(nothing.wall / whole.wall).toFixed(3)} of the time`);
} finally {
  await lab.close();
  removeWorkspaces();
  rmSync(workspace, { recursive: true });
}

/** As after actions/checkout: the action reads the tree from git. Bare Packer runs in the same workspace. */
async function checkout(): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(workspace, path, '..'), { recursive: true });
    writeFileSync(join(workspace, path), content);
  }
  const options = { cwd: workspace, env: process.env };
  await command('git', ['init', '--quiet'], options);
  await command('git', ['add', '.'], options);
  await command('git', ['-c', 'user.name=b', '-c', 'user.email=b@example.com', 'commit', '--quiet', '--message=all'], options);
}

async function measured(work: () => Promise<void>): Promise<Cost> {
  const [mark, startedAt, cpu] = [lab.calls.mark(), performance.now(), cpuOfChildren()];
  await work();
  return { wall: (performance.now() - startedAt) / 1000, cpu: cpuOfChildren() - cpu, calls: lab.calls.since(mark).length };
}

/** Of each measure separately. */
function median(costs: readonly Cost[]): Cost {
  const middle = (of: keyof Cost) => costs.map(cost => cost[of]).toSorted((a, b) => a - b)[Math.floor(costs.length / 2)] ?? 0;
  return { wall: middle('wall'), cpu: middle('cpu'), calls: middle('calls') };
}

function print(way: string, { wall, cpu, calls }: Cost): void {
  console.log(`${way.padEnd(27)} ${wall.toFixed(2).padStart(7)} s ${cpu.toFixed(2).padStart(6)} s CPU ${String(calls).padStart(4)} calls`);
}

/** User and system time of children that have ended, and of theirs: fields 16 and 17 of proc(5), in hundredths. */
function cpuOfChildren(): number {
  const [, fields = ''] = readFileSync('/proc/self/stat', 'utf8').split(/\) /);
  const [user = 0, system = 0] = fields.split(' ').slice(13, 15).map(Number);
  return (user + system) / 100;
}

async function action(family: string): Promise<void> {
  const ran = await build(lab, { workspace, with: { family, 'base-image': BASE } });
  if (ran.exitCode !== 0) throw new Error(ran.log);
}

async function packerAlone({ environment }: Lab, turn: number): Promise<void> {
  const options = { cwd: workspace, env: { ...process.env, ...environment(), ...packerHere() } };
  await command('packer', ['init', 'packer'], options);
  await command('packer', ['build', '-var=ssh_port=2322', `-var=ami_name=bare-${turn}`, '-var=region=eu-central-1', 'packer'], options);
}

function command(name: string, args: readonly string[], options: SpawnOptions): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn(name, args, { ...options, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', failed).once('exit', code => (code === 0 ? done() : failed(new Error(`${name} ${args[0]} ended with ${code}`))));
  });
}
