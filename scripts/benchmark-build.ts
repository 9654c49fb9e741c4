import { type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { build, forOtherTemplates, packerHere, template } from '../__tests__/dist/build-lab.ts';
import { type Checkout, checkedOut } from '../__tests__/dist/corpus.ts';
import { startLab } from '../lab/lab.ts';
import { removeWorkspaces } from '../lab/runner.ts';

/**
 * What the action adds to Packer, and what it saves: bare `packer init` and `packer build`, the action's build of the same template, and an
 * unchanged run; for one source, for several, and for legacy JSON. Same lab, same template with a provisioner that sleeps.
 * `npm run benchmark:build -- [seconds] [times] [way]`
 */

const sleeps = process.argv[2] ?? '30';
const times = Number(process.argv[3] ?? 3);
const WALL = 1.02;
const CPU = 0.5;

interface Way {
  readonly name: string;
  readonly files: () => Checkout;
  /** The script that sleeps. */
  readonly script: string;
  /** Arguments of bare Packer; without `init` for JSON. */
  bare(turn: number): readonly (readonly string[])[];
  settings(turn: number): Readonly<Record<string, string>>;
}

const WAYS: readonly Way[] = [
  {
    name: 'one source',
    files: () => checkedOut(template()),
    script: 'packer/scripts/clean.sh',
    bare: turn => [
      ['init', 'packer'],
      ['build', '-var=ssh_port=2322', `-var=ami_name=bare-${turn}`, '-var=region=eu-central-1', 'packer'],
    ],
    settings: () => ({ 'base-image': 'name:136693071363/debian-12-amd64-*' }),
  },
  {
    name: 'two of 13 sources',
    files: () => checkedOut('root-many-sources'),
    script: 'scripts/install-agent.sh',
    bare: turn => [
      ['init', '.'],
      ['build', '-only=amazon-ebs.al2023,amazon-ebs.deb12', '-var=region=eu-central-1', `-var=release=bare-${turn}`, '.'],
    ],
    settings: turn => ({ template: '.', only: 'amazon-ebs.al2023, amazon-ebs.deb12', var: `release: ours-${turn}`, rebuild: 'max-age:7d' }),
  },
  {
    name: 'JSON, four builders',
    files: () => checkedOut('json-four-builders'),
    script: 'modules/install.sh',
    bare: () => [['build', '-var=aws_region=eu-central-1', 'examples/agent-ami/agent.json']],
    settings: () => ({ template: 'examples/agent-ami/agent.json', var: '', rebuild: 'max-age:7d' }),
  },
];

interface Cost {
  readonly wall: number;
  /** Of all children, in seconds; the lab is none of them. */
  readonly cpu: number;
  readonly calls: number;
}

const lab = await startLab();
try {
  for (const way of WAYS.filter(({ name }) => name.startsWith(process.argv[4] ?? ''))) await compare(way);
} finally {
  await lab.close();
  removeWorkspaces();
}

async function compare(way: Way): Promise<void> {
  const checkout = way.files();
  const { path: workspace, remove } = checkout;
  writeFileSync(join(workspace, way.script), `#!/bin/sh\nsleep ${sleeps}\n`);
  const [bare, ours, unchanged]: [Cost[], Cost[], Cost[]] = [[], [], []];
  for (let turn = 0; turn < times; turn += 1) {
    const action = () => act(way, checkout, turn);
    bare.push(await measured(() => packerAlone(way, workspace, turn)));
    ours.push(await measured(action));
    unchanged.push(await measured(action));
  }
  remove();
  const [packer, whole, nothing] = [median(bare), median(ours), median(unchanged)];
  console.log(`${way.name} (load ${loadavg()[0]?.toFixed(2)})`);
  print('  packer init, packer build', packer);
  print('  ami-action build', whole);
  print('  ami-action, unchanged push', nothing);
  const [wall, cpu] = [whole.wall / packer.wall, whole.cpu - packer.cpu];
  const missed = wall > WALL || cpu > CPU ? ' MISSED' : '';
  console.log(`  over Packer: ${wall.toFixed(3)} of the time (target ${WALL}), ${cpu.toFixed(2)} s CPU extra (target ${CPU})${missed}`);
  console.log(`  unchanged push over full build: ${(nothing.wall / whole.wall).toFixed(3)} of the time`);
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
  console.log(`${way.padEnd(29)} ${wall.toFixed(2).padStart(7)} s ${cpu.toFixed(2).padStart(6)} s CPU ${String(calls).padStart(4)} calls`);
}

/** User and system time of children that have ended, and of theirs: fields 16 and 17 of proc(5), in hundredths. */
function cpuOfChildren(): number {
  const [, fields = ''] = readFileSync('/proc/self/stat', 'utf8').split(/\) /);
  const [user = 0, system = 0] = fields.split(' ').slice(13, 15).map(Number);
  return (user + system) / 100;
}

async function act({ name, settings }: Way, { path: workspace, tools }: Checkout, turn: number): Promise<void> {
  const family = `${name.replace(/\W+/g, '-')}-${turn}`;
  const ran = await build(forOtherTemplates(lab), { workspace, with: { family, ...settings(turn) }, env: { RUNNER_TOOL_CACHE: tools } });
  if (ran.exitCode !== 0) throw new Error(ran.log);
}

async function packerAlone({ bare }: Way, workspace: string, turn: number): Promise<void> {
  const options = { cwd: workspace, env: { ...process.env, ...lab.environment(), ...packerHere() } };
  for (const args of bare(turn)) await command('packer', args, options);
}

function command(name: string, args: readonly string[], options: SpawnOptions): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn(name, args, { ...options, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', failed).once('exit', code => (code === 0 ? done() : failed(new Error(`${name} ${args[0]} ended with ${code}`))));
  });
}
