/** A CloudFormation stack whose groups run the image, and what AWS shows of its updates. */

export interface StackParameter {
  readonly name: string;
  /** Of a Systems Manager parameter type: what the key meant when the stack was updated, or the change set created. */
  readonly value: string;
  /** Of a Systems Manager parameter type: the name in Parameter Store. */
  readonly key?: string | undefined;
}

export interface Stack {
  /** Its ARN: another stack of the same name has another one. */
  readonly id: string;
  readonly name: string;
  /** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html */
  readonly status: string;
  readonly statusReason: string;
  readonly parameters: readonly StackParameter[];
  readonly capabilities: readonly string[];
  /** The stack that it is nested in. */
  readonly parent: string | undefined;
  /** ARN of its service role. Without one, CloudFormation has the permissions of the caller. */
  readonly role: string | undefined;
}

export interface StackEvent {
  readonly id: string;
  /** Logical ID. */
  readonly resource: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  /** Of the stack itself. */
  readonly own: boolean;
}

/** The newest operation of a stack, finished or not. */
export interface StackOperation {
  /** What the caller named it. */
  readonly token: string;
  /** Oldest first. */
  readonly events: readonly StackEvent[];
}

export interface ResourceChange {
  readonly resource: string;
  readonly type: string;
  /** Add, Modify, Remove, Import, Dynamic. */
  readonly action: string;
  /** True, False or Conditional. */
  readonly replacement: string;
}

export interface ChangeSet {
  readonly state: 'creating' | 'ready' | 'empty' | 'failed';
  readonly reason: string;
  readonly changes: readonly ResourceChange[];
  readonly parameters: readonly StackParameter[];
}
