import type { Place } from './place.ts';

/** Who calls, and where. */
export interface Call {
  readonly place: Place;
  readonly accessKeyId: string;
  /** As GetCallerIdentity says it. */
  readonly arn: string;
  readonly userId: string;
  /** Its User-Agent. */
  readonly client: string;
}

/** One operation of AWS: typed input to typed output, over plain state. What it refuses it throws, as AwsError. */
export type Operation<Input, Output> = (input: Input, call: Call) => Omit<Output, '$metadata'> | Promise<Omit<Output, '$metadata'>>;

// biome-ignore lint/suspicious/noExplicitAny: a table of operations holds every input and output
export type Operations = Readonly<Record<string, Operation<any, any>>>;

/** How a service speaks on the wire: https://smithy.io/2.0/aws/protocols/index.html */
export type Protocol = 'ec2' | 'query' | 'json';

/** An error as AWS would answer it. */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = 'AwsError';
    this.code = code;
    this.status = status;
  }
}
