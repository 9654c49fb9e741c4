import { formatCount, formatDuration } from '../../kit/format.ts';
import { formatLaunch, formatTemplateUse, isNumbered, type TemplateUse, useKey, usesOf } from '../../model/group.ts';
import { templateName } from './configuration.ts';
import type { GroupFacts } from './facts.ts';
import { greenGroupName } from './group-pair.ts';
import { formatPaces } from './pace.ts';
import type { GroupPlan } from './plan.ts';
import { formatShift } from './shift.ts';
import { protectedOf, standbyOf } from './warnings.ts';

/** A group and its plan, as text. */

/** `web:3`, or `web:$Latest (3)`. */
const formatUse = (use: TemplateUse, versions: GroupFacts['versions']): string => {
  const now = versions.get(useKey(use));
  return isNumbered(use) || now === undefined ? formatTemplateUse(use) : `${formatTemplateUse(use)} (${now.number})`;
};

/** What the group launches from; with a mixed instances policy the versions of the overrides too. */
export const formatLaunchUses = ({ group: { launch }, versions }: Pick<GroupFacts, 'group' | 'versions'>): string =>
  launch.kind === 'configuration'
    ? formatLaunch(launch)
    : usesOf(launch)
        .map(use => formatUse(use, versions))
        .join(', ');

/** The state of the group that decides how it can be rolled out. */
export function formatGroupState({ group, active, warmPool }: Pick<GroupFacts, 'group' | 'active' | 'warmPool'>): string {
  const { launch, min, max, desired, healthCheck, suspended } = group;
  const having = (of: readonly unknown[], what: string) => of.length > 0 && `${of.length} ${what}`;
  return [
    `${formatCount(desired, 'instance')} (${min} to ${max})`,
    launch.kind === 'mixed' &&
      `mixed instances policy${launch.overrides.length === 0 ? '' : ` with ${formatCount(launch.overrides.length, 'override')}`}`,
    `health check ${healthCheck}`,
    suspended.length > 0 && `suspended: ${suspended.join(', ')}`,
    having(protectedOf(group), 'protected'),
    having(standbyOf(group), 'in standby'),
    having(warmPool, 'in the warm pool'),
    active !== undefined && `refresh ${active.id} is ${active.status}, ${active.percent} %`,
  ]
    .filter(part => part !== false)
    .join(', ');
}

/** How the group returns to what it runs now. Empty where nothing is replaced. */
export function formatRevert({ action, by, shift }: Pick<GroupPlan, 'action' | 'by' | 'shift'>, idle?: GroupFacts['idle']): string {
  const first = shift === undefined ? '' : `one call sends all traffic to ${shift.from.id} again, then `;
  if (action === 'swap') return `${first}${idle === undefined ? 'the green group is deleted' : `${idle.group.name} is emptied again`}`;
  if (action !== 'refresh' && action !== 'watch') return '';
  if (by === 'configuration') return 'the old launch configuration is set, then a second refresh';
  return by === 'pointer' ? 'the pointer moves back, then a second refresh' : 'AWS rolls back';
}

export function formatAction(plan: GroupPlan): string {
  const { action, changes, replacesPool, mustPin } = plan;
  if (action === 'nothing') return 'nothing to do';
  if (action === 'watch') return 'watch the refresh in progress';
  const versions = changes.flatMap(({ from, to }) => {
    if (to === undefined) return [`create a version of ${from.templateName} from version ${from.number}`];
    return to.number === from.number ? [] : [`reuse ${to.templateName}:${to.number}`];
  });
  const pool = replacesPool.length === 0 ? [] : [`then replace ${replacesPool.join(', ')} of the warm pool`];
  return [...(mustPin ? ['pin the version'] : []), ...configurationSteps(plan), ...versions, formatReplacement(plan), ...pool].join(', ');
}

function configurationSteps({ by, changes, facts: { group, configuration } }: GroupPlan): readonly string[] {
  if (configuration === undefined) return [];
  const { now, ready, copyName } = configuration;
  if (by !== 'configuration')
    return changes.length > 0 ? [] : [`create launch template ${templateName(now.name)} from ${formatLaunch(group.launch)}`];
  return [ready === undefined ? `create launch configuration ${copyName}` : `set launch configuration ${ready.name}`];
}

function formatReplacement({ action, replaces, atATime, paces, shift, estimatedSeconds, facts: { group, idle } }: GroupPlan): string {
  if (action === 'swap') {
    const [name, healthy] = idle === undefined ? [greenGroupName(group.name), 'it is'] : [idle.group.name, 'they are'];
    const takes = shift === undefined ? 'takes over' : `takes ${formatShift(shift)}`;
    const verb = idle === undefined ? `create ${name} with` : `size ${name} to`;
    const cost = ` (${2 * group.desired} at once, about ${formatDuration(estimatedSeconds)})`;
    return `${verb} ${formatCount(group.desired, 'instance')}${cost}, which ${takes} once ${healthy} healthy`;
  }
  if (action === 'template') return 'change the template version, replace nothing';
  return `replace ${formatCount(replaces, 'instance')}, ${atATime} at a time${paces === undefined ? '' : `: ${formatPaces(paces)}`}`;
}
