import { concurrently } from '../../kit/concurrently.ts';
import { isDenied, RejectedError, UsageError } from '../../kit/errors.ts';
import { waitFor } from '../../kit/wait.ts';
import { isOver } from '../../model/group.ts';
import type { ChangeSet, ResourceChange, Stack } from '../../model/stack.ts';
import type { RegionClients } from '../../ports/deps.ts';
import type { PromotionClients, RolloutSpec } from '../rollout-spec.ts';
import type { RolloutDeps } from '../rollout-state.ts';
import { decideStack, isSettled, keyOf, parameterOf, referenceRefusals, type StackFacts, type StackPlan } from '../rules/stack.ts';
import { judgeChanges } from '../rules/stack-changes.ts';
import { unknownParameter } from '../rules/stack-settings.ts';
import { parseStackTemplate, referenceIn, withImageParameter } from '../rules/update-policy.ts';

/** What an update of a stack would do. Changes nothing: the change set that shows it is deleted again. */

const AT_ONCE = 5;

export async function planStack(order: RolloutSpec, deps: Pick<RolloutDeps, 'clock'>, aws: PromotionClients): Promise<StackPlan> {
  const { image, operation, pointer, roll } = order;
  const { stack: name = '', stackParameter: parameter = '' } = roll;
  const { facts, text } = await readStack(name, parameter, aws);
  const before = parameterOf(facts.stack, parameter) ?? '';
  // Another key is refused.
  const key = keyOf(facts, parameter) === pointer.name ? pointer.name : undefined;
  const decision = decideStack(facts, { ...roll, parameter, pointer: pointer.name, imageId: image.id, operation });
  const known = before === image.id || referenceIn(before) !== undefined || pointer.history.some(({ value }) => value === before);
  const launched = { group: `stack ${name}`, id: before, idle: false, image: known ? undefined : await aws.images.get(before) };
  const early = key === undefined || decision.action === 'nothing' ? [] : earlyWarnings({ facts, parameter, key, before }, order);
  const warnings = [...decision.warnings, ...early];
  const planned = { ...decision, warnings, facts, parameter, key, before, launched, changes: [] };
  if (decision.action !== 'update' || decision.clear !== undefined || decision.refusals.length > 0) return planned;
  const busy = await refreshRefusals(facts, aws);
  if (busy.length > 0) return { ...planned, refusals: busy };
  const template = key === undefined ? undefined : withImageParameter(text, parameter);
  if (key !== undefined && template === undefined) return { ...planned, warnings: [...warnings, NO_PREVIEW] };
  const preview = { stack: facts.stack, name: `ami-action-plan-${image.id}`, parameter: { name: parameter, value: image.id }, template };
  const changes = await previewChanges(preview, order, deps, aws);
  if (changes === undefined) return { ...planned, warnings: [...warnings, mayNotPreview(name)] };
  const judged = judgeChanges(changes, parameter);
  return { ...planned, changes, refusals: judged.refusals, warnings: [...warnings, ...judged.warnings] };
}

type Reading = Pick<StackPlan, 'facts' | 'parameter' | 'key' | 'before'>;

function earlyWarnings({ facts: { stack }, parameter, key, before }: Reading, { image, was }: RolloutSpec) {
  const read = `parameter ${parameter} of stack ${stack.name} reads ${key}`;
  return [
    `${read}, so ${key} moves first: whatever else reads it gets ${image.id} before an instance has proven it`,
    was !== undefined && was !== before && `${read}, and the stack has ${before} since its last update: the way back leads to ${was}`,
  ].filter(warning => warning !== false);
}

const NO_PREVIEW =
  'the template is larger than the 51,200 bytes that a change set takes as text: what the update changes is checked after the pointer has moved';

const mayNotPreview = (name: string) =>
  `the role may not create a change set of stack ${name} (cloudformation:CreateChangeSet): what the update changes or replaces is checked in the plan of the real run`;

/** Throws a `UsageError` if the stack or its parameter does not exist. */
export async function readStack(
  name: string,
  parameter: string,
  { stacks, groups }: Pick<RegionClients, 'stacks' | 'groups'>,
): Promise<{ readonly facts: StackFacts; readonly text: string }> {
  const stack = await stacks.find(name);
  if (stack === undefined) throw new UsageError([`"stack": CloudFormation stack "${name}" does not exist in this account and region`]);
  const text = await stacks.template(stack.id);
  const values = new Map(stack.parameters.map(({ name: key, value }) => [key, value]));
  const template = parseStackTemplate(text, parameter, values);
  if (parameterOf(stack, parameter) === undefined)
    throw new UsageError([unknownParameter(stack, parameter), ...referenceRefusals({ stack, template }, parameter)]);
  const [all, operation] = await Promise.all([groupsOfStack(stack, groups), isSettled(stack) ? undefined : stacks.operation(stack.id)]);
  return { facts: { stack, template, groups: all, operation }, text };
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

/** Undefined: a dry run, whose role may not create a change set. A real run needs that right before it writes. */
async function previewChanges(
  order: ChangeSetOrder,
  { dryRun = false }: Pick<RolloutSpec, 'dryRun'>,
  deps: Pick<RolloutDeps, 'clock'>,
  { stacks }: Pick<RegionClients, 'stacks'>,
): Promise<readonly ResourceChange[] | undefined> {
  let denied = false;
  const create = (wanted: ChangeSetOrder) =>
    stacks.createChangeSet(wanted).catch(cause => {
      denied = isDenied(cause);
      throw cause;
    });
  try {
    return await createChangeSet(order, { ...deps, report: { info: () => {} } }, { stacks: { ...stacks, createChangeSet: create } });
  } catch (cause) {
    if (dryRun && denied) return undefined;
    throw cause;
  } finally {
    if (!denied) await stacks.removeChangeSet(order.stack.id, order.name);
  }
}

type ChangeSetDeps = { clock: RolloutDeps['clock']; report: Pick<RolloutDeps['report'], 'info'> };
type ChangeSetOrder = Parameters<RegionClients['stacks']['createChangeSet']>[0];

// CloudFormation may read Parameter Store before the new value is everywhere.
const STALE_SECONDS = 10;

/** Returns its changes. Throws a `RejectedError` where the parameter would get another value, also when Parameter Store is read a second time. */
export async function createChangeSet(
  order: ChangeSetOrder,
  deps: ChangeSetDeps,
  aws: Pick<RegionClients, 'stacks'>,
): Promise<readonly ResourceChange[]> {
  const { stack, name, parameter } = order;
  const isWanted = (made: ChangeSet) => parameterOf(made, parameter.name) === parameter.value;
  let made = await makeChangeSet(order, deps, aws);
  if (!isWanted(made) && parameter.key !== undefined) {
    await aws.stacks.removeChangeSet(stack.id, name);
    await deps.clock.sleep(STALE_SECONDS * 1000);
    made = await makeChangeSet(order, deps, aws);
  }
  if (isWanted(made)) return made.changes;
  await aws.stacks.removeChangeSet(stack.id, name);
  throw new RejectedError(
    `Change set of stack ${stack.name} would set ${parameter.name} to ${parameterOf(made, parameter.name) ?? 'nothing'}, not to ${parameter.value}: another process changed ${parameter.key ?? 'it'}.`,
  );
}

/** One that an earlier run left is replaced: the stack may have changed since. */
async function makeChangeSet(order: ChangeSetOrder, deps: ChangeSetDeps, { stacks }: Pick<RegionClients, 'stacks'>): Promise<ChangeSet> {
  const { stack, name } = order;
  if ((await stacks.createChangeSet(order)) === 'exists') {
    await stacks.removeChangeSet(stack.id, name);
    await stacks.createChangeSet(order);
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
  return made;
}
