import { RejectedError, UsageError } from '../kit/errors.ts';
import { regionsOf } from '../model/common-settings.ts';
import type { Group } from '../model/group.ts';
import type { Image } from '../model/image.ts';
import type { Reporter } from '../ports/deps.ts';
import { type EquivalentImageQuery, findEquivalentImage } from '../selection/select-image.ts';
import { regionPrefix } from './indeterminate.ts';
import { planPromotion } from './plan.ts';
import type { Moved } from './pointer.ts';
import type { GroupResult } from './roll-group.ts';
import type { PromotionClients, Region, RegionPlan, RolloutSpec } from './rollout-spec.ts';
import type { RolloutDeps } from './rollout-state.ts';
import { activeGroup } from './rules/group-pair.ts';
import type { RolloutOptions } from './rules/settings.ts';

/** An environment may live in several regions. Each has its own pointer, its own groups, and its own copy of the image. */

export interface RegionResult {
  readonly region: string;
  readonly results: readonly GroupResult[];
  /** Undefined: the rollout is in progress, and this run does not wait for it. */
  readonly moved: Moved | undefined;
}

type RegionInputs = EquivalentImageQuery & RolloutOptions & { readonly region: string; readonly regions: readonly string[] };
type RegionDeps = RolloutDeps & { inRegion(where: { region: string }): PromotionClients };

/** The plan of every region, home first. Throws before anything else is read where a region has no copy of the image. */
export async function planRegions(
  inputs: RegionInputs,
  image: Image,
  deps: RegionDeps,
  orderIn: (image: Image, region: Region) => Promise<RolloutSpec>,
  imageIn: (region: Region) => Promise<Image | undefined> = async () => undefined,
): Promise<readonly RegionPlan[]> {
  const since = deps.clock.now();
  const regions = regionsOf(inputs).map(region => ({ region, aws: deps.inRegion({ region }) }));
  const several = regions.length > 1;
  const images = await findInEachRegion(image, regions, inputs, imageIn);
  const assigned = several ? await assignGroups(inputs, regions) : [];
  const plan = async (region: Region, i: number) => {
    const order = await orderIn(images[i] ?? image, region);
    const look = { since, listed: assigned[i]?.listed };
    const planned = await planPromotion({ ...order, roll: assigned[i]?.inputs ?? inputs }, deps, region.aws, look);
    const own = several ? { ...deps, report: regionReporter(region.region, deps.report) } : deps;
    return { ...planned, ...region, several, deps: own };
  };
  return Promise.all(regions.map((region, i) => withRegion({ ...region, several }, () => plan(region, i))));
}

const OMIT_REGION = 'remove the region: "regions: []" under "with:" or in the section of the environment overrides the top of the file';

/** The same image under the ID that it has in each region. `imageIn`: what it is where no identity shows it. */
async function findInEachRegion(
  image: Image,
  [, ...further]: readonly Region[],
  query: EquivalentImageQuery,
  imageIn: (region: Region) => Promise<Image | undefined>,
): Promise<readonly Image[]> {
  const found = await Promise.all(
    further.map(region =>
      withRegion({ ...region, several: true }, async () => {
        const equivalent = await findEquivalentImage(image, query, region.aws);
        const own = equivalent.image === undefined ? await imageIn(region) : undefined;
        return { region: region.region, ...equivalent, ...(own === undefined ? {} : { image: own }) };
      }),
    ),
  );
  const missing = found.filter(each => each.image === undefined);
  if (missing.length > 0) {
    const reasons = missing.map(({ region, reason }) => `${region}: ${reason}`).join('; ');
    const next = [...new Set(missing.map(({ region, oneOf }) => remedy(region, oneOf)))].join(' ');
    throw new RejectedError(`${image.id} is not exactly once in every region: ${reasons}.`, {
      unchanged: true,
      next: `${next} Or ${OMIT_REGION}.`,
    });
  }
  return [image, ...found.flatMap(each => each.image ?? [])];
}

const remedy = (region: string, oneOf: readonly string[] | undefined): string =>
  oneOf === undefined
    ? 'Copy it there with mode "share" and "regions".'
    : `Keep one of ${oneOf.join(' and ')}: mode "delete" with "region: ${region}" and "image: ${oneOf.at(-1)}" removes that one, unless something uses it.`;

interface Assigned {
  readonly inputs: RegionInputs;
  readonly listed: readonly Group[];
}

/** A group may be missing in a region, but not in all; and every region needs a group. */
async function assignGroups(inputs: RegionInputs, regions: readonly Region[]): Promise<readonly Assigned[]> {
  const { groups, strategy } = inputs;
  if (strategy === 'none' || groups === undefined || groups.length === 0) return [];
  const own = await Promise.all(
    regions.map(async ({ region, aws }) => {
      const listed = await withRegion({ region, several: true }, () => aws.groups.find({}));
      return { region, names: groups.filter(name => activeGroup(listed, name, strategy) !== undefined), listed };
    }),
  );
  const tagged = Object.keys(inputs.groupTags ?? {}).length > 0;
  const problems = [
    ...groups
      .filter(name => !own.some(({ names }) => names.includes(name)))
      .map(name => `"groups" names "${name}", which is no Auto Scaling group in ${own.map(({ region }) => region).join(' or ')}`),
    ...own
      .filter(({ names }) => names.length === 0 && !tagged)
      .map(({ region }) => `"regions" names ${region}, where none of "groups" exists: add its groups to "groups", or ${OMIT_REGION}`),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  return own.map(({ names, listed }) => ({ inputs: { ...inputs, groups: names }, listed }));
}

/** Groups in two regions may have one name, so every line names its region. */
const regionReporter = (region: string, report: Reporter): Reporter => ({
  ...report,
  step: (title, work) => report.step(`${region}: ${title}`, work),
  info: message => report.info(`${region}: ${message}`),
  warn: message => report.warn(`${region}: ${message}`),
});

/** A failure names its region where there are several. */
export async function withRegion<T>({ region, several }: Pick<RegionPlan, 'region' | 'several'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    throw several ? regionPrefix(failure, region) : failure;
  }
}

export async function forEachSequential<P extends RegionPlan, T>(
  plans: readonly P[],
  work: (plan: P) => Promise<T>,
): Promise<readonly T[]> {
  const all: T[] = [];
  for (const plan of plans) all.push(await withRegion(plan, () => work(plan)));
  return all;
}

/** The output `ami-ids`: one image under several IDs. */
export const amiIdsOf = (plans: readonly RegionPlan[]) => Object.fromEntries(plans.map(({ region, image }) => [region, image.id]));
