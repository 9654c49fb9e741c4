import { atVersions, formatTemplateUse } from '../model/group.ts';
import { rollBackGroup } from './revert-group.ts';
import type { FailedRollout } from './rollout-state.ts';
import { contentKey, type GroupPlan } from './rules/plan.ts';

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
