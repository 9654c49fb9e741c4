import { UsageError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { type Image, identity, type TagScheme, unavailableReason } from '../model/image.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { brokenGates, type Gates } from './rules/gates.ts';

/** What is checked before a test instance is launched. */

/** Waits for a pending image. An image that can never become available fails at once, with AWS's reason. */
export function waitAvailable(image: Image, atMostSeconds: number, aws: Pick<RegionClients, 'images'>, deps: Deps<never>): Promise<Image> {
  const poll = async () => evaluateImage(await aws.images.get(image.id));
  return waitFor({ what: `Image ${image.id}`, everySeconds: 10, atMostSeconds, poll }, deps);
}

export function evaluateImage(image: Image | undefined): Poll<Image> {
  if (image === undefined) return { state: 'failed', reason: 'it does not exist any more' };
  const unavailable = unavailableReason(image);
  if (unavailable !== undefined) return { state: 'failed', reason: unavailable };
  return image.state === 'available' ? { state: 'done', value: image } : { state: 'waiting', note: image.state };
}

export async function checkGates(
  image: Image,
  gates: Gates,
  scheme: TagScheme,
  aws: Pick<RegionClients, 'images'>,
  now: number,
): Promise<readonly string[]> {
  const baseId = identity(image, scheme, 'base-ami');
  const base = gates.baseMaxAge === undefined || baseId === undefined ? undefined : await aws.images.get(baseId);
  return brokenGates(image, gates, base, now);
}

/** Only a warning: the image may hold credentials of its own. */
export async function warnOfProfile(
  profile: string | undefined,
  region: string,
  { commands }: Pick<RegionClients, 'commands'>,
  { report }: Deps<never>,
) {
  if (profile !== undefined || (await commands.managesHosts()) !== false) return;
  report.warn(
    `"instance-profile" is not set, and Default Host Management is off in ${region}: the SSM agent cannot register. Set a profile with AmazonSSMManagedInstanceCore.`,
  );
}

const DEFAULT_TYPES: Readonly<Partial<Record<Image['architecture'], string>>> = { x86_64: 't3.micro', arm64: 't4g.micro' };

/** The test instances, each with its alternative types: `t3.micro | t3a.micro` is one instance. A type that cannot run the image is a `UsageError`. */
export async function chooseTypes(
  types: readonly string[],
  image: Image,
  aws: Pick<RegionClients, 'instances'>,
): Promise<readonly (readonly string[])[]> {
  if (image.platform === 'windows')
    throw new UsageError([`Image ${image.id} is for Windows, and checks run on Linux only`], {
      unchanged: true,
      next: 'Remove validate, share and promote for this family: they support Linux only. build, list, resolve, prune and delete support Windows.',
    });
  const usual = DEFAULT_TYPES[image.architecture];
  if (types.length === 0 && usual === undefined)
    throw new UsageError([`"test-instance-types" is required: ${image.architecture} has no default`]);
  const legs = types.length === 0 ? [[usual as string]] : types.map(leg => leg.split('|').map(type => type.trim()));
  const all = [...new Set(legs.flat())];
  const problems = await Promise.all(all.map(async type => mismatch(type, image, await aws.instances.architectures(type))));
  const found = problems.filter(problem => problem !== undefined);
  if (found.length > 0)
    throw new UsageError(found, { unchanged: true, next: 'Remove "test-instance-types", or set a type that runs the image.' });
  return legs;
}

function mismatch(type: string, image: Image, architectures: readonly Image['architecture'][] | undefined): string | undefined {
  if (architectures === undefined) return `"test-instance-types": ${type} does not exist in this region`;
  if (architectures.includes(image.architecture)) return undefined;
  return `"test-instance-types": ${type} runs ${architectures.join(' and ')}, and image ${image.id} is ${image.architecture}`;
}
