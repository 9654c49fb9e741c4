import { expect } from 'expect';

/** What the unit tests take from `@jest/globals`, for tests that run many times in one process. */

type Work = (...args: readonly unknown[]) => unknown;

export interface Suite {
  readonly name: string;
  readonly parent: Suite | undefined;
  readonly suites: Suite[];
  readonly tests: Test[];
  readonly hooks: Readonly<Record<'beforeAll' | 'afterAll' | 'beforeEach' | 'afterEach', Work[]>>;
}

export interface Test {
  readonly name: string;
  readonly suite: Suite;
  readonly work: Work;
}

const suiteOf = (name: string, parent: Suite | undefined): Suite => ({
  ...{ name, parent, suites: [], tests: [] },
  hooks: { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] },
});

let current: Suite | undefined;

/** Collects what a test file declares. */
export async function collect(name: string, load: () => Promise<unknown>): Promise<Suite> {
  const suite = suiteOf(name, undefined);
  current = suite;
  await load();
  current = undefined;
  return suite;
}

const here = (): Suite => {
  if (current === undefined) throw new Error('declared outside of a test file');
  return current;
};

const named = (name: string, row: readonly unknown[]) =>
  row.reduce<string>(
    (text, value) => text.replace(/%[sijp]/, () => (typeof value === 'string' ? value : String(JSON.stringify(value)))),
    name,
  );

type Declare = (name: string, work: Work) => void;

const each =
  (declare: Declare) =>
  (rows: readonly unknown[]): Declare =>
  (name, work) => {
    for (const row of rows) {
      const args = Array.isArray(row) ? row : [row];
      declare(named(name, args), () => work(...args));
    }
  };

const declareTest: Declare = (name, work) => void here().tests.push({ name, suite: here(), work });
const declareSuite: Declare = (name, work) => {
  const outer = here();
  const inner = suiteOf(name, outer);
  outer.suites.push(inner);
  current = inner;
  work();
  current = outer;
};

const hook = (kind: keyof Suite['hooks']) => (work: Work) => void here().hooks[kind].push(work);

export const test = Object.assign(declareTest, { each: each(declareTest) });
export const describe = Object.assign(declareSuite, { each: each(declareSuite) });
export const beforeAll = hook('beforeAll');
export const afterAll = hook('afterAll');
export const beforeEach = hook('beforeEach');
export const afterEach = hook('afterEach');
export { expect };
