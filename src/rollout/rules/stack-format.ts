import { formatDuration } from '../../kit/format.ts';
import { groupsOf, type StackPlan } from './stack.ts';
import { formatChange } from './stack-changes.ts';
import { capacityOf } from './update-policy.ts';

/** The plan of a stack, as text: what changes, capacity, time and the way back. */

const ACTIONS = { watch: 'watch the update in progress', nothing: 'nothing to do' } as const;

const CLEARANCES = { wait: 'wait for the end of its update, then ', cancel: 'cancel our update in progress, then ' } as const;

function actionOf({ action, clear, parameter, before, key }: StackPlan, imageId: string): string {
  if (action !== 'update') return ACTIONS[action];
  const change = `set ${parameter} from ${before} to ${imageId}`;
  const move = `move ${key} to ${imageId}, and update the stack, whose ${parameter} (${before}) reads it`;
  return `${clear === undefined ? '' : CLEARANCES[clear]}${key === undefined ? change : move}`;
}

/** Name and text of each row, for the summary. */
export function stackRows(plan: StackPlan, imageId: string): readonly (readonly [what: string, change: string])[] {
  const { facts, action, reason, changes } = plan;
  const capacities = groupsOf(facts).map(({ group, policy }) => ({ group, ...capacityOf(policy, group.desired) }));
  const rows: [string, string][] = [[`stack ${facts.stack.name}`, `${actionOf(plan, imageId)}; ${reason}`]];
  if (action === 'nothing') return rows;
  const seconds = Math.max(0, ...capacities.map(each => each.seconds));
  return [
    ...rows,
    ...capacities.map(({ group, text }): [string, string] => [group.name, text]),
    ...(changes.length === 0
      ? []
      : [['change set', `${changes.map(formatChange).join(', ')} (deleted again: it only shows this)`] as [string, string]]),
    ['time', `about ${formatDuration(seconds)}, then the bake time`],
    ['on failure', revertOf(plan)],
  ];
}

const revertOf = ({ key, parameter, before }: StackPlan): string =>
  key === undefined
    ? `CloudFormation rolls the stack back; after a complete update, a second one sets ${parameter} to ${before} again`
    : `${key} goes back first; CloudFormation rolls the stack back; after a complete update, a second one reads ${key} again`;

/** The same as lines of the log. */
export const formatStack = (plan: StackPlan, imageId: string): readonly string[] =>
  stackRows(plan, imageId).map(([what, change]) => `${what}: ${change}`);
