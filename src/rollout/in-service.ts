import { concurrently } from '../kit/concurrently.ts';
import type { Group } from '../model/group.ts';
import type { RolloutOrder, RolloutPorts } from './rollout-state.ts';
import { inService, staleOf } from './rules/proof.ts';
import { type Traffic, trafficOf } from './rules/traffic.ts';

/** What the instances of a group do, which the refresh does not tell. */

const AT_ONCE = 5;

export const newOnes = (group: Group, images: ReadonlyMap<string, string>, imageId: string): readonly string[] =>
  group.members.filter(member => inService(member) && images.get(member.id) === imageId).map(({ id }) => id);

export const NOT_ASKED: Traffic = { without: [], coming: [] };

/** AWS asks the load balancers itself only where the group says so, and never again after it has succeeded. */
export async function trafficTo(ids: readonly string[], group: Group, { groups }: Pick<RolloutPorts, 'groups'>): Promise<Traffic> {
  const [targets, sources] = await Promise.all([
    group.targetGroups.length === 0 ? [] : groups.targetHealth(group),
    (group.balancers ?? []).length === 0 ? [] : groups.sources(group.name),
  ]);
  return trafficOf(ids, group, targets, sources);
}

/** AWS replaces them when those in service are done. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html#update-warm-pool */
export async function stalePoolOf(group: Group, imageId: string, { groups }: Pick<RolloutPorts, 'groups'>): Promise<readonly string[]> {
  const waiting = group.warmPool ? await groups.warmPool(group.name) : [];
  return waiting.length === 0 ? [] : staleOf(waiting, await groups.imagesOf(waiting), imageId);
}

/** Of those that were not asked before. */
export async function firstThatFails(
  ids: readonly string[],
  { order: { check }, checked }: { readonly order: Pick<RolloutOrder, 'check'>; readonly checked: Set<string> },
): Promise<string | undefined> {
  if (check === undefined) return undefined;
  const fresh = ids.filter(id => !checked.has(id));
  const failed = await concurrently(fresh, AT_ONCE, async id => {
    const reason = await check(id);
    if (reason === undefined) checked.add(id);
    return reason === undefined ? [] : [`checks on ${id}: ${reason}`];
  });
  return failed.flat()[0];
}
