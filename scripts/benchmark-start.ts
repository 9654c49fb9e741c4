// npm run benchmark:start -- [runs] [bundle of aws-actions/configure-aws-credentials]: CPU time and memory from start to exit with bad input, next to
// bare Node and, where its dist/index.js is given, to aws-actions/configure-aws-credentials. Runs alternate, so that a busy machine slows all alike.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const runs = Number(process.argv[2] ?? 20);
const theirs = process.argv[3] ?? process.env['AMI_ACTION_CONFIGURE_CREDENTIALS'];
const ours = process.env['AMI_ACTION_BUNDLE'] ?? join(import.meta.dirname, '..', 'dist', 'index.js');

// The last line of a process that measures itself.
const PROBE =
  'process.on("exit",()=>{const{userCPUTime,systemCPUTime,maxRSS}=process.resourceUsage();process.stderr.write(`\\n@${(userCPUTime+systemCPUTime)/1000} ${maxRSS/1024}`)})';

interface Measured {
  readonly cpuMs: number;
  readonly memoryMiB: number;
}

const folder = mkdtempSync(join(tmpdir(), 'ami-action-start-'));
const probe = join(folder, 'probe.cjs');
const nothing = join(folder, 'nothing.mjs');
writeFileSync(probe, PROBE);
writeFileSync(nothing, '');

function start(file: string, inputs: Readonly<Record<string, string>>): Measured {
  const files = Object.fromEntries(['OUTPUT', 'STATE', 'STEP_SUMMARY', 'ENV'].map(name => [`GITHUB_${name}`, join(folder, name)]));
  for (const path of Object.values(files)) writeFileSync(path, '');
  const env = { PATH: process.env['PATH'], GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: folder, ...files, ...inputs };
  const { stderr } = spawnSync(process.execPath, ['--require', probe, file], { env, cwd: folder, encoding: 'utf8' });
  const [, cpu = '', memory = ''] = /@(\S+) (\S+)$/.exec(stderr) ?? [];
  return { cpuMs: Number(cpu), memoryMiB: Number(memory) };
}

const WAYS: readonly (readonly [name: string, file: string, inputs: Readonly<Record<string, string>>])[] = [
  ['bare Node', nothing, {}],
  ['ami-action', ours, { INPUT_MODE: 'promote', INPUT_FAMILY: 'web' }],
  // Without a region.
  ...(theirs === undefined ? [] : ([['configure-aws-credentials', resolve(theirs), {}]] as const)),
];

const middle = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const all = new Map<string, Measured[]>(WAYS.map(([name]) => [name, []]));
for (let n = 0; n < runs; n += 1) for (const [name, file, inputs] of WAYS) all.get(name)?.push(start(file, inputs));
const medians = [...all].map(([name, results]) => ({
  name,
  cpuMs: middle(results.map(({ cpuMs }) => cpuMs)),
  memoryMiB: middle(results.map(({ memoryMiB }) => memoryMiB)),
}));
for (const { name, cpuMs, memoryMiB } of medians)
  console.log(`${name}: ${cpuMs.toFixed(0)} ms CPU, ${memoryMiB.toFixed(0)} MiB at most (median of ${runs})`);
const [, mine, other] = medians;
if (mine !== undefined && other !== undefined)
  console.log(
    `CPU ${(mine.cpuMs / other.cpuMs).toFixed(2)} of theirs (target 0.8), memory ${(mine.memoryMiB / other.memoryMiB).toFixed(2)} (target below 1)`,
  );
rmSync(folder, { recursive: true });
