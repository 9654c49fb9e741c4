import type { Sweeper } from '../image-build/rules/leftovers.ts';
import type { ExpiredLeftover } from '../image-build/sweep.ts';
import type { Snapshot } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { Deps } from '../ports/deps.ts';
import { planWithEvidence } from './evidence.ts';
import type { CrossAccount } from './other-accounts.ts';
import { unusedOf, versionsNaming } from './other-deletions.ts';
import { orphanedSnapshots } from './rules/orphans.ts';
import { planHash } from './rules/plan.ts';
import { type Decision, isToRemove, type Policy } from './rules/rules.ts';
import type { PruneOptions } from './settings.ts';
import { candidates, type Survey, type SurveyClients } from './survey.ts';
import { usageElsewhere } from './usage-reports.ts';

/** Every image with its action and reason, and everything else that prune removes. */
export interface Plan {
  readonly images: readonly Decision[];
  readonly regions: readonly RegionPlan[];
}

export interface RegionPlan {
  readonly survey: Survey;
  readonly orphanedSnapshots: readonly Snapshot[];
  /** Launch template versions that name an image that is removed. */
  readonly versions: readonly TemplateVersion[];
  /** Leftovers of interrupted builds and validations. */
  readonly expired: readonly ExpiredLeftover[];
}

export async function makePlan(
  surveys: readonly Survey[],
  policy: Policy,
  options: Pick<PruneOptions, 'usageReports' | 'templateVersions'>,
  accounts: CrossAccount,
  deps: Deps<keyof SurveyClients>,
): Promise<Plan> {
  const now = deps.clock.now();
  const usage = (ids: readonly string[], region: string) => usageElsewhere(ids, policy.accountId, deps.inRegion({ region }), deps);
  const sources = { accounts, ...(options.usageReports ? { usage } : {}) };
  const images = await planWithEvidence(candidates(surveys, policy), policy, deps.clock, region => deps.inRegion({ region }), sources);
  const regions = surveys.map(async survey => {
    const { region, aws, snapshots, owned, recycled, users, expired } = survey;
    const ids = images.filter(decision => decision.region === region && isToRemove(decision)).map(({ image }) => image.id);
    return {
      survey,
      orphanedSnapshots: orphanedSnapshots(snapshots, owned, policy, now, recycled),
      versions: options.templateVersions ? await versionsNaming(ids, users, aws) : [],
      expired: unusedOf(expired, users.all, owned),
    };
  });
  return { images, regions: await Promise.all(regions) };
}

/** Whose leftovers prune removes. */
export const sweeperOf = ({ scheme, family }: Policy, { run: { repository } }: Deps<never>): Sweeper => ({ scheme, family, repository });

export const imagesToDelete = ({ images }: Plan): readonly Decision[] => images.filter(isToRemove);

export const snapshotsToDelete = ({ regions }: Plan): readonly Snapshot[] => regions.flatMap(plan => plan.orphanedSnapshots);

/** Everything other than images that prune removes: what, where and why. */
export const otherDeletions = ({ regions }: Plan): readonly { readonly what: string; readonly region: string; readonly reason: string }[] =>
  regions.flatMap(({ survey: { region }, orphanedSnapshots: snapshots, versions, expired }) => [
    ...snapshots.map(({ id }) => ({ what: `snapshot ${id}`, region, reason: 'no image has it' })),
    ...versions.map(({ templateName, number, imageId }) => ({
      what: `version ${number} of launch template ${templateName}`,
      region,
      reason: `names ${imageId}, and nothing launches from it`,
    })),
    ...expired.map(({ kind, id, reason }) => ({ what: `${kind} ${id}`, region, reason })),
  ]);

export const isEmpty = (plan: Plan): boolean => plan.images.every(({ action }) => action === 'keep') && otherDeletions(plan).length === 0;

export const hashOf = (plan: Plan): string =>
  planHash(
    plan.images,
    otherDeletions(plan).map(({ what, region }) => `${what} ${region}`),
  );
