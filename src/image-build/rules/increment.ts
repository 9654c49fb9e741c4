import { formatMoment } from '../../kit/format.ts';
import { type Image, identity, newestFirst, type TagScheme, type Tags, tagKey } from '../../model/image.ts';
import { provenBad } from '../../model/veto.ts';

/** Incremental builds: where only the application has changed, an image is built on the newest of its family, until a full build is due. */

export interface IncrementPolicy {
  readonly scheme: TagScheme;
  /** Hash of everything that determines the image, except the files of the application. */
  readonly foundation: string;
  readonly fullEverySeconds: number;
  readonly now: number;
}

/** `on`: the image to build on; undefined for a full build. `tags`: how far the new image is from a full build. */
export interface Increment {
  readonly on: Image | undefined;
  readonly reason: string;
  readonly tags: Tags;
}

/** When the full build that this image goes back to was made; undefined where no tag says so. */
function fullAt(image: Pick<Image, 'tags'>, scheme: TagScheme): number | undefined {
  const at = Date.parse(identity(image, scheme, 'full-at') ?? '');
  return Number.isNaN(at) ? undefined : at;
}

const countOf = (image: Pick<Image, 'tags'>, scheme: TagScheme): number => Number(identity(image, scheme, 'increment') ?? 0);

export function planIncrement(family: readonly Image[], policy: IncrementPolicy): Increment {
  const { scheme, foundation, now } = policy;
  const tags = (full: number, count: number): Tags => ({
    [tagKey(scheme, 'foundation')]: foundation,
    [tagKey(scheme, 'full-at')]: new Date(full).toISOString(),
    [tagKey(scheme, 'increment')]: String(count),
  });
  const usable = family.filter(image => image.state === 'available' && provenBad(image, scheme) === undefined);
  const [newest] = usable.sort(newestFirst(scheme));
  const problem = newest === undefined ? 'the family has no usable image' : refusalOf(newest, policy);
  const since = newest === undefined ? undefined : fullAt(newest, scheme);
  if (newest === undefined || problem !== undefined || since === undefined)
    return { on: undefined, reason: `full build, because ${problem}`, tags: tags(now, 0) };
  const count = countOf(newest, scheme) + 1;
  return { on: newest, reason: `incremental build on ${newest.id}, ${distance(count, since, policy)}`, tags: tags(since, count) };
}

/** Why the next image cannot be built on this one. */
function refusalOf(image: Image, { scheme, foundation, fullEverySeconds, now }: IncrementPolicy): string | undefined {
  const since = fullAt(image, scheme);
  if (since === undefined || identity(image, scheme, 'foundation') === undefined) return `${image.id} was built without "app-paths"`;
  if (identity(image, scheme, 'foundation') !== foundation)
    return `more than "app-paths" has changed since ${image.id}, or the base image has`;
  if (identity(image, scheme, 'siblings') !== '1') return `the build of ${image.id} made several images`;
  return now - since >= fullEverySeconds * 1000
    ? `the last one, of ${formatMoment(new Date(since))}, is older than "full-every"`
    : undefined;
}

/** An increment whose full build is due; undefined for any other image. */
export const overdue = (image: Image, { scheme, fullEverySeconds, now }: Omit<IncrementPolicy, 'foundation'>): boolean =>
  countOf(image, scheme) > 0 && now - (fullAt(image, scheme) ?? 0) >= fullEverySeconds * 1000;

/** How far an image is from a full build; undefined where it is none of an incremental family. */
export function distanceOf(image: Pick<Image, 'tags'>, policy: Pick<IncrementPolicy, 'scheme' | 'fullEverySeconds'>): string | undefined {
  const since = fullAt(image, policy.scheme);
  const count = countOf(image, policy.scheme);
  return since === undefined ? undefined : count === 0 ? 'a full build' : distance(count, since, policy);
}

const distance = (count: number, since: number, { fullEverySeconds }: Pick<IncrementPolicy, 'fullEverySeconds'>): string =>
  `${count} ${count === 1 ? 'increment' : 'increments'} after the full build of ${formatMoment(new Date(since))}; the next push after ${formatMoment(new Date(since + fullEverySeconds * 1000))} makes a full build`;
