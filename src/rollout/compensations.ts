import { concurrently } from '../kit/concurrently.ts';

/** What must be undone when a rollout fails: the newest entry first, each by itself, and a child for each region and group. */

/** Returns what could not be reverted. */
type Revert = () => Promise<readonly string[]> | Promise<void>;

export interface Compensations {
  /** `label` starts the line of a failure. */
  add(label: string, revert: Revert): void;
  /** For one region, or for groups, which are reverted all at once. `format`: of what could not be reverted. */
  child(format?: (line: string) => string): Compensations;
  /** Best effort. Returns what could not be reverted. */
  run(): Promise<readonly string[]>;
}

const stackOf = (isParallel: boolean): Compensations => {
  const entries: (readonly [label: string, revert: Revert])[] = [];
  const run = async () => {
    const [order, atOnce] = isParallel ? [entries, entries.length] : [entries.toReversed(), 1];
    return (await concurrently(order, atOnce, ([label, revert]) => collectFailure(revert, label))).flat();
  };
  const child: Compensations['child'] = (format = line => line) => {
    const own = stackOf(true);
    entries.push(['', async () => (await own.run()).map(format)]);
    return own;
  };
  return { add: (label, revert) => void entries.push([label, revert]), child, run };
};

export const compensations = (): Compensations => stackOf(false);

/** Returns the failure of `work` as a line, or what `work` returns. */
export async function collectFailure(work: Revert, label: string): Promise<readonly string[]> {
  try {
    return (await work()) ?? [];
  } catch (cause) {
    return [`${label}: ${messageOf(cause)}`];
  }
}

export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
