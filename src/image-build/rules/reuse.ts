import { type Image, identity, isOfPullRequest, newestFirst, type TagScheme } from '../../model/image.ts';
import { provenBad } from '../../model/veto.ts';
import { overdue } from './increment.ts';

/** Whether an existing image is what a build would make. */
export interface ReusePolicy {
  readonly scheme: TagScheme;
  readonly fingerprint: string;
  readonly regions: readonly string[];
  /** Older images are built again although nothing has changed. */
  readonly maxAgeSeconds: number | undefined;
  /** Also an increment whose last full build is older than this. */
  readonly fullEverySeconds?: number;
  readonly now: number;
}

export interface Found {
  readonly region: string;
  readonly image: Image;
}

export type Reuse =
  | { readonly images: readonly Found[]; readonly reason: string }
  | { readonly images: undefined; readonly reason: string };

/** All images of one earlier build, in every region, or the reason for a new one. */
export function reusable(family: readonly Found[], policy: ReusePolicy): Reuse {
  const { scheme } = policy;
  const alike = family.filter(({ image }) => identity(image, scheme, 'fingerprint') === policy.fingerprint);
  const same = alike.filter(found => !alike.some(other => isCopyOf(found, other)));
  if (same.length === 0) return { images: undefined, reason: 'no image has this fingerprint' };
  const builds = new Map<string, Found[]>();
  for (const found of same) {
    const key = identity(found.image, scheme, 'created-at') ?? found.image.id;
    builds.set(key, [...(builds.get(key) ?? []), found]);
  }
  const candidates = [...builds.values()]
    .map(build => ({ build, refusal: refusalOf(build, policy) }))
    .sort((a, b) => newestFirst(policy.scheme)(newestOf(a.build), newestOf(b.build)));
  const good = candidates.find(({ refusal }) => refusal === undefined);
  if (good === undefined) return { images: undefined, reason: candidates[0]?.refusal ?? '' };
  return { images: good.build, reason: `${good.build.map(({ image }) => image.id).join(', ')} has the same fingerprint` };
}

/** Only a pull request reuses what a pull request built: such an image is never the latest, and is removed in a day. */
export const mayReuse =
  (ref: string, scheme: TagScheme) =>
  ({ image }: Found): boolean =>
    ref.startsWith('refs/pull/') || !isOfPullRequest(image, scheme);

/** A copy in the same region, with all tags, is not another image of the build. */
const isCopyOf = (copy: Found, source: Found): boolean => copy.region === source.region && copy.image.sourceImageId === source.image.id;

const newestOf = (build: readonly Found[]): Image => build.map(({ image }) => image).sort(newestFirst())[0] as Image;

function refusalOf(build: readonly Found[], policy: ReusePolicy): string | undefined {
  const { scheme, regions, maxAgeSeconds, fullEverySeconds = Number.POSITIVE_INFINITY, now } = policy;
  for (const { image } of build) {
    if (image.state !== 'available') return `${image.id} has the same fingerprint and is ${image.state}`;
    const proven = provenBad(image, scheme);
    if (proven !== undefined) return `${image.id} has the same fingerprint and ${proven}`;
    const age = (now - (image.createdAt?.getTime() ?? Number.NEGATIVE_INFINITY)) / 1000;
    if (maxAgeSeconds !== undefined && age > maxAgeSeconds)
      return `${image.id} has the same fingerprint and is older than "rebuild" allows`;
    if (overdue(image, { scheme, fullEverySeconds, now }))
      return `${image.id} has the same fingerprint, and its last full build is older than "full-every"`;
  }
  for (const region of regions) {
    const here = build.filter(found => found.region === region);
    const expected = Number(identity((here[0] ?? build[0])?.image as Image, scheme, 'siblings') ?? 1);
    if (here.length < expected) return `the build with the same fingerprint has ${here.length} of ${expected} images in ${region}`;
  }
  return undefined;
}
