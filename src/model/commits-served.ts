import { type Image, identity, type TagScheme, type Tags, tagKey } from './image.ts';

/** Commits that changed nothing and share this image, newest first, as many as fit into a tag. */
const served = (image: Pick<Image, 'tags'>, scheme: TagScheme): readonly string[] =>
  (identity(image, scheme, 'same-commits') ?? '').split(' ').filter(commit => commit !== '');

/** 19 commits of 12 digits and the spaces between them have 246 of 256 characters. */
const MOST_COMMITS = 19;
const DIGITS = 12;

export const servesCommit = (image: Pick<Image, 'tags'>, commit: string, scheme: TagScheme): boolean =>
  served(image, scheme).some(known => known.startsWith(commit) || commit.startsWith(known));

/** Often enough: prune removes no image that was reused within a day. */
const REFRESH_AFTER_MS = 3_600_000;

/** Tags of an image that an unchanged run reuses: prune keeps it, `commit:<sha>` finds it. None where both are true already. */
export function reusedTags(image: Pick<Image, 'tags' | 'createdAt'>, commit: string, scheme: TagScheme, now: number): Tags {
  const reusedAt = Date.parse(identity(image, scheme, 'reused-at') ?? '');
  const commitTags = servedCommitTags(image, commit, scheme);
  const isFresh = now - Math.max(image.createdAt?.getTime() ?? 0, Number.isNaN(reusedAt) ? 0 : reusedAt) < REFRESH_AFTER_MS;
  return isFresh && Object.keys(commitTags).length === 0
    ? {}
    : { ...commitTags, [tagKey(scheme, 'reused-at')]: new Date(now).toISOString() };
}

/** Tags by which `commit:<sha>` finds this image; none where it does already. */
export function servedCommitTags(image: Pick<Image, 'tags'>, commit: string, scheme: TagScheme): Tags {
  if (commit === '' || identity(image, scheme, 'commit') === commit || servesCommit(image, commit, scheme)) return {};
  return { [tagKey(scheme, 'same-commits')]: [commit.slice(0, DIGITS), ...served(image, scheme)].slice(0, MOST_COMMITS).join(' ') };
}

/** Commits between two images. */
export interface CommitRange {
  /** Of all; the list has the newest. */
  readonly total: number;
  /** `title`: the first line of the message. `author`: the login, else the name. */
  readonly newest: readonly { readonly title: string; readonly author: string }[];
}
