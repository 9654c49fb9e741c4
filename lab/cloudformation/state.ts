import { randomUUID } from 'node:crypto';
import type { Change, ResourceStatus, StackEvent, StackStatus, Tag } from '@aws-sdk/client-cloudformation';
import type { Value } from '../iam/template.ts';
import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';

/** A stack, its resources, events and change sets. */

export type Fields = Readonly<Record<string, Value>>;

export interface Inputs {
  /** As given, and defaults. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What the keys of Systems Manager parameters meant when the operation was requested. */
  readonly resolved: Readonly<Record<string, string>>;
  /** With defaults, and what keys meant instead of the keys. */
  readonly values: Fields;
}

export interface LabResource {
  readonly type: string;
  physicalId: string;
  /** As the last update left them, without intrinsic functions. */
  fields: Fields;
}

export interface LabChangeSet {
  readonly id: string;
  readonly name: string;
  readonly token: string | undefined;
  readonly createdAt: Date;
  readonly template: string;
  readonly inputs: Inputs;
  readonly capabilities: readonly string[];
  readonly changes: readonly Change[];
  readonly readyAt: number;
}

export interface LabStack {
  readonly place: Place;
  readonly id: string;
  readonly name: string;
  template: string;
  readonly createdAt: Date;
  readonly tags: readonly Tag[];
  /** The service role. Undefined: CloudFormation has the permissions of the caller. */
  readonly roleArn: string | undefined;
  capabilities: readonly string[];
  outputs: Readonly<Record<string, string>>;
  /** Logical ID -> ARN of its IAM resources. */
  arns: Readonly<Record<string, string>>;
  /** Of the last operation that was completed. */
  inputs: Inputs;
  readonly resources: Map<string, LabResource>;
  readonly changeSets: Map<string, LabChangeSet>;
  /** Newest first. */
  readonly events: StackEvent[];
  status: StackStatus;
  statusReason: string | undefined;
  updatedAt: Date | undefined;
  /** Of the operation in progress, or the last one. */
  token: string | undefined;
  /** CancelUpdateStack was called. */
  cancelled: boolean;
  /** Logical IDs that a stack policy protects from updates. For tests. */
  readonly policyDenies: Set<string>;
  /** Logical IDs whose rollback fails. For tests. */
  readonly rollbackFails: Set<string>;
}

/** By name. */
export const stacks = slice(() => new Map<string, LabStack>());

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html */
export const invalid = (message: string): AwsError => new AwsError('ValidationError', message);

/** A name or an ID. A deleted stack is described by its ID only, which the lab does not keep. */
export const stackNamed = (place: Place, name: string | undefined): LabStack | undefined =>
  [...stacks(place).values()].find(stack => stack.name === name || stack.id === name);

export function existing(place: Place, name: string | undefined): LabStack {
  const found = stackNamed(place, name);
  if (found === undefined) throw invalid(`Stack with id ${name} does not exist`);
  return found;
}

/** All events of an operation have its token. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html */
export function note(stack: LabStack, id: string, status: ResourceStatus, reason?: string): void {
  const own = id === stack.name;
  const resource = stack.resources.get(id);
  stack.events.unshift({
    ...{ StackId: stack.id, StackName: stack.name, EventId: randomUUID(), LogicalResourceId: id },
    PhysicalResourceId: own ? stack.id : resource?.physicalId,
    ResourceType: own ? 'AWS::CloudFormation::Stack' : resource?.type,
    Timestamp: stack.place.core.clock.date(),
    ...{ ResourceStatus: status, ResourceStatusReason: reason, ClientRequestToken: stack.token },
  });
}

/** A status of the stack, with its event. */
export function enter(stack: LabStack, status: StackStatus, reason?: string): void {
  Object.assign(stack, { status, statusReason: reason, updatedAt: stack.place.core.clock.date() });
  note(stack, stack.name, status as ResourceStatus, reason);
}
