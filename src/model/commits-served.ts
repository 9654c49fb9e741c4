import { type Image, identity, type TagScheme, type Tags, tagKey } from './image.ts';

/** Commits that changed nothing and so have this image too, newest first, as far as they fit into a tag. */
const served = (image: Pick<Image, 'tags'>, scheme: TagScheme): readonly string[] =>
  (identity(image, scheme, 'same-commits') ?? '').split(' ').filter(commit => commit !== '');

/** Nineteen of twelve digits and the spaces between them are 246 of 256 characters. */
const MOST_COMMITS = 19;
const DIGITS = 12;

export const servesCommit = (image: Pick<Image, 'tags'>, commit: string, scheme: TagScheme): boolean =>
  served(image, scheme).some(known => known.startsWith(commit) || commit.startsWith(known));

/** Often enough: prune removes nothing that was taken within a day. */
const TELL_AGAIN_AFTER_MS = 3_600_000;

/** Tags of an image that a push takes again: prune sees that it is wanted, `commit:<sha>` finds it. None where both is so already. */
export function reusedTags(image: Pick<Image, 'tags' | 'createdAt'>, commit: string, scheme: TagScheme, now: number): Tags {
  const told = Date.parse(identity(image, scheme, 'reused-at') ?? '');
  const serve = servedCommitTags(image, commit, scheme);
  const isFresh = now - Math.max(image.createdAt.getTime(), Number.isNaN(told) ? 0 : told) < TELL_AGAIN_AFTER_MS;
  return isFresh && Object.keys(serve).length === 0 ? {} : { ...serve, [tagKey(scheme, 'reused-at')]: new Date(now).toISOString() };
}

/** Tags by which `commit:<sha>` finds this image from now on; none where it does already. */
export function servedCommitTags(image: Pick<Image, 'tags'>, commit: string, scheme: TagScheme): Tags {
  if (commit === '' || identity(image, scheme, 'commit') === commit || servesCommit(image, commit, scheme)) return {};
  return { [tagKey(scheme, 'same-commits')]: [commit.slice(0, DIGITS), ...served(image, scheme)].slice(0, MOST_COMMITS).join(' ') };
}
