import { type Image, identity, type TagScheme } from './image.ts';

/** What lies between two images in their repository. Only what looks like a commit and a repository becomes a link: tags may be of others. */

type Built = Pick<Image, 'tags'>;

const COMMIT = /^[0-9a-f]{7,64}$/;
const REPOSITORY = /^[\w.-]+\/[\w.-]+$/;

/** The commits of two images; undefined where they are not of one repository, or are the same. */
export function comparable(from: Built | undefined, to: Built, scheme: TagScheme) {
  const [repository, other] = [to, from].map(image => image && identity(image, scheme, 'repository'));
  const [head, base] = [to, from].map(image => image && identity(image, scheme, 'commit'));
  if (repository === undefined || repository !== other || !REPOSITORY.test(repository)) return undefined;
  if (head === undefined || base === undefined || head === base || !COMMIT.test(head) || !COMMIT.test(base)) return undefined;
  return { repository, base, head };
}

/** The commits between two images on GitHub. `runUrl` tells the server. */
export function compareLink(from: Built | undefined, to: Built, scheme: TagScheme, runUrl: string): string | undefined {
  const range = comparable(from, to, scheme);
  if (range === undefined) return undefined;
  const { repository, base, head } = range;
  return `[compare ${base.slice(0, 7)} with ${head.slice(0, 7)}](${serverOf(runUrl)}/${repository}/compare/${base}...${head})`;
}

const serverOf = (runUrl: string): string => /^https:\/\/[^/\s]+/.exec(runUrl)?.[0] ?? 'https://github.com';
