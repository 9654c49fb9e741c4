import { RejectedError, UsageError } from '../kit/errors.ts';
import { regionsOf } from '../model/common-settings.ts';
import type { Group } from '../model/group.ts';
import type { Image } from '../model/image.ts';
import type { Reporter } from '../ports/deps.ts';
import { type EquivalentImageQuery, findEquivalentImage } from '../selection/select-image.ts';
import { regionPrefix } from './indeterminate.ts';
import { type Promotion, type PromotionClients, type PromotionOrder, planPromotion } from './plan.ts';
import type { RolloutDeps } from './rollout-state.ts';
import { activeGroup } from './rules/group-pair.ts';
import type { RolloutOptions } from './rules/settings.ts';

/** An environment may live in several regions. Each has its own pointer, its own groups, and its own copy of the image. */

/** What one region does of a promotion. */
export interface RegionPlan extends Region {
  /** Others do the same elsewhere, so every line says where. */
  readonly several: boolean;
  readonly deps: RolloutDeps;
  readonly promotion: Promotion;
}

export interface Region {
  readonly region: string;
  readonly aws: PromotionClients;
}

type RegionInputs = EquivalentImageQuery & RolloutOptions & { readonly region: string; readonly regions: readonly string[] };

interface RegionDeps extends RolloutDeps {
  inRegion(where: { region: string }): PromotionClients;
}

/** Home first. The image is looked for everywhere before anything else is asked. */
export async function planRegions(
  wanted: RegionInputs,
  image: Image,
  deps: RegionDeps,
  orderIn: (image: Image, here: Region) => Promise<PromotionOrder>,
): Promise<readonly RegionPlan[]> {
  const everywhere = regionsOf(wanted).map(region => ({ region, aws: deps.inRegion({ region }) }));
  const several = everywhere.length > 1;
  const images = await findInEachRegion(image, everywhere, wanted);
  const rolls = several ? await assignGroups(wanted, everywhere) : [];
  const plan = async (here: Region, i: number) => {
    const order = await orderIn(images[i] ?? image, here);
    const promotion = await planPromotion({ ...order, roll: rolls[i]?.wanted ?? wanted }, here.aws, rolls[i]?.listed);
    const own = several ? { ...deps, report: regionReporter(here.region, deps.report) } : deps;
    return { ...here, several, deps: own, promotion };
  };
  return Promise.all(everywhere.map((here, i) => withRegion({ ...here, several }, () => plan(here, i))));
}

const LEAVE_OUT = 'leave the region out: "regions: []" under "with:", or in the section of the environment, beats the top of the file';

/** The same image under the IDs that it has there. */
async function findInEachRegion(image: Image, [, ...further]: readonly Region[], wanted: EquivalentImageQuery): Promise<readonly Image[]> {
  const found = await Promise.all(
    further.map(async ({ region, aws }) => ({
      region,
      ...(await withRegion({ region, several: true }, () => findEquivalentImage(image, wanted, aws))),
    })),
  );
  const unfound = found.flatMap(({ region, image: twin, reason, oneOf }) => (twin === undefined ? [{ region, reason, oneOf }] : []));
  if (unfound.length > 0) {
    const said = unfound.map(({ region, reason }) => `${region}: ${reason}`).join('; ');
    const next = [...new Set(unfound.map(({ region, oneOf }) => remedy(region, oneOf)))].join(' ');
    throw new RejectedError(`Not exactly once in every region: ${said}.`, {
      unchanged: true,
      next: `${next} Or ${LEAVE_OUT}.`,
    });
  }
  return [image, ...found.flatMap(({ image: twin }) => (twin === undefined ? [] : [twin]))];
}

const remedy = (region: string, oneOf: readonly string[] | undefined): string =>
  oneOf === undefined
    ? 'Copy it there with mode "share" and "regions".'
    : `Leave one of ${oneOf.join(' and ')}: mode "delete" with "region: ${region}" and "image: ${oneOf.at(-1)}" removes that one, unless something uses it.`;

/** A group may be in one region and not in the other; but none may be nowhere, and no region without any. */
async function assignGroups(
  wanted: RegionInputs,
  everywhere: readonly Region[],
): Promise<readonly { wanted: RegionInputs; listed: readonly Group[] }[]> {
  const { groups, strategy } = wanted;
  if (strategy === 'none' || groups === undefined || groups.length === 0) return [];
  const own = await Promise.all(
    everywhere.map(async ({ region, aws }) => {
      const listed = await withRegion({ region, several: true }, () => aws.groups.find({}));
      return { names: groups.filter(name => activeGroup(listed, name) !== undefined), listed };
    }),
  );
  const regions = everywhere.map(({ region }) => region);
  const tagged = Object.keys(wanted.groupTags ?? {}).length > 0;
  const problems = [
    ...groups
      .filter(name => !own.some(({ names }) => names.includes(name)))
      .map(name => `"groups" names "${name}", which is no Auto Scaling group of ${regions.join(' or ')}`),
    ...regions
      .filter((_, i) => own[i]?.names.length === 0 && !tagged)
      .map(region => `"regions" names ${region}, where none of "groups" is: name its groups too, or ${LEAVE_OUT}`),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  return own.map(({ names, listed }) => ({ wanted: { ...wanted, groups: names }, listed }));
}

/** Groups in two regions may bear one name, so every line says which region it is about. */
const regionReporter = (region: string, report: Reporter): Reporter => ({
  ...report,
  step: (title, work) => report.step(`${region}: ${title}`, work),
  info: message => report.info(`${region}: ${message}`),
  warn: message => report.warn(`${region}: ${message}`),
});

/** What fails says where, if it may have been elsewhere. */
export async function withRegion<T>({ region, several }: Pick<RegionPlan, 'region' | 'several'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    throw several ? regionPrefix(failure, region) : failure;
  }
}

export async function forEachSequential<P extends RegionPlan, T>(
  parts: readonly P[],
  work: (part: P) => Promise<T>,
): Promise<readonly T[]> {
  const all: T[] = [];
  for (const part of parts) all.push(await withRegion(part, () => work(part)));
  return all;
}

/** As outputs tell it: one image under several IDs. */
export const amiIdsOf = (parts: readonly RegionPlan[]) =>
  Object.fromEntries(parts.map(({ region, promotion }) => [region, promotion.image.id]));
