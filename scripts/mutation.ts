// npm run mutation -- [src/rollout] [minutes]: changes each condition, operator, literal and call of the decisions (src/model and src/*/rules), one at a time, and
// runs the unit tests that reach it. Prints the score of each file, and each change that no test noticed. All tests run in one process that holds all
// mutants at once: Stryker loads the tests again for each.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutation/mutants.ts';
import type { Order, Report, Result } from './mutation/worker.ts';

const files = process.argv[2] ?? 'src/';
const endsAt = performance.now() + Number(process.argv[3] ?? 60) * 60_000;
const folder = join(import.meta.dirname, 'mutation');
// A mutant that loops without an end, and calls no other mutant in the loop.
const SILENCE_MS = 30_000;

const results: { readonly mutant: Mutant; readonly result: Result }[] = [];
let slow: readonly string[] = [];
let isFirst = true;

/** Runs mutants until the worker ends or hangs. True: there are more. */
function runMutants(after: number): Promise<boolean> {
  return new Promise(ended => {
    const worker = fork(join(folder, 'worker.ts'), { execArgv: ['--no-warnings', '--import', join(folder, 'hooks.ts')], silent: true });
    worker.stdout?.resume();
    let current: Mutant | undefined;
    let watch: NodeJS.Timeout | undefined;
    const conclude = (result: Result) => current !== undefined && results.push({ mutant: current, result });
    worker.on('message', (report: Report) => {
      clearTimeout(watch);
      if (report.kind === 'ready') showBaseline(report);
      if (report.kind === 'begun') {
        current = report.mutant;
        watch = setTimeout(() => worker.kill('SIGKILL'), SILENCE_MS);
      }
      if (report.kind === 'ended') conclude(report.result);
      if (report.kind === 'ended') current = undefined;
      if (performance.now() > endsAt) worker.kill();
    });
    worker.on('exit', () => {
      const isLate = performance.now() > endsAt;
      if (isLate) console.log(`stopped for lack of time before ${current?.file ?? 'the first mutant'}:${current?.line ?? 0}`);
      else conclude('killed');
      ended(!isLate && current !== undefined);
    });
    const order: Order = { files, after, slow };
    start(worker, order);
  });
}

function start(worker: ChildProcess, order: Order): void {
  let said = '';
  worker.stderr?.on('data', text => {
    said = `${said}${text}`.slice(-4000);
  });
  worker.on('exit', code => code !== 0 && code !== null && console.error(said));
  worker.send(order);
}

function showBaseline(report: Extract<Report, { kind: 'ready' }>): void {
  slow = report.slow;
  if (!isFirst) return;
  isFirst = false;
  console.log(
    `${report.tests} tests; ${report.slow.length} are slow and left out; ${report.red.length} are red without a mutant and left out`,
  );
  for (const name of report.red) console.log(`  red: ${name}`);
}

const share = (some: readonly { readonly result: Result }[]) => {
  const counted = some.filter(({ result }) => result !== 'static');
  const killed = counted.filter(({ result }) => result === 'killed').length;
  return `${killed} of ${counted.length} noticed (${counted.length === 0 ? '-' : ((100 * killed) / counted.length).toFixed(1)} %)`;
};

const startedAt = performance.now();
while (await runMutants(results.at(-1)?.mutant.id ?? -1));
for (const file of new Set(results.map(({ mutant }) => mutant.file))) {
  const own = results.filter(({ mutant }) => mutant.file === file);
  console.log(`${file}: ${share(own)}`);
  for (const { mutant, result } of own.filter(one => one.result === 'survived' || one.result === 'uncovered'))
    console.log(
      `  ${result} :${mutant.line} ${mutant.original.replace(/\s+/g, ' ').slice(0, 100)} -> ${mutant.mutant.replace(/\s+/g, ' ').slice(0, 60)}`,
    );
}
const rooms = new Set(results.map(({ mutant }) => mutant.file.split('/')[1]));
for (const room of rooms) console.log(`${room}: ${share(results.filter(({ mutant }) => mutant.file.split('/')[1] === room))}`);
console.log(
  `all: ${share(results)}; ${results.filter(({ result }) => result === 'static').length} only at load; ${((performance.now() - startedAt) / 1000).toFixed(0)} s`,
);
mkdirSync('reports', { recursive: true });
writeFileSync(join('reports', 'mutation.json'), JSON.stringify(results, null, 1));
