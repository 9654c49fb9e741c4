/** How a run ended: the output `outcome` of every mode. A closed list, so that a workflow can branch on it. */
export type Outcome = 'done' | 'unchanged' | 'planned' | 'usage' | 'access' | 'rejected' | 'timeout' | 'cancelled' | 'unknown' | 'bug';

export interface ErrorDetails {
  /** What is left behind, a line each: "instance i-1 still runs, it ends itself at 14:05". */
  readonly leftovers?: readonly string[] | undefined;
  /** What to do next, as a command or a line of YAML where there is one. */
  readonly next?: string | undefined;
  /** Outputs that are known although the run failed: a partial list, a verdict. */
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** Every failure we foresee, sorted by who has to act. Anything that is not one of these is our bug, and says so. */
export abstract class ActionError extends Error {
  abstract readonly outcome: Outcome;
  readonly leftovers: readonly string[];
  readonly next: string | undefined;
  readonly outputs: Readonly<Record<string, unknown>>;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.leftovers = details.leftovers ?? [];
    this.next = details.next;
    this.outputs = details.outputs ?? {};
  }
}

/** The workflow's author must change something. Carries every problem at once. */
export class UsageError extends ActionError {
  readonly outcome = 'usage';
  readonly problems: readonly string[];

  constructor(problems: readonly string[], details: ErrorDetails = {}) {
    const [first = 'unusable settings', ...rest] = problems;
    super(rest.length === 0 ? first : `${problems.length} settings need attention:\n- ${problems.join('\n- ')}`, details);
    this.problems = problems;
  }
}

/** The account's admin must grant something. */
export class AccessError extends ActionError {
  readonly outcome = 'access';
}

/** Nobody answered. Before anything was begun somebody must mend the network; afterwards it says nothing about what was begun. */
export class UnreachableError extends AccessError {}

/** The image or the roll was refused. The tool worked; the answer is no. */
export class RejectedError extends ActionError {
  readonly outcome = 'rejected';
}

/** We stopped waiting. The thing itself may still be moving. */
export class TimeoutError extends ActionError {
  readonly outcome = 'timeout';
}

/** The run was cancelled. A normal ending: what was started is ended or reported. */
export class CancelledError extends ActionError {
  readonly outcome = 'cancelled';

  constructor(message = 'Cancelled.', details: ErrorDetails = {}) {
    super(message, details);
  }
}

/** We can no longer look. Neither success nor failure: the next run with the same settings finds out. */
export class UnknownError extends ActionError {
  readonly outcome = 'unknown';
}

const KINDS = [UnreachableError, AccessError, RejectedError, TimeoutError, CancelledError, UnknownError] as const;

/** Another failure by which the same one must act. */
export function wrapError(failure: unknown, message: string, details: ErrorDetails): ActionError {
  if (failure instanceof UsageError) return new UsageError([message], details);
  const Kind = KINDS.find(kind => failure instanceof kind) ?? RejectedError;
  return new Kind(message, details);
}

/** The same failure, with more to tell. A bug stays what it is. */
export function withDetails(failure: unknown, { leftovers = [], next, outputs = {} }: ErrorDetails): unknown {
  if (!(failure instanceof ActionError)) return failure;
  return wrapError(failure, failure.message, {
    leftovers: [...failure.leftovers, ...leftovers],
    next: next ?? failure.next,
    outputs: { ...failure.outputs, ...outputs },
    cause: failure,
  });
}
