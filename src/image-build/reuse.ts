import { relative } from 'node:path';
import { UsageError } from '../kit/errors.ts';
import { parseDuration } from '../kit/format.ts';
import { reusedTags } from '../model/commits-served.ts';
import { compareLink } from '../model/compare.ts';
import { identity, newestFirst, tagKey } from '../model/image.ts';
import type { ContentFile, ContentSelection, Deps } from '../ports/deps.ts';
import type { Base } from '../selection/base-image.ts';
import type { BuiltImage } from './adopt.ts';
import { applicationFiles } from './application.ts';
import { adoptFinished, findFinished } from './finished-builds.ts';
import { type BuildPlan, temporaryKeys } from './plan.ts';
import type { Template } from './read-template.ts';
import { changedInputs, type Fingerprint, fingerprint } from './rules/fingerprint.ts';
import { distanceOf } from './rules/increment.ts';
import { type Found, mayReuse, type Reuse, type ReusePolicy, reusable } from './rules/reuse.ts';
import { environmentNames } from './rules/template-text.ts';
import type { BuildOptions } from './settings.ts';

/** Whether there is anything to build. */

type ReuseDeps = Deps<'images' | 'leftovers', 'content' | 'packer'>;

/** "changed" without a known base image would miss its security updates. */
export function rebuildProblem({ rebuild, baseImage }: Pick<BuildOptions, 'rebuild' | 'baseImage'>): string | undefined {
  const isKnown = baseImage !== undefined && baseImage.length > 0;
  return rebuild === 'changed' && !isKnown
    ? '"rebuild: changed" needs "base-image": the template selects its base image itself, so a new one would go unnoticed. Or limit the age of an image: "rebuild: max-age:7d"'
    : undefined;
}

/** Which files are inputs of the build. */
const selectionOf = (
  { content }: BuildOptions,
  { template, varFiles }: BuildPlan,
  { references, isDynamic }: Template,
): ContentSelection => ({ globs: content, template, varFiles, references, isDynamic });

/** @throws UsageError for a glob of "content" that matches no file. */
export async function fingerprintOf(
  options: BuildOptions,
  plan: BuildPlan,
  base: Base | undefined,
  template: Template,
  deps: ReuseDeps,
): Promise<Pick<Inputs, 'print' | 'files' | 'foundation'>> {
  const { texts, secrets, workingDirectory } = template;
  const { content, packer, report, run } = deps;
  const files = await content.files(selectionOf(options, plan, template));
  const application = await applicationFiles(options, deps);
  const unmatched = files.length === 0 ? options.content : await unmatchedGlobs(options.content, content);
  if (unmatched.length > 0) throw new UsageError([`"content" matches no file: ${unmatched.join(', ')}`], { next: GLOBS });
  const inputs = {
    family: options.family,
    files,
    variables: Object.fromEntries(Object.entries(options.var).filter(([name]) => !(name in secrets))),
    secrets: { ...packer.ambient(texts.flatMap(environmentNames)), ...secrets },
    base: base?.id,
    packerVersion: options.packerVersion,
    paths: [plan.template, workingDirectory.path, ...plan.varFiles].map(path => relative(run.workspace, path)),
    targets: {
      regions: plan.regions,
      architecture: options.architecture,
      sources: [options.only, options.except].map(String),
      instanceType: options.instanceType,
    },
  };
  const print = fingerprint(inputs);
  const loaded = new Set([...template.files.map(({ path }) => path), ...plan.varFiles].map(path => relative(run.workspace, path)));
  const isFoundation = ({ path }: ContentFile) => loaded.has(path) || application?.has(path) === false;
  const foundation = application && fingerprint({ ...inputs, files: files.filter(isFoundation) }).value;
  report.info(`Fingerprint ${print.value}, from ${files.length} ${files.length === 1 ? 'file' : 'files'} and the settings.`);
  return { print, files, foundation };
}

const GLOBS = 'Globs are relative to the workspace. An exclusion needs a glob before it, such as "**".';

/** A renamed directory would otherwise never count as changed again. */
async function unmatchedGlobs(globs: readonly string[], { matches }: ReuseDeps['content']): Promise<readonly string[]> {
  const including = globs.filter(glob => !glob.startsWith('!'));
  const found = await Promise.all(including.map(matches));
  return including.filter((_, index) => found[index] === false);
}

export interface Inputs {
  readonly options: BuildOptions;
  readonly plan: BuildPlan;
  readonly print: Fingerprint;
  /** What the fingerprint was computed from. */
  readonly files: readonly ContentFile[];
  readonly template: Template;
  /** The fingerprint without the files of "app-paths", where that is set. */
  readonly foundation?: string | undefined;
}

/** So that what Packer wrote into the workspace is no input of the next build. A failure costs a build, not this one. */
export const recordOutputs = ({ options, plan, template, files }: Inputs, { content }: Deps<never, 'content'>): Promise<void> =>
  content.recordOutputs(selectionOf(options, plan, template), files).catch(() => undefined);

export interface Decision {
  /** Undefined: build. */
  readonly reuse: readonly Found[] | undefined;
  readonly reason: string;
  /** The commits since the newest image, as a link. */
  readonly changes?: string | undefined;
}

/** Looks for an image with the same inputs, in the family and among finished builds of killed runs. */
export async function decideReuse(inputs: Inputs, deps: ReuseDeps): Promise<Decision> {
  const { options, plan } = inputs;
  const policy = policyOf(inputs, deps);
  if (policy === undefined) return { reuse: undefined, reason: options.rebuild === undefined ? NO_BASE : '"rebuild" is always' };
  const family = await familyOf(inputs, deps);
  const found = reusable(family, policy);
  if (found.images !== undefined) {
    const distance =
      options.appPaths.length === 0
        ? undefined
        : distanceOf((found.images[0] as Found).image, { scheme: plan.scheme, fullEverySeconds: options.fullEvery });
    return { reuse: found.images, reason: [found.reason, distance ?? []].flat().join(': ') };
  }
  const finished = await findFinished(options.family, plan, policy, deps);
  return finished === undefined
    ? { reuse: undefined, ...whyBuild(found, family, inputs, deps.run.url) }
    : { reuse: finished, reason: `${formatIds(finished)} has the same fingerprint, and was finished by a run that was interrupted` };
}

const NO_BASE =
  'every run builds, because a new base image would go unnoticed without "base-image"; set it, or limit the age of an image with "rebuild: max-age:7d"';

/** Images of the same inputs that another run built while Packer ran; undefined where the newest is ours. */
export async function findConcurrentBuild(mine: readonly string[], inputs: Inputs, deps: ReuseDeps): Promise<readonly Found[] | undefined> {
  const policy = policyOf(inputs, deps);
  const { images } = policy === undefined ? { images: undefined } : reusable(await familyOf(inputs, deps), policy);
  return images?.some(({ image }) => mine.includes(image.id)) ? undefined : images;
}

export const formatIds = (found: readonly Found[]): string => found.map(({ image }) => image.id).join(', ');

const rebuildMode = (options: BuildOptions): string =>
  options.rebuild ?? (rebuildProblem({ ...options, rebuild: 'changed' }) === undefined ? 'changed' : 'always');

/** In seconds; undefined for no limit. */
export const maxAgeOf = (rebuild = ''): number | undefined =>
  rebuild.startsWith('max-age:') ? parseDuration(rebuild.slice('max-age:'.length)) : undefined;

/** Whether every run builds. */
export const buildsAlways = (options: BuildOptions): boolean => rebuildMode(options) === 'always';

function policyOf({ options, plan: { scheme, regions }, print }: Inputs, { clock }: ReuseDeps): ReusePolicy | undefined {
  const mode = rebuildMode(options);
  if (mode === 'always') return undefined;
  const fullEvery = options.appPaths.length === 0 ? {} : { fullEverySeconds: options.fullEvery };
  return { scheme, fingerprint: print.value, regions, maxAgeSeconds: maxAgeOf(mode), ...fullEvery, now: clock.now() };
}

async function familyOf(
  { options: { family }, plan: { scheme, regions } }: Inputs,
  { inRegion, run }: ReuseDeps,
): Promise<readonly Found[]> {
  const find = (region: string) => inRegion({ region }).images.find({ tags: { [tagKey(scheme, 'family')]: family } });
  const perRegion = regions.map(async region => (await find(region)).map((image): Found => ({ region, image })));
  return (await Promise.all(perRegion)).flat().filter(mayReuse(run.ref, scheme));
}

const CHAIN = ' ("base-image" selects the family itself, so every build is the base of the next, and every run builds)';

function whyBuild(found: Reuse, family: readonly Found[], { options, plan, print }: Inputs, runUrl: string): Omit<Decision, 'reuse'> {
  const [newest] = family.map(({ image }) => image).sort(newestFirst(plan.scheme));
  if (newest === undefined) return { reason: 'it is the first image of its family' };
  const changes = compareLink(newest, plan, plan.scheme, runUrl);
  const changed = changedInputs(print, identity(newest, plan.scheme, 'inputs'));
  if (changed === undefined || changed.length === 0) return { reason: found.reason, changes };
  const chain = options.baseImage?.includes(`family:${options.family}`) && changed.includes('base image') ? CHAIN : '';
  return { reason: `changed since ${newest.id}: ${changed.join(', ')}${chain}`, changes };
}

/** Tags the images so that this commit finds them, and completes an adoption that was interrupted. */
export async function reuse(found: readonly Found[], commit: string, plan: BuildPlan, deps: ReuseDeps): Promise<readonly BuiltImage[]> {
  const family = tagKey(plan.scheme, 'family');
  return Promise.all(
    found.map(async ({ region, image }): Promise<BuiltImage> => {
      const { images } = deps.inRegion({ region });
      const tags = reusedTags(image, commit, plan.scheme, deps.clock.now());
      if (!(family in image.tags)) return adoptFinished({ region, image }, tags, plan, deps);
      if (Object.keys(tags).length > 0) await images.tag([image.id], tags);
      const outdated = temporaryKeys(plan.scheme).filter(key => key in image.tags);
      if (outdated.length > 0) await images.untag([image.id, ...image.snapshotIds], outdated);
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
