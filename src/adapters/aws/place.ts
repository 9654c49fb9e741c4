/** Where a call was made, for the message of its failure. */
export interface Place {
  readonly region: string;
  /** Undefined until it is known: it is never asked for only to fill a message. */
  readonly account: string | undefined;
}

/** What is known of the caller; filled in when a call happens to tell the account. */
export interface Caller {
  account: string | undefined;
}

export const accountOf = (arn: string | undefined): string | undefined => /^arn:[^:]*:[^:]*:[^:]*:(\d{12}):/.exec(arn ?? '')?.[1];

const places = new WeakMap<object, Place>();

export const placeOf = (cause: unknown): Place | undefined => (typeof cause === 'object' && cause !== null ? places.get(cause) : undefined);

export const formatPlace = (place: Place | undefined): string =>
  place === undefined ? '' : ` (${place.account === undefined ? '' : `account ${place.account}, `}${place.region})`;

interface Stack {
  readonly middlewareStack: { add(middleware: never, options: { step: 'initialize'; name: string; priority: 'high' }): void };
}

/** Notes region and account on every failure of a client. */
export function withPlace<C extends Stack>(client: C, region: string, caller: Caller): C {
  const note = (next: (args: unknown) => Promise<unknown>) => (args: unknown) =>
    next(args).catch((cause: unknown) => {
      if (cause instanceof Error) places.set(cause, { region, account: caller.account ?? accountOf(/arn:\S+/.exec(cause.message)?.[0]) });
      throw cause;
    });
  client.middlewareStack.add(note as never, { step: 'initialize', name: 'notePlace', priority: 'high' });
  return client;
}
