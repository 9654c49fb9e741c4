/** How a run ended: the output `outcome` of every mode. A closed list, so that a workflow can branch on it. */
export type Outcome = 'done' | 'unchanged' | 'planned' | 'usage' | 'access' | 'rejected' | 'timeout' | 'cancelled' | 'unknown' | 'bug';

export interface ErrorDetails {
  /** Heading of the summary: what the failure means for the reader, such as "stage runs 1.0.0, as before". */
  readonly title?: string | undefined;
  /** What the run did not remove, a line each: "instance i-1 still runs, it terminates itself at 14:05". */
  readonly leftovers?: readonly string[] | undefined;
  /** Above the leftovers: `State now` where they say how things stand. */
  readonly heading?: 'Left behind' | 'State now' | undefined;
  /** The run changed nothing in AWS. */
  readonly unchanged?: boolean | undefined;
  /** The next step: a command or a line of YAML where one exists. */
  readonly next?: string | undefined;
  /** Outputs that are known although the run failed: a partial list, a verdict. */
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** Every expected failure, by who has to act. Any other error is a bug in the action. */
export abstract class ActionError extends Error {
  abstract readonly outcome: Outcome;
  readonly title: string | undefined;
  readonly leftovers: readonly string[];
  readonly heading: 'Left behind' | 'State now' | undefined;
  readonly unchanged: boolean;
  readonly next: string | undefined;
  readonly outputs: Readonly<Record<string, unknown>>;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.title = details.title;
    this.leftovers = details.leftovers ?? [];
    this.heading = details.heading;
    this.unchanged = details.unchanged ?? false;
    this.next = details.next;
    this.outputs = details.outputs ?? {};
  }
}

/** Where in the repository a problem is; `line` counts from 1. */
export interface Location {
  readonly file: string;
  readonly line: number;
}

export interface Problem {
  readonly message: string;
  readonly location?: Location | undefined;
}

/** The runner drops a summary of more than 1 MiB. */
const MOST_PROBLEMS = 100;

/** The workflow's author must change something. Carries all problems together. */
export class UsageError extends ActionError {
  readonly outcome = 'usage';
  readonly problems: readonly string[];
  /** Of the first problem that has one. */
  readonly location: Location | undefined;

  constructor(problems: readonly (string | Problem)[], details: ErrorDetails = {}) {
    const all = problems.map(problem => (typeof problem === 'string' ? problem : problem.message));
    const [first = 'unusable settings', ...rest] = all;
    const more = all.length > MOST_PROBLEMS ? [`and ${all.length - MOST_PROBLEMS} more`] : [];
    const listed = [...all.slice(0, MOST_PROBLEMS), ...more].join('\n- ');
    super(rest.length === 0 ? first : `${all.length} settings need attention:\n- ${listed}`, details);
    this.problems = all;
    this.location = problems.flatMap(problem => (typeof problem === 'string' ? [] : (problem.location ?? [])))[0];
  }
}

/** The account's admin must grant something. */
export class AccessError extends ActionError {
  readonly outcome = 'access';
}

/** No answer from the network. After the first change it does not tell how that change ended. */
export class UnreachableError extends AccessError {}

/** AWS answered, and the role may not. */
export const isDenied = (failure: unknown): failure is AccessError =>
  failure instanceof AccessError && !(failure instanceof UnreachableError);

/** The image or the rollout was refused. */
export class RejectedError extends ActionError {
  readonly outcome = 'rejected';
}

/** The time limit was reached. The operation itself may still be in progress. */
export class TimeoutError extends ActionError {
  readonly outcome = 'timeout';
}

/** The run was cancelled. What it started is ended or reported. */
export class CancelledError extends ActionError {
  readonly outcome = 'cancelled';

  constructor(message = 'Cancelled.', details: ErrorDetails = {}) {
    super(message, details);
  }
}

/** The result cannot be read. The next run with the same settings finds it. */
export class UnknownError extends ActionError {
  readonly outcome = 'unknown';
}

const KINDS = [UnreachableError, AccessError, RejectedError, TimeoutError, CancelledError, UnknownError] as const;

/** The same kind of failure with another message: the same person must act. */
export function wrapError(failure: unknown, message: string, details: ErrorDetails): ActionError {
  if (failure instanceof UsageError) return new UsageError([message], details);
  const Kind = KINDS.find(kind => failure instanceof kind) ?? RejectedError;
  return new Kind(message, details);
}

/** The same failure with more details. A bug stays a bug. */
export function withDetails(failure: unknown, { title, heading, leftovers = [], unchanged, next, outputs = {} }: ErrorDetails): unknown {
  if (!(failure instanceof ActionError)) return failure;
  return wrapError(failure, failure.message, {
    title: title ?? failure.title,
    heading: heading ?? failure.heading,
    leftovers: [...failure.leftovers, ...leftovers],
    unchanged: unchanged ?? (failure.unchanged && leftovers.length === 0),
    next: next ?? failure.next,
    outputs: { ...failure.outputs, ...outputs },
    cause: failure,
  });
}
