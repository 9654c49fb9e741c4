import { identity, type Tags, tagKey } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import { adopt, type BuiltImage } from './adopt.ts';
import { type BuildPlan, temporaryKeys } from './plan.ts';
import { type Found, type ReusePolicy, reusable } from './rules/reuse.ts';

/** Packer outlives a killed run. An image that it finished then is adopted by the next run instead of built again. */

type FinishedDeps = Deps<'images' | 'leftovers'>;

/** Images with the tags that a template's only source writes last (recognisableTags); undefined where none is certain to be complete. */
export async function findFinished(
  family: string,
  plan: BuildPlan,
  policy: ReusePolicy,
  deps: FinishedDeps,
): Promise<readonly Found[] | undefined> {
  const key = (name: 'fingerprint' | 'for-family' | 'family') => tagKey(plan.scheme, name);
  const tags = { [key('fingerprint')]: policy.fingerprint, [key('for-family')]: family };
  const perRegion = plan.regions.map(async region =>
    (await deps.inRegion({ region }).images.find({ tags }))
      .filter(image => !(key('family') in image.tags))
      .map((image): Found => ({ region, image })),
  );
  const { images } = reusable((await Promise.all(perRegion)).flat(), policy);
  return images !== undefined && (await hasEnded(images, plan, deps)) ? images : undefined;
}

/** A Packer that still runs may remove its image. Its instance, key pair or security group shows that it does. */
async function hasEnded(found: readonly Found[], { scheme, regions }: BuildPlan, { inRegion }: FinishedDeps): Promise<boolean> {
  const builds = [...new Set(found.flatMap(({ image }) => identity(image, scheme, 'build') ?? []))];
  const marked = builds.flatMap(build => regions.map(region => inRegion({ region }).leftovers.tagged(tagKey(scheme, 'build'), build)));
  const temporary = (await Promise.all(marked)).flat().filter(({ kind }) => kind !== 'image' && kind !== 'snapshot');
  return builds.length > 0 && temporary.length === 0;
}

/** Adopts an image that another run built: its own tags win over those of this run. `more` wins over both. */
export async function adoptFinished({ region, image }: Found, more: Tags, plan: BuildPlan, deps: FinishedDeps): Promise<BuiltImage> {
  const { scheme } = plan;
  const temporary = new Set(temporaryKeys(scheme));
  const own = Object.fromEntries(Object.entries(image.tags).filter(([key]) => !temporary.has(key)));
  const family = tagKey(scheme, 'family');
  const tags = { ...plan.tags, ...own, ...more, [family]: plan.tags[family] ?? '' };
  const created = { source: identity(image, scheme, 'source') ?? '', region, id: image.id };
  const [adopted] = await adopt([created], { ...plan, tags, nameTag: name => own['Name'] ?? name }, deps);
  return adopted as BuiltImage;
}
