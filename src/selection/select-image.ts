import { RejectedError, UsageError } from '../kit/errors.ts';
import { count, oneOf, optional, text } from '../kit/fields.ts';
import type { Inputs, Values } from '../kit/settings.ts';
import { architecture, type common } from '../model/common-settings.ts';
import type { Image, TagScheme } from '../model/image.ts';
import { AMI_ID, REGION, ROLE_ARN, whole } from '../model/patterns.ts';
import { DEFAULT_POINTER, environmentPointer, previousImageId } from '../model/pointer.ts';
import {
  findByIdentity,
  lastKnownGood,
  type Picked,
  parseSelector,
  pickImage,
  SELECTOR_GRAMMAR,
  type Selector,
} from '../model/selector.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { resolveBase } from './base-image.ts';

/** From what a user says ("commit:1a2b3c4") to one image. Every mode that asks for an image does it this way. */

const history = {
  repository: optional(
    text('Repository whose history `last-known-good` walks; a private one needs a `github-token` for it. Default: this one.', {
      pattern: /^[\w.-]+\/[\w.-]+$/,
      message: 'must be owner/name',
      neededBy: 'teams that follow the image of another repository',
    }),
  ),
  walk: count('How many first parents `last-known-good` looks at.', {
    min: 1,
    max: 1000,
    fallback: 50,
    neededBy: 'repositories where most commits build no image',
  }),
  githubToken: optional(
    text('Records deployments, and reads the history for `last-known-good`, where `GITHUB_TOKEN` of the environment will do.', {
      withOnly: true,
      neededBy: 'users of `last-known-good` and of deployments',
    }),
  ),
};

const elsewhere = {
  fromRole: optional(
    text('Role that reads the pointer of `environment:<name>`, where that environment lives in another account.', {
      pattern: whole(ROLE_ARN),
      message: 'must be the ARN of a role, such as arn:aws:iam::444455556666:role/ami-reader',
      neededBy: 'teams whose stage and prod are two accounts',
    }),
  ),
  fromRegion: optional(
    text('Region of the pointer of `environment:<name>`. Default: `region`.', {
      pattern: whole(REGION),
      message: 'must be a region such as eu-west-1',
      neededBy: 'teams whose stage and prod are in two regions',
    }),
  ),
};

/** The settings of a mode that asks for an image. */
export const selection = (fallbackImage: string | undefined) => ({
  image: text(`Which image: \`${SELECTOR_GRAMMAR.replaceAll(', ', '`, `').replace(' or ', '` or `')}\`.`, {
    ...(fallbackImage === undefined ? {} : { fallback: fallbackImage }),
    pattern: whole(`(${AMI_ID}|latest|previous|commit:[0-9a-f]{7,64}|(ref|version|environment):\\S+)`),
    message: `must be ${SELECTOR_GRAMMAR}`,
  }),
  environment: optional(
    text('stage, prod, ...: who runs the image.', {
      pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
      message: 'must be 1 to 63 letters, digits, "-", "_" or ".", starting with a letter or digit',
    }),
  ),
  pointer,
  architecture,
  fallback: oneOf(
    'What to take when a commit or branch has no passed image: `none` refuses, `last-known-good` walks back its first parents to the newest that has one.',
    ['none', 'last-known-good'],
    { fallback: 'none' },
  ),
  ...history,
  ...elsewhere,
});

export const pointer = text('Name of the SSM parameter that holds the current image of an environment.', {
  fallback: DEFAULT_POINTER,
  pattern: /^\/[\w.{}/-]{1,500}$/,
  message: 'must be a parameter name that starts with "/", with {family}, {environment} and {architecture} where they belong',
});

export type Selection = Inputs<ReturnType<typeof selection>> & { readonly family: string } & Pick<
    Values<typeof common>,
    'region' | 'tagPrefix' | 'commitTag'
  >;

export interface Selected {
  readonly image: Image;
  readonly reason: string;
  readonly from: 'selector' | 'base-image';
}

type SelectPowers = Deps<'images' | 'parameters', 'commits'>;
type Ports = Pick<RegionClients, 'images' | 'parameters'>;

export const schemeOf = ({ tagPrefix, commitTag }: { tagPrefix: string; commitTag: string }): TagScheme => ({
  prefix: tagPrefix,
  commitKey: commitTag,
});

/** Exactly one image, or an error that says what there is instead. `ifNone`: what else to say where there is none at all. */
export async function selectImage(
  wanted: Selection,
  deps: SelectPowers,
  { orElse, ifNone = [] }: { orElse?: readonly string[] | undefined; ifNone?: readonly string[] } = {},
): Promise<Selected> {
  const selector = parseSelector(wanted.image);
  if (selector === undefined) throw new UsageError([`"image" must be ${SELECTOR_GRAMMAR}, got "${wanted.image}"`]);
  const here = deps.inRegion({ region: wanted.region });
  const picked = await pick(selector, wanted, deps, here);
  if (picked.image !== undefined) return { image: picked.image, reason: picked.reason, from: 'selector' };
  if (orElse !== undefined && orElse.length > 0 && picked.noFallback !== true) return fromBase(orElse, picked.reason, wanted, deps);
  const list = `Mode "list" shows what family "${wanted.family}" has in ${wanted.region}.`;
  throw new RejectedError(`No image: ${picked.reason}.`, { next: [list, ...(picked.noFallback === true ? [] : ifNone)].join(' ') });
}

async function pick(selector: Selector, wanted: Selection, deps: SelectPowers, here: Ports): Promise<Picked> {
  if (selector.kind === 'id') return byId(selector.id, here);
  if (selector.kind === 'environment') return fromPointer(selector.value, wanted, deps, here);
  if (selector.kind === 'previous') return previous(wanted, here);
  const scheme = schemeOf(wanted);
  const choice = { scheme, family: wanted.family, architecture: wanted.architecture };
  const images = await familyImages(wanted, here);
  if (wanted.fallback === 'none' || !(selector.kind === 'commit' || selector.kind === 'ref')) return pickImage(images, selector, choice);
  const repository = wanted.repository ?? deps.run.repository;
  const commits = await deps.commits.firstParents({ repository, ref: selector.value, atMost: wanted.walk, token: wanted.githubToken });
  return lastKnownGood(images, commits, choice);
}

/** Owned ones, and ones that others share with this account and that carry our tags here. */
export const familyImages = ({ family, tagPrefix }: Pick<Selection, 'family' | 'tagPrefix'>, here: Pick<RegionClients, 'images'>) =>
  here.images.find({ tags: { [`${tagPrefix}family`]: family }, shared: true });

async function byId(id: string, here: Ports): Promise<Picked> {
  const image = await here.images.get(id);
  return image === undefined
    ? { image, noFallback: true, reason: `${id} does not exist in this account and region, or is not shared with it` }
    : { image, reason: 'named by its ID' };
}

/** Read where the environment lives; what it means here is the image with that identity. */
async function fromPointer(environment: string, wanted: Selection, deps: SelectPowers, here: Ports): Promise<Picked> {
  const there = deps.inRegion({ region: wanted.fromRegion ?? wanted.region, role: wanted.fromRole });
  const name = environmentPointer({ ...wanted, environment });
  const current = await there.parameters.read(name);
  if (current === undefined)
    return { image: undefined, reason: `environment "${environment}" has no pointer ${name} yet: nothing was promoted to it` };
  const meant = await there.images.get(current.value);
  if (meant === undefined)
    return {
      image: meant,
      noFallback: true,
      reason: `${name} names ${current.value}, which does not exist ${there === here ? 'here' : 'there'}`,
    };
  if (there === here) return { image: meant, reason: `${name} names it, version ${current.version}` };
  const found = await findEquivalentImage(meant, wanted, here);
  return { ...found, reason: `${name} names ${meant.id}, version ${current.version}, and ${found.reason}` };
}

export type EquivalentImageQuery = Pick<Selection, 'family' | 'tagPrefix' | 'commitTag'>;

/** The same image in another account or region. One that is seen there without our tags is it too: whoever asks may say what is missing to it. */
export async function findEquivalentImage(
  image: Image,
  wanted: EquivalentImageQuery,
  there: Pick<RegionClients, 'images'>,
): Promise<Picked> {
  const twin = findByIdentity(await familyImages(wanted, there), image, { scheme: schemeOf(wanted), family: wanted.family });
  const itself = twin.image === undefined ? await there.images.get(image.id) : undefined;
  return itself === undefined ? twin : { image: itself, reason: 'it is here too' };
}

async function previous(wanted: Selection, here: Ports): Promise<Picked> {
  if (wanted.environment === undefined)
    throw new UsageError(['"environment" is missing: "previous" means what an environment ran before its current image']);
  const name = environmentPointer({ ...wanted, environment: wanted.environment });
  const id = previousImageId(await here.parameters.history(name));
  if (id === undefined)
    return { image: undefined, reason: `environment "${wanted.environment}" (${name}) has run no image before its current one` };
  const found = await byId(id, here);
  return found.image === undefined ? found : { image: found.image, reason: `what "${wanted.environment}" ran before its current image` };
}

async function fromBase(entries: readonly string[], reason: string, wanted: Selection, deps: SelectPowers): Promise<Selected> {
  const base = await resolveBase({ ...wanted, baseImage: entries }, schemeOf(wanted), deps);
  const image = base === undefined ? undefined : await deps.inRegion({ region: wanted.region }).images.get(base.id);
  if (image === undefined) throw new RejectedError(`No image: ${reason}; and base image ${base?.id} does not exist here.`);
  return { image, reason: `${reason}; so the base image ${base?.reason}`, from: 'base-image' };
}
