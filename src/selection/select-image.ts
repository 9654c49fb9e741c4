import { RejectedError, UsageError } from '../kit/errors.ts';
import type { Image } from '../model/image.ts';
import { environmentPointer, previousImageId } from '../model/pointer.ts';
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
import { type Selection, schemeOf } from './settings.ts';

/** From a selector ("commit:1a2b3c4") to one image, in all modes. */

export interface Selected {
  readonly image: Image;
  readonly reason: string;
  readonly from: 'selector' | 'base-image';
}

type SelectionDeps = Deps<'images' | 'parameters', 'commits'>;
type Ports = Pick<RegionClients, 'images' | 'parameters'>;

/** One image, or `RejectedError`. `ifNone`: a further next step where no image matches. */
export async function selectImage(
  inputs: Selection,
  deps: SelectionDeps,
  { orElse, ifNone = [] }: { orElse?: readonly string[] | undefined; ifNone?: readonly string[] } = {},
): Promise<Selected> {
  const selector = parseSelector(inputs.image);
  if (selector === undefined) throw new UsageError([`"image" must be ${SELECTOR_GRAMMAR}, got "${inputs.image}"`]);
  const here = deps.inRegion({ region: inputs.region });
  const picked = checkArchitecture(await pick(selector, inputs, deps, here), inputs);
  if (picked.image !== undefined) return { image: picked.image, reason: picked.reason, from: 'selector' };
  if (orElse !== undefined && orElse.length > 0 && picked.noFallback !== true) return fromBase(orElse, picked.reason, inputs, deps);
  const list = `Mode "list" shows what family "${inputs.family}" has in ${inputs.region}.`;
  // In a terminal the role of the file is not assumed.
  const account = deps.run.event === 'terminal' ? undefined : /:iam::(\d{12}):/.exec(inputs.roleToAssume ?? '')?.[1];
  throw new RejectedError(`No image: ${picked.reason}${account === undefined ? '' : ` (account ${account})`}.`, {
    next: [picked.next ?? list, ...(picked.noFallback === true ? [] : ifNone)].join(' '),
  });
}

/** An ID or a pointer names one image, whatever its architecture is. */
function checkArchitecture(picked: Picked, { architecture }: Selection): Picked {
  const { image, reason } = picked;
  if (image === undefined || architecture === undefined || image.architecture === architecture) return picked;
  return {
    image: undefined,
    noFallback: true,
    reason: `${image.id} is for ${image.architecture}, and "architecture" is ${architecture} (${reason})`,
    next: 'If two architectures share one pointer, give each its own: "pointer: /ami/{family}/{environment}/{architecture}".',
  };
}

async function pick(selector: Selector, inputs: Selection, deps: SelectionDeps, here: Ports): Promise<Picked> {
  if (selector.kind === 'id') return byId(selector.id, here);
  if (selector.kind === 'environment') return fromPointer(selector.value, inputs, deps, here);
  if (selector.kind === 'previous') return previous(inputs, here);
  const scheme = schemeOf(inputs);
  const choice = { scheme, family: inputs.family, region: inputs.region, architecture: inputs.architecture };
  const images = await familyImages(inputs, here);
  if (inputs.fallback === 'none' || !(selector.kind === 'commit' || selector.kind === 'ref')) return pickImage(images, selector, choice);
  const repository = inputs.repository ?? deps.run.repository;
  const commits = await deps.commits.firstParents({ repository, ref: selector.value, atMost: inputs.walk, token: inputs.githubToken });
  return lastKnownGood(images, commits, choice);
}

/** Images of this account, and shared ones that have the tags here. */
const familyImages = ({ family, tagPrefix }: Pick<Selection, 'family' | 'tagPrefix'>, here: Pick<RegionClients, 'images'>) =>
  here.images.find({ tags: { [`${tagPrefix}family`]: family }, shared: true });

async function byId(id: string, here: Ports): Promise<Picked> {
  const image = await here.images.get(id);
  return image === undefined
    ? { image, noFallback: true, reason: `${id} does not exist in this account and region, or is not shared with this account` }
    : { image, reason: 'set by its ID' };
}

/** Reads the pointer where the environment is, and finds the same image here. */
async function fromPointer(environment: string, inputs: Selection, deps: SelectionDeps, here: Ports): Promise<Picked> {
  const there = deps.inRegion({ region: inputs.fromRegion ?? inputs.region, role: inputs.fromRole });
  const name = environmentPointer({ ...inputs, environment });
  const current = await there.parameters.read(name);
  if (current === undefined)
    return {
      image: undefined,
      reason: `parameter ${name} does not exist in ${there === here ? inputs.region : formatPlace(inputs)}`,
      next: `If environment "${environment}" is in another account or region, set "from-role" or "from-region". Otherwise promote an image to it first.`,
    };
  const original = await there.images.get(current.value);
  if (original === undefined)
    return {
      image: original,
      noFallback: true,
      reason: `parameter ${name} names ${current.value}, which does not exist ${there === here ? 'here' : 'there'}`,
    };
  if (there === here) return { image: original, reason: `${name} names it, version ${current.version}` };
  const found = await findEquivalentImage(original, inputs, here);
  return { ...found, reason: `${name} names ${original.id}, version ${current.version}, and ${found.reason}` };
}

const formatPlace = ({ region, fromRegion, fromRole }: Selection): string =>
  `${fromRegion ?? region}${fromRole === undefined ? '' : ` (read with ${fromRole})`}`;

export type EquivalentImageQuery = Pick<Selection, 'family' | 'tagPrefix' | 'commitTag'>;

/** The same image in another account or region, also one that is visible there without tags: the caller reports what it lacks. */
export async function findEquivalentImage(
  image: Image,
  inputs: EquivalentImageQuery,
  there: Pick<RegionClients, 'images'>,
): Promise<Picked> {
  const found = findByIdentity(await familyImages(inputs, there), image, { scheme: schemeOf(inputs), family: inputs.family });
  const itself = found.image === undefined ? await there.images.get(image.id) : undefined;
  return itself === undefined ? found : { image: itself, reason: 'it is here too' };
}

async function previous(inputs: Selection, here: Ports): Promise<Picked> {
  if (inputs.environment === undefined) throw new UsageError(['"environment" is required for "image: previous"']);
  const name = environmentPointer({ ...inputs, environment: inputs.environment });
  const id = previousImageId(await here.parameters.history(name));
  if (id === undefined)
    return { image: undefined, reason: `environment "${inputs.environment}" had no image before its current one (parameter ${name})` };
  const found = await byId(id, here);
  return found.image === undefined ? found : { image: found.image, reason: `the image of "${inputs.environment}" before its current one` };
}

async function fromBase(entries: readonly string[], reason: string, inputs: Selection, deps: SelectionDeps): Promise<Selected> {
  const base = await resolveBase({ ...inputs, baseImage: entries }, schemeOf(inputs), deps);
  const image = base === undefined ? undefined : await deps.inRegion({ region: inputs.region }).images.get(base.id);
  if (image === undefined) throw new RejectedError(`No image: ${reason}; and base image ${base?.id} does not exist in ${inputs.region}.`);
  return { image, reason: `${reason}; so the base image ${base?.reason}`, from: 'base-image' };
}
