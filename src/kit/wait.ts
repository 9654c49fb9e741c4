import { RejectedError, TimeoutError } from './errors.ts';
import { formatDuration } from './format.ts';

/** The result of one poll. It is decided by pure code; the loop below is the only place that sleeps. */
export type Poll<T> =
  | { readonly state: 'waiting'; readonly note: string }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly reason: string };

export interface Wait<T> {
  /** What is waited for: "Instance i-1". */
  readonly what: string;
  readonly everySeconds: number;
  readonly atMostSeconds: number;
  poll(): Promise<Poll<T>>;
  /** The next step after the time limit. */
  readonly next?: string;
}

export interface WaitDeps {
  readonly clock: { now(): number; sleep(ms: number): Promise<void> };
  readonly report: { info(message: string): void };
}

/** Polls until it is done, has failed, or the time limit is reached (`TimeoutError`). Reports a line when the note changes. */
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
