import { RejectedError } from '../kit/errors.ts';
import type { Image } from '../model/image.ts';
import { parseDescription } from '../model/pointer.ts';
import { type Look, readGroups } from './facts.ts';
import { readBefore } from './launched.ts';
import { planNodeGroups } from './node-group/facts.ts';
import type { PointerState } from './pointer.ts';
import type { PromotionClients, Region, RegionPlan, RolloutSpec } from './rollout-spec.ts';
import type { RolloutDeps } from './rollout-state.ts';
import {
  architectureRefusals,
  familyRefusals,
  holdRefusals,
  imageRefusals,
  type Launched,
  memoryWarnings,
  pointerRefusals,
  ranWarnings,
} from './rules/admission.ts';
import { closedBy } from './rules/brakes.ts';
import { launchedByNodes } from './rules/node-group.ts';
import { type GroupPlan, planGroup } from './rules/plan.ts';
import { terraformWarnings } from './rules/warnings.ts';
import { planStack } from './stack/plan.ts';

/** What a promotion would do, read and decided before the first write. */

/** A region without its clients, as the plan sees it. */
type PlannedRegion = Omit<RegionPlan, keyof Region | 'several' | 'deps'>;

export async function planPromotion(
  order: RolloutSpec,
  deps: Pick<RolloutDeps, 'clock'>,
  aws: PromotionClients,
  look: Look = { since: deps.clock.now() },
): Promise<PlannedRegion> {
  const { image, pointer, operation, scheme } = order;
  // AWS starts no refresh while an alarm rings, and then a rollback is needed most.
  const roll = operation === 'rollback' ? { ...order.roll, alarms: undefined } : order.roll;
  const facts = roll.strategy === 'none' || roll.stack !== undefined ? [] : await readGroups(roll, imagesIn(order), aws, look);
  const nodeGroups = roll.strategy === 'none' ? [] : await planNodeGroups(roll.nodeGroups ?? [], image.id, aws);
  const stack = roll.stack === undefined ? undefined : await planStack(order, deps, aws);
  const pointerNow = { name: pointer.name, value: pointer.current?.value, since: namedSince(pointer), movedAt: movedEarly(pointer) };
  const groups = facts.map(fact => planGroup(fact, { ...roll, image, operation, pointer: pointerNow }));
  const moves = pointerNow.value !== image.id;
  const { launched: before, current } = await readBefore(facts, image.id, pointer, aws, launchedByNodes(nodeGroups));
  const launched = [...before, ...(stack === undefined ? [] : [stack.launched])];
  const serving = launched.filter(({ idle }) => !idle);
  const was = order.was ?? (operation === 'promote' ? launchedBefore(serving, pointer, image.id) : undefined);
  // A template version with the image shows that the groups launched it, also where the pointer has no history.
  const ran = operation === 'rollback' && (order.ran === true || (groups.length > 0 && groups.every(hasVersion)));
  const closed = order.guards?.brakes === undefined ? undefined : closedBy(order.guards.brakes, order.environment, order.now ?? 0);
  const touched = [
    ...groups
      .filter(({ action }) => action !== 'nothing')
      .flatMap(({ facts: { group, idle } }) => [group, ...(idle === undefined ? [] : [idle.group])]),
    ...(stack?.action === 'update' ? stack.facts.groups : []),
  ];
  const replaced = [current, ...launched.map(each => each.image)].find(each => each !== undefined && each.id === was);
  const held = operation === 'promote' && order.isHandPicked === true && isOlder(image, replaced);
  const refusals = [
    ...(operation === 'rollback' || order.release || held ? [] : heldRefusals(pointer, image.id, order.environment)),
    ...(closed?.reasons ?? []),
    ...(operation === 'promote' ? holdRefusals(touched, scheme) : []),
    ...imageRefusals(image, { ...order, ran }),
    ...(order.adoptGroups ? [] : familyRefusals(launched, order)),
    ...architectureRefusals(pointer.name, image, current),
    ...(moves ? pointerRefusals(pointer.name, pointer.current, pointer.history) : []),
    ...[...groups, ...nodeGroups].flatMap(group => group.refusals),
    ...(stack?.refusals ?? []),
  ];
  const warnings = [
    ...terraformWarnings(touched, roll.strategy),
    ...(ran ? ranWarnings(image, scheme) : []),
    ...(was === undefined ? memoryWarnings(serving, order) : []),
    ...(stack?.warnings ?? []),
  ];
  return { ...order, roll, was, ran, held, groups, nodeGroups, stack, refusals, warnings, replaced, closed };
}

const imagesIn = ({ image, pointer }: RolloutSpec) => ({ next: image.id, current: pointer.current?.value });

const hasVersion = ({ changes }: GroupPlan): boolean => changes.length > 0 && changes.every(({ to }) => to !== undefined);

/** Before the first promotion: what an unfinished run recorded, or what all groups launch. */
function launchedBefore(launched: readonly Launched[], { current, candidate }: PointerState, imageId: string): string | undefined {
  if (current !== undefined) return undefined;
  const begun = candidate === undefined ? undefined : parseDescription(candidate.description);
  if (begun?.was !== undefined) return begun.operation === 'promote' ? begun.was : candidate?.value;
  const [id, ...others] = new Set(launched.map(each => each.id));
  return others.length > 0 || id === imageId ? undefined : id;
}

const isOlder = ({ createdAt }: Image, other: Image | undefined): boolean =>
  createdAt !== undefined && other?.createdAt !== undefined && createdAt < other.createdAt;

/** Until a person releases it, an image that was picked by hand stays. */
function heldRefusals({ name, current, history }: PointerState, imageId: string, environment: string): string[] {
  const now = history.find(({ version }) => version === current?.version);
  if (now === undefined || now.value === imageId || parseDescription(now.description)?.held !== true) return [];
  return [
    `${environment} is held on ${now.value}, an older image that a person picked (${name} version ${now.version}): set "release: true" to promote another one`,
  ];
}

/** When the pointer began to name its value. */
const namedSince = ({ current, history }: PointerState): Date | undefined => {
  const other = history.findIndex(({ value }) => value !== current?.value);
  return history.slice(0, other < 0 ? history.length : other).at(-1)?.writtenAt;
};

/** When an unfinished run moved the pointer: its candidate still exists. */
const movedEarly = ({ current, history, candidate }: PointerState): Date | undefined =>
  current !== undefined && candidate?.value === current.value
    ? history.find(({ version }) => version === current.version)?.writtenAt
    : undefined;

/** Throws with the refusals of all regions. */
export function throwIfRefused(plans: readonly RegionPlan[]): void {
  const [home] = plans;
  const refusals = plans.flatMap(plan => plan.refusals.map(refusal => (plans.length > 1 ? `${plan.region}: ${refusal}` : refusal)));
  const [first, ...rest] = refusals;
  if (home === undefined || first === undefined) return;
  const { operation, image, environment } = home;
  const reasons = rest.length === 0 ? first : `${refusals.length} reasons:\n- ${refusals.join('\n- ')}`;
  throw new RejectedError(`Refused to ${operation === 'promote' ? 'promote' : 'roll back to'} ${image.id} in ${environment}: ${reasons}`, {
    unchanged: true,
    outputs: home.closed?.opensAt === undefined ? {} : { opensAt: home.closed.opensAt.toISOString() },
  });
}

/** The pointer names the image, and every group runs it. */
export const isUpToDate = ({ groups, nodeGroups, stack, pointer, image }: RegionPlan): boolean =>
  pointer.current?.value === image.id &&
  nodeGroups.every(({ action }) => action === 'nothing') &&
  (stack === undefined || stack.action === 'nothing') &&
  groups.every(({ action, blocker }) => action === 'nothing' && blocker === undefined);
