import type { Place } from './place.ts';

/** The caller, with account and region. */
export interface Call {
  readonly place: Place;
  readonly accessKeyId: string;
  /** ARN of the caller, as GetCallerIdentity returns it. */
  readonly arn: string;
  readonly userId: string;
  /** The assumed role. Undefined for a user, who is an administrator. */
  readonly roleArn?: string | undefined;
  /** User-Agent of the caller. */
  readonly client: string;
  /** Whether the caller may also do this, for operations that report a missing permission per resource. */
  readonly may?: (action: string, input: object) => Promise<boolean>;
}

/** One AWS operation: typed input to typed output, over plain state. Throws AwsError when it refuses the request. */
export type Operation<Input, Output> = (input: Input, call: Call) => Omit<Output, '$metadata'> | Promise<Omit<Output, '$metadata'>>;

// biome-ignore lint/suspicious/noExplicitAny: a table of operations holds every input and output
export type Operations = Readonly<Record<string, Operation<any, any>>>;

/** Wire protocol of a service: https://smithy.io/2.0/aws/protocols/index.html */
export type Protocol = 'ec2' | 'query' | 'json' | 'rest';

/** An error in the form in which AWS returns it. */
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
