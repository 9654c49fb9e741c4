import type { CommandStatus } from '@aws-sdk/client-ssm';
import { hasEnded, type Invocation } from './command-state.ts';

export interface CommandCondition {
  readonly status: CommandStatus;
  readonly details: string;
}

const count = (invocations: readonly Invocation[], ...details: readonly string[]): number =>
  invocations.filter(invocation => details.includes(invocation.details)).length;

/** Failures that count against `MaxErrors`: all but delivery timeouts and undeliverable commands. */
export const errorCount = (invocations: readonly Invocation[]): number => count(invocations, 'Failed', 'ExecutionTimedOut');

export const deliveryTimedOutCount = (invocations: readonly Invocation[]): number => count(invocations, 'DeliveryTimedOut');

/** `10` or `10%` of the targets. */
export const share = (text: string, targets: number): number =>
  text.endsWith('%') ? Math.floor((Number(text.slice(0, -1)) * targets) / 100) : Number(text);

/** Status of the command from those of its invocations. https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html ("Detailed status for a command") */
export function conditionOf(invocations: readonly Invocation[], maxErrors: number): CommandCondition {
  if (invocations.length === 0) return { status: 'Failed', details: 'NoInstancesInTag' };
  if (!invocations.every(hasEnded)) return underWay(invocations);
  if (count(invocations, 'Cancelled') > 0) return { status: 'Cancelled', details: 'Cancelled' };
  if (errorCount(invocations) > maxErrors) {
    return count(invocations, 'Failed') > 0
      ? { status: 'Failed', details: 'Failed' }
      : { status: 'TimedOut', details: 'ExecutionTimedOut' };
  }
  if (deliveryTimedOutCount(invocations) > maxErrors) return { status: 'TimedOut', details: 'DeliveryTimedOut' };
  const unreached = count(invocations, 'Undeliverable', 'InvalidPlatform');
  if (unreached === invocations.length) return { status: 'Failed', details: 'Failed' };
  const isSuccess = count(invocations, 'Success') + unreached === invocations.length;
  return isSuccess ? { status: 'Success', details: 'Success' } : { status: 'Failed', details: 'Incomplete' };
}

function underWay(invocations: readonly Invocation[]): CommandCondition {
  if (count(invocations, 'Cancelling') > 0) return { status: 'Cancelling', details: 'Cancelling' };
  const isUntouched = count(invocations, 'Pending', 'Delayed') === invocations.length;
  return isUntouched ? { status: 'Pending', details: 'Pending' } : { status: 'InProgress', details: 'InProgress' };
}
