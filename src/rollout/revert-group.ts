import { formatCount } from '../kit/format.ts';
import { waitFor } from '../kit/wait.ts';
import { atVersions, formatLaunch, formatTemplateUse, isOver, type Refresh, sameLaunch, withRootVolumes } from '../model/group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import type { FailedRollout } from './rollout-state.ts';
import { contentKey, type GroupPlan } from './rules/plan.ts';
import { ourRefresh, startOrAdopt } from './watch-refresh.ts';

/** Returns a group to what it launched before the rollout. Each function returns what could not be reverted. */

export async function revertGroup(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  const { name } = plan.facts.group;
  const { aws, rollout } = failed;
  const id = rollout.refreshes.get(name) ?? (await ourRefresh(plan, rollout.targets.get(name), aws))?.id;
  // Requested, refused, and none of ours is in progress: nothing to revert.
  if (id === undefined) return [];
  const refresh = await aws.groups.refresh(name, id);
  if (refresh === undefined || isOver(refresh)) return revertEnded(refresh, plan, failed);
  if (plan.by !== 'version') {
    await aws.groups.cancel(name);
    await waitUntilOver(name, id, failed);
    return rollBackGroup(plan, failed);
  }
  const isEnding = refresh.status === 'RollbackInProgress' || refresh.status === 'Cancelling';
  const rollback = isEnding ? 'started' : await aws.groups.rollBack(name);
  if (rollback === 'impossible') return [`${name}: AWS refuses to roll back refresh ${id}, which goes on`];
  if (rollback === 'started') failed.deps.report.info(`${name}: rolling back`);
  return revertEnded(await waitUntilOver(name, id, failed), plan, failed);
}

/** AWS cannot roll back a refresh that has ended: after a successful one, a second refresh leads back. */
async function revertEnded(refresh: Refresh | undefined, plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  // AWS may have left instances that are protected from scale-in.
  if (refresh?.status === 'RollbackSuccessful') return waitUntilReverted(plan, failed);
  return refresh?.status === 'Successful' || plan.by !== 'version' ? rollBackGroup(plan, failed) : remainingInstances(plan, failed);
}

/** Starts a refresh to the previous launch. A group without instances only gets its previous template version. */
async function rollBackGroup(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  const { name, members, desired } = plan.facts.group;
  const { aws, deps } = failed;
  const isEmpty = desired === 0 && members.length === 0 && plan.by !== 'pointer';
  // A refresh leads to a launch configuration only where the group launches from it already.
  const by = plan.before.kind === 'configuration' ? 'configuration' : plan.by;
  if (isEmpty || by === 'configuration') await aws.groups.setLaunch(name, plan.before);
  if (isEmpty) return [];
  const skipMatching = plan.preferences.skipMatching && by === 'version';
  const preferences = { ...plan.preferences, skipMatching, bakeSeconds: 0, checkpoints: [], alarms: [], autoRollback: false };
  const id = await startOrAdopt({ ...plan, by, preferences }, plan.before, aws);
  if (id === undefined) return [`${name} runs the new image, and another refresh blocks the way back`];
  deps.report.info(`${name}: refresh ${id} leads back to ${formatLaunch(plan.before)}`);
  const ended = await waitUntilOver(name, id, failed);
  if (ended?.status === 'Successful') return waitUntilReverted(plan, failed);
  return [`${name}: refresh ${id}, which leads back, is ${ended?.status ?? 'no longer shown by AWS'}`];
}

// Answers of AWS may be seconds old: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const STALE_SECONDS = 60;

/** A successful refresh is not enough: AWS may have left protected or standby instances, or replaced nothing. */
async function waitUntilReverted(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  const { clock } = failed.deps;
  const deadline = clock.now() + STALE_SECONDS * 1000;
  for (;;) {
    const remaining = await remainingInstances(plan, failed);
    if (remaining.length === 0 || clock.now() >= deadline) return remaining;
    await clock.sleep(10_000);
  }
}

export const goneLine = (name: string): string => `${name} no longer exists`;

/** What a group still runs after the revert; instances that are being terminated do not count. */
async function remainingInstances({ facts, before }: GroupPlan, { order, aws }: FailedRollout): Promise<readonly string[]> {
  const { name } = facts.group;
  const [group] = await aws.groups.find({ names: [name] });
  if (group === undefined) return [goneLine(name)];
  const members = group.members.filter(({ state }) => !state.startsWith('Terminat'));
  const images = withRootVolumes(await aws.groups.imagesOf(members.map(({ id }) => id)), [{ members }]);
  const remaining = [...images.values()].filter(image => image === order.image.id).length;
  const launches = formatLaunch(group.launch);
  if (remaining === 0 && launches === formatLaunch(before)) return [];
  return [`${name}: ${remaining} of ${formatCount(images.size, 'instance')} run ${order.image.id}, and the group launches ${launches}`];
}

const waitUntilOver = (group: string, id: string, { order, deps, aws }: FailedRollout): Promise<Refresh | undefined> => {
  const poll = tolerateTransientErrors<Refresh | undefined>(async () => {
    const refresh = await aws.groups.refresh(group, id);
    if (refresh === undefined || isOver(refresh)) return { state: 'done', value: refresh };
    return { state: 'waiting', note: `${refresh.status}, ${refresh.percent} %` };
  }, deps);
  return waitFor({ what: `Reverting ${group}`, everySeconds: 10, atMostSeconds: order.timeoutSeconds, poll }, deps);
};

/** Groups that an interrupted run of the same operation had already rolled out. They must be reverted like the others. */
export const earlierGroups = ({ order: { plans, resumes } }: FailedRollout): readonly GroupPlan[] =>
  resumes === undefined ? [] : plans.filter(({ action }) => action === 'nothing');

/** What such a group launched before is not recorded: it is the same template with the image that the environment ran. */
export async function revertEarlierGroup(plan: GroupPlan, failed: FailedRollout): Promise<readonly string[]> {
  const { group, versions } = plan.facts;
  if (plan.by === 'configuration' && sameLaunch(group.launch, plan.before))
    return [`${group.name} runs ${failed.order.image.id} since an earlier run, and no tag shows what it launched before`];
  if (plan.by !== 'version') return rollBackGroup(plan, failed);
  const { order, rollout, aws } = failed;
  const was = order.resumes?.was;
  const numbers = new Map<string, number>();
  for (const [key, version] of versions) {
    if (version.imageId !== order.image.id) continue;
    const earlier = was === undefined ? [] : await aws.launchTemplates.withImage(version.templateId, was);
    const newest = earlier.filter(other => contentKey(other) === contentKey(version)).sort((a, b) => b.number - a.number)[0];
    if (newest === undefined) {
      const use = formatTemplateUse({ ...version, version: String(version.number) });
      return [`${group.name} runs ${order.image.id} since an earlier run, and no version like ${use} has ${was ?? 'an earlier image'}`];
    }
    numbers.set(key, newest.number);
    rollout.versions.push(version);
  }
  if (numbers.size === 0) return [];
  return rollBackGroup({ ...plan, before: atVersions(group.launch, numbers) }, failed);
}
