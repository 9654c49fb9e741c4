import { formatMoment } from '../kit/duration.ts';
import { block, code, details, text } from '../kit/markdown.ts';
import type { Group, Target } from '../model/group.ts';
import type { Reporter } from '../ports/deps.ts';
import type { RolloutPorts } from './rollout-state.ts';

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
