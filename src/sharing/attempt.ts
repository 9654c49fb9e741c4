import { ActionError } from '../kit/errors.ts';

export interface Attempt<T> {
  readonly value?: T;
  readonly failure?: ActionError;
}

/** Returns an `ActionError` as a value: it concerns one target. A bug is thrown. */
export async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() };
  } catch (failure) {
    if (failure instanceof ActionError) return { failure };
    throw failure;
  }
}
