import { concurrently } from '../kit/concurrently.ts';
import { formatMoment } from '../kit/format.ts';
import { block, code, details, text } from '../kit/markdown.ts';
import { type Group, type Target, withRootVolumes } from '../model/group.ts';
import type { Reporter } from '../ports/deps.ts';
import type { RolloutOrder, RolloutPorts } from './rollout-state.ts';
import { inService, staleOf } from './rules/proof.ts';
import { type Traffic, trafficOf } from './rules/traffic.ts';

/** What the instances of a group do, which the refresh does not show. */

const AT_ONCE = 5;

/** Adds the image of every member that is not known yet. It never changes, so each is read once. */
export async function readImages(allGroups: readonly Group[], images: Map<string, string>, { groups }: Pick<RolloutPorts, 'groups'>) {
  const unread = allGroups.flatMap(({ members }) => members.map(({ id }) => id)).filter(id => !images.has(id));
  const found = unread.length === 0 ? new Map<string, string>() : await groups.imagesOf(unread);
  for (const [id, image] of withRootVolumes(found, allGroups)) images.set(id, image);
}

export const newInstances = (group: Group, images: ReadonlyMap<string, string>, imageId: string): readonly string[] =>
  group.members.filter(member => inService(member) && images.get(member.id) === imageId).map(({ id }) => id);

export const NO_TRAFFIC_READ: Traffic = { without: [], coming: [] };

/** AWS asks the load balancers only where the health check of the group includes them, and never after success. */
export async function trafficTo(ids: readonly string[], group: Group, { groups }: Pick<RolloutPorts, 'groups'>): Promise<Traffic> {
  const [targets, sources] = await Promise.all([
    group.targetGroups.length === 0 ? [] : groups.targetHealth(group),
    (group.balancers ?? []).length === 0 ? [] : groups.sources(group.name),
  ]);
  return trafficOf(ids, group, targets, sources);
}

/** Instances of the warm pool with another image. AWS replaces them last: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html#update-warm-pool */
export async function stalePoolOf(group: Group, imageId: string, { groups }: Pick<RolloutPorts, 'groups'>): Promise<readonly string[]> {
  const pool = group.warmPool ? await groups.warmPool(group.name) : [];
  return pool.length === 0 ? [] : staleOf(pool, await groups.imagesOf(pool), imageId);
}

/** Runs the checks on each instance that has not passed them yet. Returns the reason of the first failure. */
export async function firstFailedCheck(
  ids: readonly string[],
  { order: { check }, checked }: { readonly order: Pick<RolloutOrder, 'check'>; readonly checked: Set<string> },
): Promise<string | undefined> {
  if (check === undefined) return undefined;
  const unchecked = ids.filter(id => !checked.has(id));
  const failed = await concurrently(unchecked, AT_ONCE, async id => {
    const reason = await check(id);
    if (reason === undefined) checked.add(id);
    return reason === undefined ? [] : [`checks on ${id}: ${reason}`];
  });
  return failed.flat()[0];
}

/** The state of the last unhealthy instance of a group, read before AWS terminates it. */
export interface Evidence {
  readonly group: string;
  readonly instanceId: string;
  readonly at: number;
  /** Why the load balancer sends it no traffic. */
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

/** An instance that a load balancer calls unhealthy shows more than one that it has already deregistered. */
export const betterEvidence = (known: Evidence | undefined, latest: Evidence): Evidence =>
  known !== undefined && showsCause(known) && !showsCause(latest) ? known : latest;

const showsCause = ({ health }: Evidence): boolean => health.some(({ state }) => state === 'unhealthy');

const CONSOLE_LINES = 60;
const OPEN_LINES = 8;

export function reportEvidence(evidence: Evidence, { info, untrusted, summary }: Reporter): void {
  const { group, instanceId, at, health, console } = evidence;
  const lines = console.trimEnd().split('\n').slice(-CONSOLE_LINES);
  const state = health.length === 0 ? 'no load balancer shows it' : health.map(({ message }) => message).join('; ');
  const status = `at ${formatMoment(new Date(at))}: ${state}`;
  info(`Last unhealthy instance: ${instanceId} of ${group} ${status}. End of its console output:`);
  for (const line of lines) untrusted(line);
  const open = block(lines.slice(-OPEN_LINES).join('\n'));
  const all = lines.length > OPEN_LINES ? [details(`Last ${lines.length} lines of its console output`, block(lines.join('\n')))] : [];
  const output = lines.join('\n').trim() === '' ? ['Its console output is empty.'] : [open, ...all];
  summary([`**Last unhealthy instance** ${code(instanceId)} of ${code(group)} ${text(status)}.`, ...output].join('\n\n'));
}
