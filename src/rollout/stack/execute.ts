import { randomBytes } from 'node:crypto';
import { AccessError, RejectedError, TimeoutError, UnknownError, UnreachableError } from '../../kit/errors.ts';
import type { Stack } from '../../model/stack.ts';
import type { RegionClients } from '../../ports/deps.ts';
import type { Moved } from '../pointer.ts';
import { isOurUpdate, type StackPlan, updateToken } from '../rules/stack.ts';

/** An update of a stack that this run has started, or found. */
export interface StackUpdate {
  /** Undefined: there is none. */
  token: string | undefined;
  stack: StackPlan;
  /** The pointer, which the stack reads, is being written. */
  moving?: boolean;
  /** It has moved. */
  moved?: Moved;
}

interface Executed {
  readonly stack: Stack;
  /** Of the change set. */
  readonly name: string;
  /** The image that it leads to. */
  readonly imageId: string;
}

/** Recorded before the call: when its answer is lost, the undo must know that there may be an update. */
export async function execute(
  { stack, name, imageId }: Executed,
  update: Pick<StackUpdate, 'token'>,
  { stacks }: Pick<RegionClients, 'stacks'>,
): Promise<void> {
  const token = updateToken(imageId, randomBytes(6).toString('hex'));
  update.token = token;
  try {
    await stacks.execute(stack.id, name, token);
  } catch (cause) {
    const isLost = [TimeoutError, UnknownError, UnreachableError].some(kind => cause instanceof kind);
    if (isLost && (await stacks.operation(stack.id).catch(() => undefined))?.token === token) return;
    if (!isLost && (cause instanceof RejectedError || cause instanceof AccessError)) update.token = undefined;
    throw cause;
  }
}

/** Cancels the update in progress unless another owner has begun it. Returns whether CloudFormation rolls it back now. */
export async function cancelOurs({ id }: Pick<Stack, 'id'>, { stacks }: Pick<RegionClients, 'stacks'>): Promise<boolean> {
  return isOurUpdate(await stacks.operation(id)) && (await stacks.cancel(id)) === 'requested';
}
