import { identity, type Tags, tagKey } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import { adopt, type BuiltImage } from './adopt.ts';
import { type BuildPlan, temporaryKeys } from './plan.ts';
import { type Found, type ReusePolicy, reusable } from './rules/reuse.ts';

/** Packer survives the run that started it: what it has finished when nobody looked any more is adopted instead of built once more. */

type NeededDeps = Deps<'images' | 'leftovers'>;

/** By the tags that a template's sole source writes last of all (recognisableTags); undefined where there is nothing, or it is not certain. */
export async function findFinished(
  family: string,
  plan: BuildPlan,
  policy: ReusePolicy,
  deps: NeededDeps,
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

/** A Packer that is still there may yet take its image back; its instance, its key pair or its security group tells that it is. */
async function hasEnded(found: readonly Found[], { scheme, regions }: BuildPlan, { inRegion }: NeededDeps): Promise<boolean> {
  const builds = [...new Set(found.flatMap(({ image }) => identity(image, scheme, 'build') ?? []))];
  const marked = builds.flatMap(build => regions.map(region => inRegion({ region }).leftovers.tagged(tagKey(scheme, 'build'), build)));
  const left = (await Promise.all(marked)).flat().filter(({ kind }) => kind !== 'image' && kind !== 'snapshot');
  return builds.length > 0 && left.length === 0;
}

/** Who built it is left as it is; what Packer could not write is as in this run. `more`: what it gets besides. */
export async function adoptFinished({ region, image }: Found, more: Tags, plan: BuildPlan, deps: NeededDeps): Promise<BuiltImage> {
  const { scheme } = plan;
  const temporary = new Set(temporaryKeys(scheme));
  const own = Object.fromEntries(Object.entries(image.tags).filter(([key]) => !temporary.has(key)));
  const family = tagKey(scheme, 'family');
  const tags = { ...plan.tags, ...own, ...more, [family]: plan.tags[family] ?? '' };
  const made = { source: identity(image, scheme, 'source') ?? '', region, id: image.id };
  const [adopted] = await adopt([made], { ...plan, tags, named: name => own['Name'] ?? name }, deps);
  return adopted as BuiltImage;
}
