import type { Sweeper } from '../image-build/rules/leftovers.ts';
import type { ExpiredLeftover } from '../image-build/sweep.ts';
import type { Snapshot } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { Deps } from '../ports/deps.ts';
import { planWithEvidence } from './evidence.ts';
import { unusedOf } from './expired-runs.ts';
import type { Consumers } from './other-accounts.ts';
import { orphans } from './rules/orphans.ts';
import { planHash } from './rules/plan.ts';
import type { Decision, Policy } from './rules/rules.ts';
import { candidates, type Survey, type SurveyPorts } from './survey.ts';
import { versionsNaming } from './template-versions.ts';
import { usageElsewhere } from './usage-reports.ts';

/** All that prune means to do: every image with its reason, and what goes beside images. */
export interface Plan {
  readonly images: readonly Decision[];
  readonly regions: readonly RegionPlan[];
}

export interface RegionPlan {
  readonly survey: Survey;
  /** Snapshots that no image has. */
  readonly strays: readonly Snapshot[];
  /** Launch template versions that name an image which goes. */
  readonly versions: readonly TemplateVersion[];
  /** What dead builds and validations left. */
  readonly dead: readonly ExpiredLeftover[];
}

interface Wish {
  readonly usageReports: boolean;
  readonly templateVersions: boolean;
}

export async function makePlan(
  surveys: readonly Survey[],
  policy: Policy,
  wish: Wish,
  consumers: Consumers,
  deps: Deps<keyof SurveyPorts>,
): Promise<Plan> {
  const now = deps.clock.now();
  const usage = (ids: readonly string[], region: string) => usageElsewhere(ids, policy.accountId, deps.inRegion({ region }), deps);
  const inquiry = { consumers, ...(wish.usageReports ? { usage } : {}) };
  const images = await planWithEvidence(candidates(surveys, policy), policy, now, region => deps.inRegion({ region }), inquiry);
  const regions = surveys.map(async survey => {
    const { region, aws, snapshots, owned, recycled, users, dead } = survey;
    const going = images.filter(decision => decision.region === region && decision.action === 'remove').map(({ image }) => image.id);
    return {
      survey,
      strays: orphans(snapshots, owned, policy, now, recycled),
      versions: wish.templateVersions ? await versionsNaming(going, users, aws) : [],
      dead: unusedOf(dead, users.all, owned),
    };
  });
  return { images, regions: await Promise.all(regions) };
}

/** Whose leftovers prune may sweep. */
export const sweeperOf = ({ scheme, family }: Policy, { run }: Pick<Deps<never>, 'run'>): Sweeper => ({
  scheme,
  family,
  repository: run.repository,
});

export const doomedOf = ({ images }: Plan): readonly Decision[] => images.filter(({ action }) => action === 'remove');

export const straysOf = ({ regions }: Plan): readonly Snapshot[] => regions.flatMap(({ strays }) => strays);

/** What goes beside images: what it is, where, and why. */
export const besides = ({ regions }: Plan): readonly { readonly what: string; readonly region: string; readonly reason: string }[] =>
  regions.flatMap(({ survey: { region }, strays, versions, dead }) => [
    ...strays.map(({ id }) => ({ what: `snapshot ${id}`, region, reason: 'no image has it any more' })),
    ...versions.map(({ templateName, number, imageId }) => ({
      ...{ what: `version ${number} of launch template ${templateName}`, region },
      reason: `names ${imageId}, and nothing launches from it`,
    })),
    ...dead.map(({ kind, id, reason }) => ({ what: `${kind} ${id}`, region, reason })),
  ]);

export const isIdle = (plan: Plan): boolean => plan.images.every(({ action }) => action === 'keep') && besides(plan).length === 0;

export const hashOf = (plan: Plan): string =>
  planHash(
    plan.images,
    besides(plan).map(({ what, region }) => `${what} ${region}`),
  );
