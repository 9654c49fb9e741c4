import { changedInputs, environmentNames, type Fingerprint, fingerprint } from '../../domain/build/fingerprint.ts';
import { type Found, type Reuse, reusable, serveCommit } from '../../domain/build/reuse.ts';
import { identity, newestFirst, tagKey } from '../../domain/image.ts';
import { parseDuration } from '../../kit/duration.ts';
import { UsageError } from '../../kit/errors.ts';
import { list, optional, text } from '../../kit/fields.ts';
import type { Powers } from '../../world.ts';
import type { Base } from '../base-image.ts';
import type { BuiltImage } from './adopt.ts';
import { type BuildPlan, temporaryKeys } from './plan.ts';

/** Whether there is anything to build at all. */

export const reuseSettings = {
  rebuild: optional(
    text(
      '`changed`: build only when an input has changed since an image was built from the same; `max-age:<duration>`: also when that is older; `always`. Default: `changed` with "base-image", else `always`, because nobody would see that the base has changed.',
      { pattern: /^(always|changed|max-age:(\d+[smhd])+)$/, says: 'must be always, changed or max-age:<duration> such as max-age:7d' },
    ),
  ),
  content: list(
    'Files that determine the image, as globs relative to the workspace, `!` excludes. Template and var files always count. Default: every file of the commit.',
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

type World = Powers<'images', 'content' | 'files' | 'packer'>;

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
  { content, files: reader, packer }: World,
): Promise<Fingerprint> {
  const files = await content.files(wish.content, [plan.template, ...plan.varFiles]);
  if (files.length === 0) throw new UsageError([`"content" matches no file: ${wish.content.join(', ')}`]);
  // A template outside the workspace is not looked into.
  const template = (await reader.read(plan.template).catch(() => undefined)) ?? [];
  const asked = template
    .filter(({ path }) => /\.(hcl|json)$/.test(path))
    .flatMap(file => environmentNames(Buffer.from(file.content).toString()));
  return fingerprint({
    family: wish.family,
    files,
    variables: wish.var,
    secrets: { ...packer.ambient(asked), ...wish.secretVar },
    base: base?.id,
    packerVersion: wish.packerVersion,
    targets: {
      regions: plan.regions,
      architecture: wish.architecture,
      sources: [wish.only, wish.except].map(String),
      instanceType: wish.instanceType,
    },
  });
}

export interface Decision {
  readonly reuse: readonly Found[] | undefined;
  readonly because: string;
}

/** Looks through the family for an image that is already what this build would make; if there is none, says what has changed. */
export async function decide(wish: ReuseWish, plan: BuildPlan, print: Fingerprint, { at, clock }: World): Promise<Decision> {
  const mode = wish.rebuild ?? (rebuildProblem({ ...wish, rebuild: 'changed' }) === undefined ? 'changed' : 'always');
  if (mode === 'always')
    return { reuse: undefined, because: wish.rebuild === undefined ? 'without "base-image" every push is built' : '"rebuild" is always' };
  const tags = { [tagKey(plan.scheme, 'family')]: wish.family };
  const perRegion = await Promise.all(
    plan.regions.map(async region => (await at({ region }).images.find({ tags })).map((image): Found => ({ region, image }))),
  );
  const family = perRegion.flat();
  const maxAgeSeconds = mode === 'changed' ? undefined : parseDuration(mode.slice('max-age:'.length));
  const found = reusable(family, { scheme: plan.scheme, fingerprint: print.value, regions: plan.regions, maxAgeSeconds, now: clock.now() });
  return found.images === undefined
    ? { reuse: undefined, because: whyBuild(found, family, plan, print) }
    : { reuse: found.images, because: found.because };
}

function whyBuild(found: Reuse, family: readonly Found[], plan: BuildPlan, print: Fingerprint): string {
  const [newest] = family.map(({ image }) => image).sort(newestFirst);
  if (newest === undefined) return 'it is the first of its family';
  const changed = changedInputs(print, identity(newest, plan.scheme, 'inputs'));
  if (changed === undefined || changed.length === 0) return found.because;
  return `changed since ${newest.id}: ${changed.join(', ')}`;
}

/** Makes the images found by the commit that changed nothing, and completes an adoption that was cut short. */
export async function reuse(found: readonly Found[], commit: string, plan: BuildPlan, { at }: World): Promise<readonly BuiltImage[]> {
  return Promise.all(
    found.map(async ({ region, image }): Promise<BuiltImage> => {
      const { images } = at({ region });
      const tags = serveCommit(image, commit, plan.scheme);
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
