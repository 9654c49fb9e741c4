import { concurrently } from '../kit/concurrently.ts';
import { formatMoment } from '../kit/format.ts';
import { block, code, details, text } from '../kit/markdown.ts';
import type { Group, Target } from '../model/group.ts';
import type { Reporter } from '../ports/deps.ts';
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

/** What the last sick instance of a group said before it was ended: by the time the roll has failed it is gone. */
export interface Evidence {
  readonly group: string;
  readonly instanceId: string;
  readonly at: number;
  /** Why the load balancer sends it nothing. */
  readonly health: readonly Target[];
  readonly console: string;
}

export async function collectEvidence(
  group: Group,
  instanceId: string,
  at: number,
  { groups, instances }: RolloutPorts,
): Promise<Evidence> {
  const [targets, sources, console] = await Promise.all([
    groups.targetHealth(group).catch(() => []),
    (group.balancers ?? []).length === 0 ? [] : groups.sources(group.name).catch(() => []),
    instances.console(instanceId).catch(() => ''),
  ]);
  const all = [...targets, ...sources.flatMap(source => source.targets ?? [])];
  const health = all.filter(target => target.instanceId === instanceId);
  return { group: group.name, instanceId, at, health, console };
}

/** What a load balancer called unhealthy says more than what it has already let go. */
export const betterEvidence = (known: Evidence | undefined, fresh: Evidence): Evidence =>
  known !== undefined && tellsWhy(known) && !tellsWhy(fresh) ? known : fresh;

const tellsWhy = ({ health }: Evidence): boolean => health.some(({ state }) => state === 'unhealthy');

const CONSOLE_LINES = 60;

export function reportEvidence(evidence: Evidence, { info, untrusted, summary }: Reporter): void {
  const { group, instanceId, at, health, console } = evidence;
  const lines = console.trimEnd().split('\n').slice(-CONSOLE_LINES);
  const said = `${instanceId} of ${group} at ${formatMoment(new Date(at))}: ${health.length === 0 ? 'no load balancer knows it' : health.map(each => each.message).join('; ')}`;
  info(`The last sick instance, ${said}. The end of its console:`);
  for (const line of lines) untrusted(line);
  const shown =
    lines.join('\n').trim() === ''
      ? 'Its console was empty.'
      : details(
          lines.length === 1 ? 'The last line of its console' : `The last ${lines.length} lines of its console`,
          block(lines.join('\n')),
        );
  summary(`### ${code(instanceId)} of ${code(group)}\n\n${text(said)}.\n\n${shown}`);
}
