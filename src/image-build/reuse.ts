import { UsageError } from '../kit/errors.ts';
import { list, optional, text } from '../kit/fields.ts';
import { parseDuration } from '../kit/format.ts';
import { reusedTags } from '../model/commits-served.ts';
import { identity, newestFirst, tagKey } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import type { Base } from '../selection/base-image.ts';
import type { BuiltImage } from './adopt.ts';
import { adoptFinished, findFinished } from './finished-builds.ts';
import { type BuildPlan, temporaryKeys } from './plan.ts';
import type { Template } from './read-template.ts';
import { changedInputs, type Fingerprint, fingerprint } from './rules/fingerprint.ts';
import { type Found, type Reuse, type ReusePolicy, reusable } from './rules/reuse.ts';
import { environmentNames } from './rules/template-text.ts';

/** Whether there is anything to build at all. */

export const reuseSettings = {
  rebuild: optional(
    text(
      '`changed`: build only when an input has changed since an image was built from the same; `max-age:<duration>`: also when that is older; `always`. Default: `changed` with "base-image", else `always`, because nobody would see that the base has changed.',
      { pattern: /^(always|changed|max-age:(\d+[smhd])+)$/, message: 'must be always, changed or max-age:<duration> such as max-age:7d' },
    ),
  ),
  content: list(
    'Files that determine the image, as globs relative to the workspace, each of which must match something; `!` excludes. Template and var files always count. Default: every file of the commit.',
    {
      fallback: '',
      neededBy: 'repositories that hold more than one application',
    },
  ),
};

export interface ReuseWish {
  readonly family: string;
  readonly rebuild?: string | undefined;
  readonly content: readonly string[];
  readonly baseImage?: readonly string[] | undefined;
  readonly var: Readonly<Record<string, string>>;
  readonly secretVar: Readonly<Record<string, string>>;
  readonly packerVersion: string;
  readonly architecture?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly only: readonly string[];
  readonly except: readonly string[];
}

type NeededDeps = Deps<'images' | 'leftovers', 'content' | 'packer'>;

/** "changed" without a base that we know would never see a security update. */
export function rebuildProblem({ rebuild, baseImage }: ReuseWish): string | undefined {
  const known = baseImage !== undefined && baseImage.length > 0;
  return rebuild === 'changed' && !known
    ? '"rebuild: changed" needs "base-image": the template finds its base itself, and nobody would see that it has changed. Or say how old an image may get: "rebuild: max-age:7d"'
    : undefined;
}

export async function fingerprintOf(
  wish: ReuseWish,
  plan: BuildPlan,
  base: Base | undefined,
  { texts, secrets }: Template,
  { content, packer, report }: NeededDeps,
): Promise<Fingerprint> {
  const files = await content.files(wish.content, [plan.template, ...plan.varFiles]);
  const idle = files.length === 0 ? wish.content : await idleGlobs(wish.content, content);
  if (idle.length > 0) throw new UsageError([`"content" matches no file: ${idle.join(', ')}`], { next: GLOBS });
  const print = fingerprint({
    family: wish.family,
    files,
    variables: Object.fromEntries(Object.entries(wish.var).filter(([name]) => !(name in secrets))),
    secrets: { ...packer.ambient(texts.flatMap(environmentNames)), ...secrets },
    base: base?.id,
    packerVersion: wish.packerVersion,
    targets: {
      regions: plan.regions,
      architecture: wish.architecture,
      sources: [wish.only, wish.except].map(String),
      instanceType: wish.instanceType,
    },
  });
  report.info(`${print.value}, over ${files.length} ${files.length === 1 ? 'file' : 'files'} and the settings`);
  return print;
}

const GLOBS = 'Globs are relative to the workspace; one that excludes needs one that includes before it, such as "**".';

/** A folder that was renamed would never again count as changed. */
async function idleGlobs(globs: readonly string[], { matches }: NeededDeps['content']): Promise<readonly string[]> {
  const wanted = globs.filter(glob => !glob.startsWith('!'));
  const found = await Promise.all(wanted.map(matches));
  return wanted.filter((_, index) => found[index] === false);
}

/** What is to be built, and of what. */
export interface Inputs {
  readonly wish: ReuseWish;
  readonly plan: BuildPlan;
  readonly print: Fingerprint;
  readonly template: Template;
}

export interface Decision {
  readonly reuse: readonly Found[] | undefined;
  readonly reason: string;
}

/** Looks for an image that is already what this build would make, in the family and beside it; if there is none, says what has changed. */
export async function decide(inputs: Inputs, deps: NeededDeps): Promise<Decision> {
  const { wish, plan } = inputs;
  const policy = policyOf(inputs, deps);
  if (policy === undefined) return { reuse: undefined, reason: wish.rebuild === undefined ? NO_BASE : '"rebuild" is always' };
  const family = await familyOf(inputs, deps);
  const found = reusable(family, policy);
  if (found.images !== undefined) return { reuse: found.images, reason: found.reason };
  const finished = await findFinished(wish.family, plan, policy, deps);
  return finished === undefined
    ? { reuse: undefined, reason: whyBuild(found, family, inputs) }
    : { reuse: finished, reason: `${sayIds(finished)} has the same fingerprint: an earlier run did not live to see it finished` };
}

const NO_BASE =
  'without "base-image" nobody sees whether the base has changed, so every push is built; set it, or say how old an image may get with "rebuild: max-age:7d"';

/** While Packer was busy another run may have built the same: what everybody would take now, unless it is ours. */
export async function builtMeanwhile(mine: readonly string[], inputs: Inputs, deps: NeededDeps): Promise<readonly Found[] | undefined> {
  const policy = policyOf(inputs, deps);
  const { images } = policy === undefined ? { images: undefined } : reusable(await familyOf(inputs, deps), policy);
  return images?.some(({ image }) => mine.includes(image.id)) ? undefined : images;
}

export const sayIds = (found: readonly Found[]): string => found.map(({ image }) => image.id).join(', ');

const rebuildMode = (wish: ReuseWish): string =>
  wish.rebuild ?? (rebuildProblem({ ...wish, rebuild: 'changed' }) === undefined ? 'changed' : 'always');

/** In seconds; undefined: it may get as old as it likes. */
export const maxAgeOf = (rebuild = ''): number | undefined =>
  rebuild.startsWith('max-age:') ? parseDuration(rebuild.slice('max-age:'.length)) : undefined;

/** Every push is built, whatever there is. */
export const buildsAlways = (wish: ReuseWish): boolean => rebuildMode(wish) === 'always';

function policyOf({ wish, plan, print }: Inputs, { clock }: NeededDeps): ReusePolicy | undefined {
  const { scheme, regions } = plan;
  const mode = rebuildMode(wish);
  if (mode === 'always') return undefined;
  return { scheme, fingerprint: print.value, regions, maxAgeSeconds: maxAgeOf(mode), now: clock.now() };
}

async function familyOf({ wish: { family }, plan: { scheme, regions } }: Inputs, { inRegion }: NeededDeps): Promise<readonly Found[]> {
  const tags = { [tagKey(scheme, 'family')]: family };
  const perRegion = regions.map(async region =>
    (await inRegion({ region }).images.find({ tags })).map((image): Found => ({ region, image })),
  );
  return (await Promise.all(perRegion)).flat();
}

const CHAIN = ' ("base-image" names the family itself, so every build is the base of the next, and every push is built)';

function whyBuild(found: Reuse, family: readonly Found[], { wish, plan, print }: Inputs): string {
  const [newest] = family.map(({ image }) => image).sort(newestFirst);
  if (newest === undefined) return 'it is the first of its family';
  const changed = changedInputs(print, identity(newest, plan.scheme, 'inputs'));
  if (changed === undefined || changed.length === 0) return found.reason;
  const chain = wish.baseImage?.includes(`family:${wish.family}`) && changed.includes('base image') ? CHAIN : '';
  return `changed since ${newest.id}: ${changed.join(', ')}${chain}`;
}

/** Makes the images found by the commit that changed nothing, and completes an adoption that was cut short, or never begun. */
export async function reuse(found: readonly Found[], commit: string, plan: BuildPlan, deps: NeededDeps): Promise<readonly BuiltImage[]> {
  const family = tagKey(plan.scheme, 'family');
  return Promise.all(
    found.map(async ({ region, image }): Promise<BuiltImage> => {
      const { images } = deps.inRegion({ region });
      const tags = reusedTags(image, commit, plan.scheme, deps.clock.now());
      if (!(family in image.tags)) return adoptFinished({ region, image }, tags, plan, deps);
      if (Object.keys(tags).length > 0) await images.tag([image.id], tags);
      const shed = temporaryKeys(plan.scheme).filter(key => key in image.tags);
      if (shed.length > 0) await images.untag([image.id, ...image.snapshotIds], shed);
      return {
        source: identity(image, plan.scheme, 'source') ?? '',
        architecture: image.architecture,
        region,
        id: image.id,
        name: image.name,
        sizeGiB: image.sizeGiB,
      };
    }),
  );
}
