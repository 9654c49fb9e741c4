// npm run fuzz -- [--runs 5000] [--shards 4] [--mode m] [--kind k] [--seed n] [--log file]: runs every mode against answers of AWS that are spoilt by
// a seed, and prints the outcomes. One line of JSON for each run goes to the log; a run is repeated by its mode, kind and seed.

import { fork } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ALLOWED, STORIES } from '../__tests__/dist/fuzz-stories.ts';
import { inProcess } from '../lab/fuzz/in-process.ts';
import { fuzzProxy, KINDS } from '../lab/fuzz/proxy.ts';
import { removeWorkspaces } from '../lab/runner.ts';

interface Job {
  readonly mode: string;
  readonly kind: string;
  readonly seed: number;
}

interface Result extends Job {
  readonly outcome: string;
  /** What is forbidden, a line each. */
  readonly problems: readonly string[];
  readonly spoilt: readonly string[];
  readonly errors: readonly string[];
  readonly cpuSeconds: number;
}

/** Far longer than any run that ends. */
const HUNG_MS = 300_000;

async function fuzz(job: Job): Promise<Result> {
  const before = process.cpuUsage();
  const story = await (STORIES[job.mode] as (typeof STORIES)[string])();
  // Every second seed spoils rarely, so that a run gets further before it is struck.
  const proxy = await fuzzProxy(story.lab.url, { ...job, chance: job.seed % 2 === 1 ? 0.15 : 0.04 });
  try {
    const ran = await story.run({ env: { AWS_ENDPOINT_URL: proxy.url }, execute: inProcess });
    const outcome = ran.outputs['outcome'] ?? 'none';
    const bugs = /This is a bug in ami-action|^crashed: /m.test(ran.log) ? [ran.log.slice(-3000)] : [];
    const problems = [...(ALLOWED.includes(outcome) ? [] : [`outcome ${outcome}`]), ...bugs, ...story.problems(ran)];
    const { user, system } = process.cpuUsage(before);
    return { ...job, outcome, problems, spoilt: [...proxy.spoilt], errors: ran.errors, cpuSeconds: (user + system) / 1e6 };
  } finally {
    await proxy.close();
    await story.lab.close();
    removeWorkspaces();
  }
}

/** Runs its jobs one by one, in a process of its own. A run that does not end costs the process, which begins again after it. */
async function shard(jobs: readonly Job[], onResult: (result: Result) => void): Promise<void> {
  const rest = [...jobs];
  while (rest.length > 0) {
    const child = fork(import.meta.filename, ['--worker'], { serialization: 'advanced' });
    await new Promise<void>(done => {
      let watch: NodeJS.Timeout | undefined;
      const failed = (problem: string) => {
        const [job] = rest.splice(0, 1);
        if (job !== undefined) onResult({ ...job, outcome: 'none', problems: [problem], spoilt: [], errors: [], cpuSeconds: 0 });
        child.kill('SIGKILL');
      };
      const begin = () => {
        clearTimeout(watch);
        if (rest[0] === undefined) return child.disconnect();
        watch = setTimeout(() => failed('it did not end'), HUNG_MS);
        child.send(rest[0]);
      };
      child.on('message', result => {
        rest.shift();
        onResult(result as Result);
        begin();
      });
      child.once('exit', code => {
        clearTimeout(watch);
        if (rest.length > 0 && code !== null) failed(`the process ended with ${code}`);
        done();
      });
      begin();
    });
  }
}

function report(results: readonly Result[]): void {
  const outcomes = [...new Set(results.map(({ outcome }) => outcome))].sort();
  const count = (of: Partial<Result>) =>
    results.filter(result => Object.entries(of).every(([key, value]) => result[key as keyof Result] === value)).length;
  console.log(['mode', 'runs', 'spoilt', ...outcomes].map(head => head.padEnd(10)).join(''));
  for (const mode of Object.keys(STORIES)) {
    const spoilt = results.filter(result => result.mode === mode && result.spoilt.length > 0).length;
    console.log(
      [mode, count({ mode }), spoilt, ...outcomes.map(outcome => count({ mode, outcome }))].map(cell => String(cell).padEnd(10)).join(''),
    );
  }
  const cpu = results.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  const forbidden = results.filter(({ problems }) => problems.length > 0);
  console.log(`${results.length} runs, ${(cpu / 60).toFixed(1)} CPU minutes, ${forbidden.length} forbidden`);
  for (const { mode, kind, seed, outcome, problems } of forbidden)
    console.log(`${mode} ${kind} ${seed}: ${outcome}: ${problems.join(' | ')}`);
  process.exitCode = forbidden.length === 0 ? 0 : 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '5000' },
      shards: { type: 'string', default: '4' },
      mode: { type: 'string' },
      kind: { type: 'string' },
      seed: { type: 'string' },
      log: { type: 'string' },
    },
  });
  const modes = values.mode === undefined ? Object.keys(STORIES) : [values.mode];
  const kinds = values.kind === undefined ? KINDS : [values.kind];
  const pairs = kinds.flatMap(kind => modes.map(mode => ({ mode, kind })));
  const runs = values.seed === undefined ? Number(values.runs) : pairs.length;
  const jobs = Array.from({ length: runs }, (_, n): Job => {
    const seed = Number(values.seed ?? Math.floor(n / pairs.length) + 1);
    return { ...(pairs[n % pairs.length] as (typeof pairs)[number]), seed };
  });
  if (values.log !== undefined) writeFileSync(values.log, '');
  const results: Result[] = [];
  const onResult = (result: Result) => {
    results.push(result);
    if (values.log !== undefined) appendFileSync(values.log, `${JSON.stringify(result)}\n`);
  };
  const shards = Math.min(Number(values.shards), jobs.length);
  await Promise.all(
    Array.from({ length: shards }, (_, k) =>
      shard(
        jobs.filter((_, n) => n % shards === k),
        onResult,
      ),
    ),
  );
  report(results);
}

if (process.argv.includes('--worker')) process.on('message', job => void fuzz(job as Job).then(result => process.send?.(result)));
else await main();
