import { ActionError } from '../kit/errors.ts';

export interface Attempt<T> {
  readonly value?: T;
  readonly failure?: ActionError;
}

/** A failure that we foresee is one target's; a bug is ours, and ends the run. */
export async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() };
  } catch (failure) {
    if (failure instanceof ActionError) return { failure };
    throw failure;
  }
}
