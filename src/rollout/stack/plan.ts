import { concurrently } from '../../kit/concurrently.ts';
import { RejectedError, UsageError } from '../../kit/errors.ts';
import { waitFor } from '../../kit/wait.ts';
import { isOver } from '../../model/group.ts';
import type { ChangeSet, ResourceChange, Stack } from '../../model/stack.ts';
import type { RegionClients } from '../../ports/deps.ts';
import type { PromotionClients, RolloutSpec } from '../rollout-spec.ts';
import type { RolloutDeps } from '../rollout-state.ts';
import { decideStack, isSettled, parameterOf, type StackFacts, type StackPlan } from '../rules/stack.ts';
import { judgeChanges } from '../rules/stack-changes.ts';
import { unknownParameter } from '../rules/stack-settings.ts';
import { parseStackTemplate } from '../rules/update-policy.ts';

/** What an update of a stack would do. Changes nothing: the change set that shows it is deleted again. */

const AT_ONCE = 5;

/** Throws a `UsageError` if the stack or its parameter does not exist. */
export async function planStack(order: RolloutSpec, deps: Pick<RolloutDeps, 'clock'>, aws: PromotionClients): Promise<StackPlan> {
  const { image, operation, pointer, roll } = order;
  const { stack: name = '', stackParameter: parameter = '' } = roll;
  const facts = await readStack(name, parameter, aws);
  const before = parameterOf(facts.stack, parameter) ?? '';
  const decision = decideStack(facts, { ...roll, parameter, imageId: image.id, operation });
  const known = before === image.id || pointer.history.some(({ value }) => value === before);
  const launched = { group: `stack ${name}`, id: before, idle: false, image: known ? undefined : await aws.images.get(before) };
  const planned = { ...decision, facts, parameter, before, launched, changes: [] };
  if (decision.action !== 'update' || decision.clear !== undefined || decision.refusals.length > 0) return planned;
  const busy = await refreshRefusals(facts, aws);
  if (busy.length > 0) return { ...planned, refusals: busy };
  const changes = await previewChanges(facts.stack, { name: parameter, value: image.id }, deps, aws);
  const { refusals, warnings } = judgeChanges(changes, parameter);
  return { ...planned, changes, refusals, warnings: [...decision.warnings, ...warnings] };
}

async function readStack(
  name: string,
  parameter: string,
  { stacks, groups }: Pick<RegionClients, 'stacks' | 'groups'>,
): Promise<StackFacts> {
  const stack = await stacks.find(name);
  if (stack === undefined) throw new UsageError([`"stack": CloudFormation stack "${name}" does not exist in this account and region`]);
  if (parameterOf(stack, parameter) === undefined) throw new UsageError([unknownParameter(stack, parameter)]);
  const [text, all, operation] = await Promise.all([
    stacks.template(stack.id),
    groupsOfStack(stack, groups),
    isSettled(stack) ? undefined : stacks.operation(stack.id),
  ]);
  const values = new Map(stack.parameters.map(({ name: key, value }) => [key, value]));
  return { stack, template: parseStackTemplate(text, parameter, values), groups: all, operation };
}

/** By the tag that CloudFormation gives them. During a replacing update, both groups. */
export const groupsOfStack = async ({ id }: Pick<Stack, 'id'>, groups: RegionClients['groups']) =>
  (await groups.find({ tags: { 'aws:cloudformation:stack-id': id } })).filter(({ beingDeleted }) => !beingDeleted);

/** CloudFormation cannot start a refresh next to another one, and then cannot roll back either. */
async function refreshRefusals({ groups }: StackFacts, aws: Pick<RegionClients, 'groups'>): Promise<readonly string[]> {
  const all = await concurrently(groups, AT_ONCE, async ({ name }) => {
    const active = (await aws.groups.refreshes(name)).find(refresh => !isOver(refresh));
    return active === undefined
      ? []
      : [`refresh ${active.id} of ${name} is ${active.status}, and the stack update would fail: wait for its end`];
  });
  return all.flat();
}

type Parameter = { readonly name: string; readonly value: string };

async function previewChanges(stack: Stack, parameter: Parameter, deps: Pick<RolloutDeps, 'clock'>, aws: Pick<RegionClients, 'stacks'>) {
  const name = `ami-action-plan-${parameter.value}`;
  try {
    return await createChangeSet(stack, name, parameter, { ...deps, report: { info: () => {} } }, aws);
  } finally {
    await aws.stacks.removeChangeSet(stack.id, name);
  }
}

/** Returns its changes. One that an earlier run left is replaced: the stack may have changed since. */
export async function createChangeSet(
  stack: Stack,
  name: string,
  parameter: Parameter,
  deps: { clock: RolloutDeps['clock']; report: Pick<RolloutDeps['report'], 'info'> },
  { stacks }: Pick<RegionClients, 'stacks'>,
): Promise<readonly ResourceChange[]> {
  if ((await stacks.createChangeSet({ stack, name, parameter })) === 'exists') {
    await stacks.removeChangeSet(stack.id, name);
    await stacks.createChangeSet({ stack, name, parameter });
  }
  const poll = async () => {
    const found = await stacks.changeSet(stack.id, name);
    return found.state === 'creating'
      ? ({ state: 'waiting', note: 'CloudFormation compares the stack' } as const)
      : ({ state: 'done', value: found } as const);
  };
  const what = `Change set of stack ${stack.name}`;
  const made: ChangeSet = await waitFor({ what, everySeconds: 2, atMostSeconds: 300, poll }, deps);
  if (made.state === 'failed') throw new RejectedError(`${what} failed: ${made.reason}`);
  return made.changes;
}
