import type { Stack, StackEvent, StackOperation } from '../../model/stack.ts';

/** How an update of a stack goes, from its status and events. */

/** What comes after the first failure follows from it. */
function firstFailure({ events }: StackOperation): string | undefined {
  const failed = events.find(({ own, status, reason }) => !own && status.endsWith('_FAILED') && !/cancelled/i.test(reason));
  return failed === undefined ? undefined : formatEvent(failed);
}

export const formatEvent = ({ resource, type, status, reason }: StackEvent): string =>
  `${resource} (${type}) ${status}${reason === '' ? '' : `: ${reason}`}`;

export type UpdateEvaluation =
  | { readonly state: 'waiting'; readonly note: string; readonly doubtful: boolean }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly reason: string };

// Answers of AWS may be seconds old.
const POLLS_UNTIL_BELIEVED = 6;

/** `doubts`: how many polls in a row showed another operation, or a status that no event explains. */
export function evaluateUpdate(stack: Stack, operation: StackOperation, token: string, doubts: number): UpdateEvaluation {
  if (operation.token !== token)
    return doubts + 1 >= POLLS_UNTIL_BELIEVED
      ? { state: 'failed', reason: `another operation (${operation.token || 'without a token'}) has begun, the stack is ${stack.status}` }
      : { state: 'waiting', note: 'CloudFormation does not show the update yet', doubtful: true };
  const failure = firstFailure(operation);
  if (failure !== undefined) return { state: 'failed', reason: failure };
  if (stack.status === 'UPDATE_COMPLETE') return { state: 'done' };
  if (/^UPDATE(_COMPLETE_CLEANUP)?_IN_PROGRESS$/.test(stack.status)) return { state: 'waiting', note: stack.status, doubtful: false };
  // It may have failed after its events were read.
  if (doubts === 0) return { state: 'waiting', note: stack.status, doubtful: true };
  return { state: 'failed', reason: `the stack is ${stack.status}${stack.statusReason === '' ? '' : `: ${stack.statusReason}`}` };
}
