import { formatTemplateUse, isNumbered, type TemplateUse, useKey, usesOf } from '../../model/group.ts';
import type { GroupFacts } from './facts.ts';
import { greenGroupName } from './group-pair.ts';
import type { GroupPlan } from './plan.ts';

/** A group and what is planned for it, in words. */

/** A use as the plan shows it: `web:3`, or `web:$Latest (3)`. */
const sayNow = (use: TemplateUse, versions: GroupFacts['versions']): string => {
  const now = versions.get(useKey(use));
  return isNumbered(use) || now === undefined ? formatTemplateUse(use) : `${formatTemplateUse(use)} (${now.number})`;
};

/** What it launches from: `web:3`; with a mixed policy the versions of the overrides too. */
export const formatLaunchUses = ({ group: { launch }, versions }: Pick<GroupFacts, 'group' | 'versions'>): string =>
  launch.kind === 'configuration'
    ? `launch configuration ${launch.name}`
    : usesOf(launch)
        .map(use => sayNow(use, versions))
        .join(', ');

/** How it stands: all that decides how it can be rolled. */
export function formatGroupState({ group, active, warmPool }: Pick<GroupFacts, 'group' | 'active' | 'warmPool'>): string {
  const { launch, min, max, desired, healthCheck, suspended, members } = group;
  const having = (what: string, of: readonly unknown[]) => of.length > 0 && `${of.length} ${what}`;
  return [
    `${desired} ${desired === 1 ? 'instance' : 'instances'} (${min} to ${max})`,
    launch.kind === 'mixed' && `mixed policy${launch.overrides.length === 0 ? '' : ` with ${launch.overrides.length} overrides`}`,
    `health by ${healthCheck}`,
    suspended.length > 0 && `suspended: ${suspended.join(', ')}`,
    having(
      'protected',
      members.filter(member => member.protected),
    ),
    having(
      'in standby',
      members.filter(({ state }) => state === 'Standby'),
    ),
    having('in its warm pool', warmPool),
    active !== undefined && `refresh ${active.id} is ${active.status}, ${active.percent} %`,
  ]
    .filter(part => part !== false)
    .join(', ');
}

/** Who brings back what it runs now. Empty where nothing is replaced. */
export function formatRevert({ action, by }: Pick<GroupPlan, 'action' | 'by'>): string {
  if (action === 'swap') return 'the new group goes';
  if (action !== 'refresh' && action !== 'watch') return '';
  return by === 'pointer' ? 'the pointer goes back, and a second refresh' : 'AWS rolls back';
}

export function formatAction({ action, changes, replaces, replacesPool, atATime, mustPin, facts }: GroupPlan): string {
  const { name, desired } = facts.group;
  if (action === 'nothing') return 'nothing to do';
  if (action === 'watch') return 'watch the refresh that runs';
  const makes = changes
    .filter(({ to }) => to === undefined)
    .map(({ from }) => `${from.templateName} gets a version made from ${from.number}`);
  const reuses = changes.flatMap(({ from, to }) =>
    to === undefined || to.number === from.number ? [] : [`${to.templateName}:${to.number} is used again`],
  );
  const batches = Math.ceil(replaces / atATime);
  const swap = `${greenGroupName(name)} comes beside it with ${desired} instances, and takes over when it has proven itself`;
  const roll =
    action === 'swap'
      ? swap
      : action === 'template'
        ? 'gets the version, replaces nothing'
        : `replaces ${replaces} instances, ${atATime} at a time, ${batches} ${batches === 1 ? 'batch' : 'batches'}`;
  const pool = replacesPool.length === 0 ? '' : `then ${replacesPool.join(', ')} of its warm pool`;
  return [mustPin ? 'is pinned' : '', ...makes, ...reuses, roll, pool].filter(part => part !== '').join(', ');
}
