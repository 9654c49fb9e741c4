import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { collect, type Suite, type Test } from './globals.ts';
import { DECISIONS, mutants } from './hooks.ts';
import type { Mutant } from './mutants.ts';

/** Runs the unit tests once to see which mutants each of them reaches, then for each mutant the tests that reach it. Reports to its parent. */

export type Report =
  | { readonly kind: 'ready'; readonly tests: number; readonly slow: readonly string[]; readonly red: readonly string[] }
  | { readonly kind: 'begun'; readonly mutant: Mutant }
  | { readonly kind: 'ended'; readonly result: Result };

/** `static`: reached only while its file is loaded. `uncovered`: reached by no test that is fast enough. */
export type Result = 'killed' | 'survived' | 'static' | 'uncovered';

export interface Order {
  /** Beginning of the path of a file. */
  readonly files: string;
  /** Mutants up to this one are done. */
  readonly after: number;
  /** Tests that are known to be slow. */
  readonly slow: readonly string[];
}

const root = resolve(import.meta.dirname, '..', '..');
const ROOMS = /^(model|retention|rollout|validation|image-build|sharing|doctor|kit)\/[^/]+\.test\.ts$/;
// Slower ones are left out: a mutant would cost minutes.
const SLOW_MS = 300;
// Tests of a file that has taken this long count as slow, too.
const FILE_MS = 2000;
const TEST_MS = 5000;
// All tests of one mutant together, the fastest first. A decision that everything needs is reached by a thousand.
const MUTANT_MS = 1500;
// A mutant that loops without an end passes this, and no test does.
const MOST_CALLS = 20_000_000;

let active = -1;
let calls = 0;
let reached = new Set<number>();
Object.assign(globalThis, {
  __mutant(id: number): boolean {
    if (active < 0) reached.add(id);
    else if (++calls > MOST_CALLS) throw new Error('loops without an end');
    return id === active;
  },
});

const send = (report: Report) => new Promise<void>(sent => void process.send?.(report, () => sent()));

const pathOf = (suite: Suite | undefined): readonly Suite[] => (suite === undefined ? [] : [...pathOf(suite.parent), suite]);
const nameOf = ({ name, suite }: Test) => [...pathOf(suite).map(one => one.name), name].join(' > ');
const testsIn = (suite: Suite): readonly Test[] => [...suite.tests, ...suite.suites.flatMap(testsIn)];

async function runTest({ suite, work }: Test): Promise<void> {
  const path = pathOf(suite);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, failed) => {
    timer = setTimeout(() => failed(new Error('takes too long')), TEST_MS);
  });
  const all = async () => {
    for (const hook of path.flatMap(({ hooks }) => hooks.beforeEach)) await hook();
    try {
      await work();
    } finally {
      for (const hook of path.toReversed().flatMap(({ hooks }) => hooks.afterEach)) await hook();
    }
  };
  await Promise.race([all(), late]).finally(() => clearTimeout(timer));
}

/** Runs the wanted tests of a suite with its hooks. `after` sees each result, and ends the run with false. */
async function runSuite(suite: Suite, wanted: ReadonlySet<Test>, after: (test: Test, failure: unknown) => boolean): Promise<boolean> {
  if (!testsIn(suite).some(test => wanted.has(test))) return true;
  let goesOn = true;
  try {
    for (const hook of suite.hooks.beforeAll) await hook();
    for (const test of suite.tests.filter(one => wanted.has(one))) {
      const failure = await runTest(test).then(
        () => undefined,
        (cause: unknown) => cause ?? 'failed',
      );
      goesOn = after(test, failure);
      if (!goesOn) break;
    }
    for (const inner of suite.suites) goesOn = goesOn && (await runSuite(inner, wanted, after));
  } catch (failure) {
    goesOn = after(testsIn(suite).find(test => wanted.has(test)) as Test, failure);
  } finally {
    for (const hook of suite.hooks.afterAll) await Promise.resolve(hook()).catch(() => undefined);
  }
  return goesOn;
}

async function loadTests(): Promise<readonly Suite[]> {
  const folder = join(root, '__tests__');
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter(file => ROOMS.test(file)).sort();
  const suites: Suite[] = [];
  for (const file of files) suites.push(await collect(file, () => import(join(folder, file))));
  return suites;
}

interface Baseline {
  readonly suite: Suite;
  readonly test: Test;
  readonly reached: ReadonlySet<number>;
  readonly ms: number;
}

async function baseline(suites: readonly Suite[], known: readonly string[]) {
  const [fast, slow, red]: [Baseline[], string[], string[]] = [[], [...known], []];
  for (const suite of suites) {
    const begunAt = performance.now();
    for (const test of testsIn(suite).filter(one => !known.includes(nameOf(one)))) {
      reached = new Set();
      const startedAt = performance.now();
      if (startedAt - begunAt > FILE_MS) {
        slow.push(nameOf(test));
        continue;
      }
      let failed: unknown;
      await runSuite(suite, new Set([test]), (_, failure) => {
        failed = failure;
        return true;
      });
      if (failed !== undefined) red.push(`${nameOf(test)}: ${String(failed).split('\n')[0]}`);
      else if (performance.now() - startedAt > SLOW_MS) slow.push(nameOf(test));
      else fast.push({ suite, test, reached, ms: performance.now() - startedAt });
    }
  }
  return { fast: fast.sort((a, b) => a.ms - b.ms), slow, red };
}

/** As many as fit into the time of one mutant. */
function inTime(tests: readonly Baseline[]): readonly Baseline[] {
  let total = 0;
  return tests.filter(({ ms }) => {
    total += ms;
    return total < MUTANT_MS;
  });
}

async function isNoticed(id: number, covering: readonly Baseline[]): Promise<boolean> {
  let noticed = false;
  for (const suite of new Set(covering.map(one => one.suite))) {
    const wanted = new Set(covering.filter(one => one.suite === suite).map(({ test }) => test));
    [active, calls] = [id, 0];
    await runSuite(suite, wanted, (_, failure) => {
      noticed ||= failure !== undefined;
      return !noticed;
    });
    active = -1;
    if (noticed) return true;
  }
  return false;
}

process.on('unhandledRejection', () => undefined);
process.on('message', async ({ files, after, slow: known }: Order) => {
  const decisions = (readdirSync(join(root, 'src'), { recursive: true }) as string[])
    .map(file => `src/${file}`)
    .filter(file => DECISIONS.test(file));
  for (const file of decisions.sort()) await import(join(root, file));
  const suites = await loadTests();
  const atLoad = reached;
  const { fast, slow, red } = await baseline(suites, known);
  await send({ kind: 'ready', tests: fast.length, slow, red });
  for (const mutant of mutants.filter(({ id, file }) => id > after && file.startsWith(files))) {
    await send({ kind: 'begun', mutant });
    const covering = inTime(fast.filter(one => one.reached.has(mutant.id)));
    const isKilled = await isNoticed(mutant.id, covering);
    const unreached = atLoad.has(mutant.id) ? 'static' : 'uncovered';
    await send({ kind: 'ended', result: isKilled ? 'killed' : covering.length > 0 ? 'survived' : unreached });
  }
  process.exit(0);
});
