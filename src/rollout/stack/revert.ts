import { formatCount } from '../../kit/format.ts';
import type { Stack, StackParameter } from '../../model/stack.ts';
import { collectFailure } from '../compensations.ts';
import { readImages } from '../instance-health.ts';
import { revertPointer } from '../pointer.ts';
import type { RegionPlan } from '../rollout-spec.ts';
import { isSettled, parameterOf, remedyOf } from '../rules/stack.ts';
import { cancelOurs, execute, type StackUpdate } from './execute.ts';
import { createChangeSet, groupsOfStack } from './plan.ts';
import { waitUntilSettled, watchUpdate } from './watch.ts';

/** Returns a stack to the image that it had, after the pointer where the stack reads it. Returns what could not be reverted. */
export const revertStack = async (update: StackUpdate, plan: RegionPlan): Promise<readonly string[]> => [
  ...(await restorePointer(update, plan)),
  ...(await collectFailure(() => revert(update, plan), `stack ${update.stack.facts.stack.name} could not be reverted`)),
];

/** Only where the stack reads the pointer. Returns why it could not go back. */
export const restorePointer = async (
  { stack: planned }: StackUpdate,
  plan: RegionPlan,
  { isReadBack = true } = {},
): Promise<readonly string[]> => {
  const { deps, aws, pointer } = plan;
  if (planned.key === undefined) return [];
  const move = { ...plan, was: beforeOf(planned, plan) };
  const restore = () => deps.report.step(`Restore ${pointer.name}`, () => revertPointer(move, deps, aws, { isRead: true, isReadBack }));
  return collectFailure(restore, `${pointer.name} could not be moved back`);
};

/** What the stack leads back to: its own value, or what the pointer named. */
function beforeOf({ action, key, before }: StackUpdate['stack'], { was }: Pick<RegionPlan, 'was'>): string | undefined {
  const own = action === 'update' ? before : undefined;
  return key === undefined ? (own ?? was) : (was ?? own);
}

async function revert({ token, stack: planned }: StackUpdate, plan: RegionPlan): Promise<readonly string[]> {
  const { deps, aws, image } = plan;
  // Refused, or never requested: nothing to revert.
  if (token === undefined && planned.action !== 'nothing') return [];
  const { id, name } = planned.facts.stack;
  const [now, operation] = await Promise.all([aws.stacks.find(id), aws.stacks.operation(id)]);
  if (now === undefined) return [`stack ${name} no longer exists`];
  const isOurs = operation.token === token;
  if (!isOurs && !isSettled(now)) return [`another update of stack ${name} is in progress: it may run ${image.id}`];
  if (now.status === 'UPDATE_IN_PROGRESS' && (await cancelOurs(now, aws)))
    deps.report.info(`Stack ${name}: CloudFormation rolls the update back`);
  const settled = await waitUntilSettled(now, plan);
  if (!settled.status.endsWith('_COMPLETE')) return [unsettled(settled, image.id)];
  const isOnImage = parameterOf(settled, planned.parameter) === image.id;
  if (!isOnImage) return remainingInstances(settled, plan);
  const before = beforeOf(planned, plan);
  return before === undefined
    ? [`stack ${name} runs ${image.id}, and no image before it is known`]
    : leadBack(settled, { name: planned.parameter, value: before, key: planned.key }, plan);
}

const unsettled = ({ name, status, statusReason }: Stack, imageId: string): string =>
  `stack ${name} is ${status}${statusReason === '' ? '' : ` (${statusReason.trim()})`} and may run ${imageId}: ${remedyOf(name, status)}`;

/** CloudFormation cannot roll back an update that has succeeded: a second one leads back. */
async function leadBack(stack: Stack, parameter: StackParameter, plan: RegionPlan): Promise<readonly string[]> {
  const { deps, aws } = plan;
  const before = parameter.value;
  const name = `ami-action-back-${before}`;
  deps.report.info(`Stack ${stack.name}: a second update leads back to ${before}`);
  await createChangeSet({ stack, name, parameter }, deps, aws);
  const back = { token: undefined as string | undefined };
  await execute({ stack, name, imageId: before }, back, aws);
  await watchUpdate(stack, { token: back.token ?? '', order: undefined }, plan);
  return remainingInstances(stack, plan);
}

// Answers of AWS may be seconds old: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const STALE_SECONDS = 60;

/** What its groups still run; instances that are being terminated do not count. */
async function remainingInstances(stack: Stack, { deps, aws, image }: RegionPlan): Promise<readonly string[]> {
  const { clock } = deps;
  const deadline = clock.now() + STALE_SECONDS * 1000;
  for (;;) {
    const groups = await groupsOfStack(stack, aws.groups);
    const images = new Map<string, string>();
    await readImages(groups, images, aws);
    const remaining = groups.flatMap(({ name, members }) => {
      const present = members.filter(({ state }) => !state.startsWith('Terminat'));
      const onImage = present.filter(({ id }) => images.get(id) === image.id).length;
      return onImage === 0 ? [] : [`${name}: ${onImage} of ${formatCount(present.length, 'instance')} run ${image.id}`];
    });
    if (remaining.length === 0 || clock.now() >= deadline) return remaining;
    await clock.sleep(10_000);
  }
}
