import { formatCount } from '../../kit/format.ts';
import type { Stack } from '../../model/stack.ts';
import { collectFailure } from '../compensations.ts';
import { readImages } from '../instance-health.ts';
import type { RegionPlan } from '../rollout-spec.ts';
import { isSettled, parameterOf, remedyOf } from '../rules/stack.ts';
import { cancelOurs, execute, type StackUpdate } from './execute.ts';
import { createChangeSet, groupsOfStack } from './plan.ts';
import { waitUntilSettled, watchUpdate } from './watch.ts';

/** Returns a stack to the image that it had. Returns what could not be reverted. */
export const revertStack = (update: StackUpdate, plan: RegionPlan): Promise<readonly string[]> =>
  collectFailure(() => revert(update, plan), `stack ${update.stack.facts.stack.name} could not be reverted`);

async function revert({ token, stack: planned }: StackUpdate, plan: RegionPlan): Promise<readonly string[]> {
  const { deps, aws, image, was } = plan;
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
  const before = planned.action === 'update' ? planned.before : was;
  if (!isOnImage) return remainingInstances(settled, plan);
  return before === undefined
    ? [`stack ${name} runs ${image.id}, and no image before it is known`]
    : leadBack(settled, before, planned.parameter, plan);
}

const unsettled = ({ name, status, statusReason }: Stack, imageId: string): string =>
  `stack ${name} is ${status}${statusReason === '' ? '' : ` (${statusReason.trim()})`} and may run ${imageId}: ${remedyOf(name, status)}`;

/** CloudFormation cannot roll back an update that has succeeded: a second one leads back. */
async function leadBack(stack: Stack, before: string, parameter: string, plan: RegionPlan): Promise<readonly string[]> {
  const { deps, aws } = plan;
  const name = `ami-action-back-${before}`;
  deps.report.info(`Stack ${stack.name}: a second update leads back to ${before}`);
  await createChangeSet(stack, name, { name: parameter, value: before }, deps, aws);
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
