/** One call in the log. */
export interface CallRecord {
  /** From 1, in the order of arrival. */
  readonly number: number;
  readonly service: string;
  readonly operation: string;
  readonly account: string;
  readonly region: string;
  /** ARN of the caller, as GetCallerIdentity returns it. */
  readonly arn: string;
  /** User-Agent of the caller. */
  readonly client: string;
  /** Lab time, milliseconds since 1970. */
  readonly at: number;
  readonly input: Readonly<Record<string, unknown>>;
  /** `ok`, the error code, or `reset`; `...` while the call is in progress. `lost` is carried out, but its caller repeats it: only `onCall` shows it. */
  outcome: string;
}

export interface CallLog {
  all(): readonly CallRecord[];
  /** A position in the log, for `since`. */
  mark(): number;
  since(mark: number): readonly CallRecord[];
  /** Number of calls of an operation (`ec2:RunInstances` or `RunInstances`); of all operations when none is given. */
  count(operation?: string, since?: number): number;
  /** `ec2:RunInstances` -> number of calls. */
  byOperation(since?: number): Readonly<Record<string, number>>;
  /** Called for every call when it ends, a lost one too. The returned function unsubscribes. */
  onCall(listen: (record: CallRecord) => void): () => void;
}

/** The writable side of the log, used by the HTTP server. */
export interface CallBook extends CallLog {
  open(call: Omit<CallRecord, 'number' | 'outcome'>): CallRecord;
  close(record: CallRecord, outcome: string): void;
}

export function callBook(): CallBook {
  const records: CallRecord[] = [];
  const listeners = new Set<(record: CallRecord) => void>();
  const since = (mark: number) => records.slice(mark).filter(({ outcome }) => outcome !== 'lost');
  const fullName = (record: CallRecord) => `${record.service}:${record.operation}`;
  return {
    all: () => since(0),
    mark: () => records.length,
    since,
    count: (operation, mark = 0) =>
      since(mark).filter(record => operation === undefined || operation === record.operation || operation === fullName(record)).length,
    byOperation: (mark = 0) => {
      const counts: Record<string, number> = {};
      for (const record of since(mark)) counts[fullName(record)] = (counts[fullName(record)] ?? 0) + 1;
      return counts;
    },
    onCall: listen => {
      listeners.add(listen);
      return () => void listeners.delete(listen);
    },
    open: call => {
      const record: CallRecord = { ...call, number: records.length + 1, outcome: '...' };
      records.push(record);
      return record;
    },
    close: (record, outcome) => {
      record.outcome = outcome;
      for (const listen of listeners) listen(record);
    },
  };
}
