import { waitFor } from '../kit/wait.ts';
import { atVersions, formatLaunch, formatTemplateUse, isOver, type Refresh } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import type { FailedRollout } from './rollout-state.ts';
import { contentKey, type GroupPlan } from './rules/plan.ts';
import { ourRefresh, startOrAdopt } from './watch-refresh.ts';

/** One group back to what it launched before; each tells what could not be. */

export async function revertGroup(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  const { name } = plan.facts.group;
  const { aws, rollout } = failed;
  const id = rollout.refreshes.get(name) ?? (await ourRefresh(plan, rollout.targets.get(name), aws))?.id;
  // Asked for, refused, and nothing of ours runs: there is nothing to take back.
  if (id === undefined) return [];
  const refresh = await aws.groups.refresh(name, id);
  if (refresh === undefined || isOver(refresh)) return ended(refresh, plan, failed);
  if (plan.by === 'pointer') {
    await aws.groups.cancel(name);
    await untilOver(name, id, failed);
    return rollBackGroup(plan, failed);
  }
  const said = refresh.status === 'RollbackInProgress' || refresh.status === 'Cancelling' ? 'started' : await aws.groups.rollBack(name);
  if (said === 'impossible') return [`${name}: AWS refuses to roll refresh ${id} back, it goes on`];
  if (said === 'started') failed.deps.report.info(`${name}: rolling back`);
  return ended(await untilOver(name, id, failed), plan, failed);
}

/** A refresh that is over cannot be rolled back: where it succeeded, a new one leads the other way. */
async function ended(refresh: Refresh | undefined, plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  if (refresh?.status === 'RollbackSuccessful') return [];
  return refresh?.status === 'Successful' || plan.by === 'pointer' ? rollBackGroup(plan, failed) : census(plan, failed);
}

/** A refresh of its own that leads back. Where nothing is to be replaced, only what is launched next. */
export async function rollBackGroup(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  const { name, members, desired } = plan.facts.group;
  const { aws, deps } = failed;
  if (desired === 0 && members.length === 0 && plan.by === 'version') {
    await aws.groups.setLaunch(name, plan.before);
    return [];
  }
  const preferences = { ...plan.preferences, bakeSeconds: 0, checkpoints: [], alarms: [], autoRollback: false };
  const back = await startOrAdopt({ ...plan, preferences }, plan.before, aws);
  if (back === undefined) return [`${name} runs the new image, and another refresh is in the way`];
  deps.report.info(`${name}: refresh ${back} leads back to ${formatLaunch(plan.before)}`);
  const over = await untilOver(name, back, failed);
  return over?.status === 'Successful' ? [] : [`${name}: the refresh back (${back}) is ${over?.status ?? 'gone'}`];
}

/** What a group runs that was left half way. */
async function census({ facts, before }: GroupPlan, { order, aws }: FailedRollout): Promise<readonly string[]> {
  const { name } = facts.group;
  const [group] = await aws.groups.find({ names: [name] });
  const images = await aws.groups.imagesOf((group?.members ?? []).map(({ id }) => id));
  const on = [...images.values()].filter(image => image === order.image.id).length;
  const launches = group === undefined ? 'nothing, it is gone' : formatLaunch(group.launch);
  if (on === 0 && group !== undefined && launches === formatLaunch(before)) return [];
  return [`${name}: ${on} of ${images.size} instances run ${order.image.id}; the group launches ${launches}`];
}

const untilOver = (group: string, id: string, { order, deps, aws }: FailedRollout): Promise<Refresh | undefined> => {
  const poll = tolerateTransientErrors<Refresh | undefined>(async () => {
    const refresh = await aws.groups.refresh(group, id);
    if (refresh === undefined || isOver(refresh)) return { state: 'done', value: refresh };
    return { state: 'waiting', note: `${refresh.status}, ${refresh.percent} %` };
  }, deps);
  return waitFor({ what: `${group} on its way back`, everySeconds: 10, atMostSeconds: order.timeoutSeconds, poll }, deps);
};

/**
 * Groups that an earlier run of the same operation had brought to the image, before it was lost: this run found nothing to do there, but when it
 * fails they must go back like the others. What they launched before is no longer known; it is the same template with the image that the
 * environment ran.
 */
export const earlierGroups = ({ order: { plans, resumes } }: FailedRollout): readonly GroupPlan[] =>
  resumes === undefined ? [] : plans.filter(({ action }) => action === 'nothing');

export async function revertEarlierGroup(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  if (plan.by === 'pointer') return rollBackGroup(plan, failed);
  const { order, rollout, aws } = failed;
  const { group, versions } = plan.facts;
  const was = order.resumes?.was;
  const numbers = new Map<string, number>();
  for (const [key, version] of versions) {
    if (version.imageId !== order.image.id) continue;
    const earlier = was === undefined ? [] : await aws.launchTemplates.withImage(version.templateId, was);
    const newest = earlier.filter(other => contentKey(other) === contentKey(version)).sort((a, b) => b.number - a.number)[0];
    if (newest === undefined)
      return [
        `${group.name} runs ${order.image.id} since an earlier run, and ${formatTemplateUse({ ...version, version: String(version.number) })} has no sibling with ${was ?? 'an image from before'} to go back to`,
      ];
    numbers.set(key, newest.number);
    rollout.versions.push(version);
  }
  if (numbers.size === 0) return [];
  return rollBackGroup({ ...plan, before: atVersions(group.launch, numbers) }, failed);
}
