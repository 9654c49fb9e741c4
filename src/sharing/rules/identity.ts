import {
  type IdentityKey,
  type Image,
  identity,
  newestFirst,
  type TagScheme,
  type Tags,
  tagKey,
  unavailableReason,
} from '../../model/image.ts';
import { inheritedVerdict, verdictOf } from '../../model/verdict.ts';

/** What makes an image elsewhere the same image: its tags and its verdict, and which copy is a copy of ours. */

// They say what one account does with the image, not what it is.
const OF_ONE_ACCOUNT: readonly IdentityKey[] = [
  'verdict',
  'expires-at',
  'build',
  'purpose',
  'vetoed-in',
  'keep',
  'marked-at',
  'copied-from',
];

/** The tags that go along, without the verdict: it is sealed to an image ID. */
export function tagsThatTravel(home: Pick<Image, 'tags'>, scheme: TagScheme): Tags {
  const stay = new Set(OF_ONE_ACCOUNT.map(key => tagKey(scheme, key)));
  return Object.fromEntries(Object.entries(home.tags).filter(([key]) => !key.startsWith('aws:') && !stay.has(key)));
}

/** On a copy from its first moment, so that a later run finds it. Not its family: only a finished copy is one of the family. */
export function earlyTags(home: Pick<Image, 'id' | 'tags'>, scheme: TagScheme): Tags {
  const { [tagKey(scheme, 'family')]: _, ...rest } = tagsThatTravel(home, scheme);
  return { ...rest, [tagKey(scheme, 'copied-from')]: home.id };
}

export type WantedTags = { readonly tags: Tags; readonly refusal?: undefined } | { readonly tags?: undefined; readonly refusal: string };

/** The tags that an image must have where others see it: the image itself in another account, or a copy of it. */
export function wantedTags(home: Image, there: Pick<Image, 'id' | 'tags'>, scheme: TagScheme): WantedTags {
  const inherited = there.id === home.id ? identity(home, scheme, 'verdict') : inheritedVerdict(there.id, home, scheme);
  const held = verdictOf(there, scheme);
  const ours = verdictOf(home, scheme);
  // Validated there since, by itself: that says more than what the source found.
  const own = held.verdict !== undefined && held.verdict.at.getTime() > (ours.verdict?.at.getTime() ?? 0);
  if (own && held.result === 'failed') return { refusal: `${there.id} failed its own validation there (${held.reason})` };
  const from = there.id === home.id ? {} : { [tagKey(scheme, 'copied-from')]: home.id };
  const verdict = own || inherited === undefined ? {} : { [tagKey(scheme, 'verdict')]: inherited };
  return { tags: { ...tagsThatTravel(home, scheme), ...from, ...verdict } };
}

/** What there is of an image in another place: a copy that is alive, and those that failed and hold its name. */
export interface Copies {
  readonly alive: Image | undefined;
  readonly dead: readonly Image[];
}

/** A copy names its source in a tag; one that Packer made of the same build has the identity. */
export function copiesOf(home: Image, found: readonly Image[], scheme: TagScheme): Copies {
  const others = [...new Map(found.map(image => [image.id, image])).values()].filter(({ id }) => id !== home.id);
  const ours = others.filter(image => identity(image, scheme, 'copied-from') === home.id);
  const alive = (images: readonly Image[]) => images.filter(image => unavailableReason(image) === undefined).sort(newestFirst)[0];
  return {
    alive: alive(ours) ?? alive(others.filter(image => isSameBuild(image, home, scheme))),
    dead: ours.filter(({ state }) => state === 'failed' || state === 'error'),
  };
}

/** Two builds of one commit are two images; the moment of the build tells them apart. */
function isSameBuild(a: Image, b: Image, scheme: TagScheme): boolean {
  if (identity(a, scheme, 'created-at') === undefined || a.architecture !== b.architecture) return false;
  const keys = ['family', 'commit', 'fingerprint', 'version', 'created-at', 'source'] as const;
  return keys.every(key => identity(a, scheme, key) === identity(b, scheme, key));
}
