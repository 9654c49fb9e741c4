import { RejectedError } from '../kit/errors.ts';
import type { Deps } from '../ports/deps.ts';
import { schemeOf } from '../selection/settings.ts';
import { type Applied, applyPlan } from './apply.ts';
import { failClosed } from './find-users.ts';
import { crossAccount } from './other-accounts.ts';
import { hashOf, isEmpty, makePlan, type Plan, sweeperOf } from './plan.ts';
import { throwIfIncomplete } from './removal.ts';
import { outputsOf, reportApplied, reportPlan } from './report.ts';
import { type PruneOptions, policyOf } from './settings.ts';
import { type SurveyClients, surveyAll } from './survey.ts';

// Requires a family and what to keep of it.
// Result: only images that something may still launch or that the policy keeps, and a plan with a reason for each.

export { settings } from './settings.ts';

export const outputs = {
  changed: '`false` when there was nothing to do; in a dry run, is nothing to do.',
  removed: 'Number of images that were removed; in a dry run, would be.',
  kept: 'Number of images that are kept.',
  orphanSnapshots: 'Number of snapshots without an image that were removed; in a dry run, would be.',
  templateVersions: 'Number of launch template versions naming a removed image that were removed; in a dry run, would be.',
  leftovers: 'Number of leftovers of interrupted builds and validations that were removed; in a dry run, would be.',
  recycleBin:
    'JSON list: `id` and `until` of every removed image and snapshot that the Recycle Bin still holds. Snapshots in it are charged until then.',
  plan: 'JSON list: `id`, `region`, `action` (`keep`, `mark`, `unmark` or `remove`) and `reason` of every image of the family, newest first. Without kept images if the whole list exceeds what a job can output.',
  besides:
    'JSON list: `what` (`snapshot snap-...`, a launch template version, a leftover), `region` and `reason` of everything other than images that the plan removes.',
  planHash: 'Hash of what the plan would change, for `plan-hash` of the run that applies it.',
  freedGib: 'GiB of snapshots that are freed, at most: snapshots share blocks. Without what the Recycle Bin holds.',
  freedPerMonth: 'Savings per month in dollars, at most.',
};

export async function run(options: PruneOptions, deps: Deps<'account' | keyof SurveyClients>) {
  const { report } = deps;
  const scheme = schemeOf(options);
  const accountId = await deps.inRegion({ region: options.region }).account.id();
  const policy = policyOf(options, scheme, accountId);

  const accounts = crossAccount(options, deps);
  const plan = await failClosed(report, async () => {
    const surveys = await surveyAll(options, sweeperOf(policy, deps), deps);
    return report.step('Plan', () => makePlan(surveys, policy, options, accounts, deps));
  });
  reportPlan(plan, options, scheme, report, deps.clock.now());
  stopIfImplausible(plan, options);
  if (options.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(plan, options) };

  const applied: Applied[] = [];
  for (const region of plan.regions) {
    applied.push(await report.step(`Remove in ${region.survey.region}`, () => applyPlan(plan.images, region, policy, accounts, deps)));
  }
  reportApplied(plan, options, applied, report);
  const results = outputsOf(plan, options, applied);
  throwIfIncomplete(
    applied.flatMap(region => region.results),
    results,
    applied.flatMap(({ remaining }) => remaining),
  );
  return { outcome: isEmpty(plan) ? ('unchanged' as const) : ('done' as const), outputs: results };
}

/** A plan without users is probably made from the wrong account, or with a pointer that has another name. */
function stopIfImplausible(plan: Plan, options: PruneOptions): void {
  const { images } = plan;
  if (options.planHash !== undefined && options.planHash !== hashOf(plan)) {
    throw new RejectedError('The plan has changed since it was approved.', {
      unchanged: true,
      next: `Review the plan above. To approve it, set "plan-hash: ${hashOf(plan)}".`,
      outputs: outputsOf(plan, options, []),
    });
  }
  const inUse = images.filter(({ users }) => users.some(({ kind }) => kind === 'known')).length;
  if (options.retireFamily || images.length === 0 || inUse >= options.minInUse) return;
  const message = `Only ${inUse} of ${images.length} images of ${options.family} ${inUse === 1 ? 'is' : 'are'} in use; "min-in-use" requires ${options.minInUse}.`;
  throw new RejectedError(message, {
    unchanged: true,
    next: `Check account, region and "pointer" (${options.pointer}). If they are right, set "min-in-use: ${inUse}".`,
    outputs: outputsOf(plan, options, []),
  });
}
