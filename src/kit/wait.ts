import { RejectedError, TimeoutError } from './errors.ts';
import { formatDuration } from './format.ts';

/** What one look at a slow thing tells. The judge is pure; the loop below is the only place that sleeps. */
export type Poll<T> =
  | { readonly state: 'waiting'; readonly note: string }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly reason: string };

export interface Wait<T> {
  /** What is waited for, as the subject of a sentence: "Instance i-1". */
  readonly what: string;
  readonly everySeconds: number;
  readonly atMostSeconds: number;
  poll(): Promise<Poll<T>>;
  /** What to do when the time is up. */
  readonly next?: string;
}

export interface WaitDeps {
  readonly clock: { now(): number; sleep(ms: number): Promise<void> };
  readonly report: { info(message: string): void };
}

/** Looks until it is done, has failed, or the time is up. Says a line when something changes, not at every look. */
export async function waitFor<T>(wait: Wait<T>, { clock, report }: WaitDeps): Promise<T> {
  const deadline = clock.now() + wait.atMostSeconds * 1000;
  let lastNote = '';
  for (;;) {
    const seen = await wait.poll();
    if (seen.state === 'done') return seen.value;
    if (seen.state === 'failed') throw new RejectedError(`${wait.what}: ${seen.reason}`);
    if (seen.note !== lastNote) report.info(`${wait.what}: ${seen.note}`);
    lastNote = seen.note;
    if (clock.now() >= deadline) {
      const message = `${wait.what}: gave up after ${formatDuration(wait.atMostSeconds)}. Last seen: ${seen.note.replace(/\.$/, '')}.`;
      throw new TimeoutError(message, { next: wait.next });
    }
    await clock.sleep(Math.min(wait.everySeconds * 1000, Math.max(deadline - clock.now(), 1)));
  }
}
