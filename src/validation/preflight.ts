import { UsageError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { type Image, identity, type TagScheme, unavailableReason } from '../model/image.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { brokenGates, GATES, type Gate } from './rules/gates.ts';

/** What can be known about an image and the machines it is to run on, before one is launched. */

/** An image that is still being made is waited for; one that will never be available fails at once, with AWS's reason. */
export function waitAvailable(image: Image, atMostSeconds: number, aws: Pick<RegionClients, 'images'>, deps: Deps<never>): Promise<Image> {
  const poll = async () => evaluateImage(await aws.images.get(image.id));
  return waitFor({ what: `Image ${image.id}`, everySeconds: 10, atMostSeconds, poll }, deps);
}

export function evaluateImage(image: Image | undefined): Poll<Image> {
  if (image === undefined) return { state: 'failed', reason: 'it does not exist any more' };
  const dead = unavailableReason(image);
  if (dead !== undefined) return { state: 'failed', reason: dead };
  return image.state === 'available' ? { state: 'done', value: image } : { state: 'waiting', note: image.state };
}

export { GATES };
export const GATE = new RegExp(`^(${GATES.join('|')})$`);

interface Wishes {
  readonly require: readonly string[];
  readonly baseMaxAge?: number | undefined;
}

export async function checkGates(
  image: Image,
  wishes: Wishes,
  scheme: TagScheme,
  aws: Pick<RegionClients, 'images'>,
  now: number,
): Promise<readonly string[]> {
  const gates = { require: wishes.require as readonly Gate[], baseMaxAgeSeconds: wishes.baseMaxAge };
  const baseId = identity(image, scheme, 'base-ami');
  const base = gates.baseMaxAgeSeconds === undefined || baseId === undefined ? undefined : await aws.images.get(baseId);
  return brokenGates(image, gates, base, now);
}

/** No more than a warning: the image may hold credentials of its own. */
export async function warnOfProfile(
  profile: string | undefined,
  region: string,
  { commands }: Pick<RegionClients, 'commands'>,
  { report }: Deps<never>,
) {
  if (profile !== undefined || (await commands.managesHosts()) !== false) return;
  report.warn(
    `No "instance-profile" is set, and Default Host Management is not on in ${region}: the SSM agent will hardly come. Set a profile with AmazonSSMManagedInstanceCore.`,
  );
}

const DEFAULT_TYPES: Readonly<Partial<Record<Image['architecture'], string>>> = { x86_64: 't3.micro', arm64: 't4g.micro' };

/**
 * The machines of the matrix, each with the types that may stand in for it: `t3.micro | t3a.micro` is one machine. A type that cannot run the image is refused
 * here, with nothing launched.
 */
export async function chooseTypes(
  wanted: readonly string[],
  image: Image,
  aws: Pick<RegionClients, 'instances'>,
): Promise<readonly (readonly string[])[]> {
  if (image.platform === 'windows')
    throw new UsageError([`"image" is ${image.id}, which is for Windows: checks are shell, and run on Linux only`], {
      leftovers: ['nothing was launched'],
      next: 'Leave validate, share and promote out for this family: they take Linux images only, for now. build, list, resolve, prune and delete take images for Windows, too.',
    });
  const usual = DEFAULT_TYPES[image.architecture];
  if (wanted.length === 0 && usual === undefined)
    throw new UsageError([`"test-instance-types" is missing: there is no usual one for ${image.architecture}`]);
  const legs = wanted.length === 0 ? [[usual as string]] : wanted.map(leg => leg.split('|').map(type => type.trim()));
  const types = [...new Set(legs.flat())];
  const problems = await Promise.all(types.map(async type => mismatch(type, image, await aws.instances.architectures(type))));
  const found = problems.filter(problem => problem !== undefined);
  if (found.length > 0)
    throw new UsageError(found, { next: 'Nothing was launched. Leave "test-instance-types" out, or name one that fits.' });
  return legs;
}

function mismatch(type: string, image: Image, architectures: readonly Image['architecture'][] | undefined): string | undefined {
  if (architectures === undefined) return `"test-instance-types": there is no ${type} in this region`;
  if (architectures.includes(image.architecture)) return undefined;
  return `"test-instance-types": ${type} runs ${architectures.join(' and ')}, and image ${image.id} is ${image.architecture}`;
}
