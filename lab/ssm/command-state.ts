import type { CommandInvocationStatus, SendCommandCommandInput } from '@aws-sdk/client-ssm';
import { type Place, slice } from '../place.ts';
import type { RunDocument } from './documents.ts';

/** A command on one node. */
export interface Invocation {
  readonly instanceId: string;
  status: CommandInvocationStatus;
  /** StatusDetails, in one word as the API returns it: `DeliveryTimedOut`, where the documentation writes Delivery Timed Out. */
  details: string;
  /** -1 until the script has ended. */
  responseCode: number;
  startedAt: Date | undefined;
  endedAt: Date | undefined;
  stdout: string;
  stderr: string;
  /** CancelCommand. */
  readonly cancel: AbortController;
}

export interface LabCommand {
  readonly id: string;
  /** From 1, in the order of arrival. */
  readonly number: number;
  readonly place: Place;
  readonly document: RunDocument;
  readonly input: SendCommandCommandInput;
  readonly executionSeconds: number;
  readonly requestedAt: Date;
  /** After this time it is no longer started. */
  readonly startBefore: Date;
  /** After this time the service no longer waits for an answer. */
  readonly expiresAt: Date;
  readonly invocations: readonly Invocation[];
}

export const commands = slice(() => new Map<string, LabCommand>());

export const newInvocation = (instanceId: string): Invocation => ({
  instanceId,
  status: 'Pending',
  details: 'Pending',
  responseCode: -1,
  startedAt: undefined,
  endedAt: undefined,
  stdout: '',
  stderr: '',
  cancel: new AbortController(),
});

const ENDED: ReadonlySet<CommandInvocationStatus> = new Set(['Success', 'Cancelled', 'TimedOut', 'Failed']);

export const hasEnded = ({ status }: Invocation): boolean => ENDED.has(status);

export type Ending = Pick<Invocation, 'status' | 'details'> & Partial<Pick<Invocation, 'responseCode' | 'stdout' | 'stderr'>>;

export function finish(invocation: Invocation, ending: Ending, at: Date): void {
  if (hasEnded(invocation)) return;
  Object.assign(invocation, ending, { endedAt: at });
}
