import type { CallRecord } from './calls.ts';
import type { Refusal } from './wire/refusals.ts';

/** Which calls fail, and how. A condition that is not set matches every call. */
export interface FaultRule {
  readonly service?: string;
  /** `RunInstances`, `Describe*`. */
  readonly operation?: string;
  readonly account?: string;
  readonly region?: string;
  readonly when?: (call: CallRecord) => boolean;
  /** The first matching call that fails, counted from 1. */
  readonly nth?: number;
  /** How many calls fail from there on. Default: one if `nth` is set, else all. */
  readonly times?: number;
  readonly action: FaultAction;
}

export type FaultAction =
  | { readonly error: string; readonly message?: string; readonly status?: number }
  /** The service's own error code: RequestLimitExceeded, Throttling, ThrottlingException ... */
  | { readonly refuse: Refusal }
  /** The connection is reset. `after`: the action is done, but the caller gets no answer. */
  | { readonly reset: 'before' | 'after' }
  /** Delay before the action, in lab seconds. */
  | { readonly delaySeconds: number }
  /** Eventual consistency: an ID created after the rule is NotFound for this number of calls that name it. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
  | { readonly hideNewIds: number }
  /** Members that the answer lacks, as paths: `Images[].CreationDate`, `Parameters`. */
  | { readonly omit: readonly string[] }
  /** An answer that is not the service's: a page of a proxy, cut XML, a 301. `at: 'before'` answers without the action. */
  | { readonly respond: RawAnswer; readonly at?: 'before' | 'after' }
  /** A server that lies: its answer is replaced. */
  | { readonly answer: (output: object, call: CallRecord) => object }
  /** A repeated request gets its first answer again. */
  | { readonly stale: true }
  | { readonly run: (call: CallRecord) => void | Promise<void>; readonly at: 'before' | 'after' }
  /** The caller is killed, before or after the action; `ended`: also where it was refused. A process ID gets SIGKILL. */
  | { readonly kill: number | (() => void | Promise<void>); readonly at: 'before' | 'after' | 'ended' };

/** Actions that a rule sent over HTTP may name. */
export const FAULT_ACTIONS: readonly string[] = [
  'error',
  'refuse',
  'reset',
  'delaySeconds',
  'hideNewIds',
  'omit',
  'respond',
  'stale',
  'kill',
];

export interface RawAnswer {
  readonly status: number;
  readonly body: string;
  /** Content type. Default: text/html. */
  readonly type?: string;
}

/** Thrown to answer with raw text instead of the service's answer. */
export class RawResponse extends Error {
  readonly answer: RawAnswer;

  constructor(answer: RawAnswer) {
    super(`raw ${answer.status}`);
    this.answer = answer;
  }
}

export interface Faults {
  /** The returned function removes the rule. */
  add(rule: FaultRule): () => void;
  /** `kill` runs at the nth call from now on, of any operation: before it (the call is not carried out) or after it. */
  killAtCall(n: number, kill: () => void | Promise<void>, at?: 'before' | 'after'): () => void;
  clear(): void;
  rules(): readonly FaultRule[];
}

/** Thrown to reset the connection instead of answering. */
export class ConnectionReset extends Error {}

/** The answer of a call that was carried out is lost in bad weather. */
export class LostAnswer extends ConnectionReset {}
