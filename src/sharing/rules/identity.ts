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

/** What makes an image elsewhere the same image: its tags, its verdict, and which image is a copy. */

// About the use in one account, not about the image.
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

/** Tags that a copy gets, without the verdict: it is sealed to an image ID. */
function tagsThatTravel(home: Pick<Image, 'tags'>, scheme: TagScheme): Tags {
  const stay = new Set(OF_ONE_ACCOUNT.map(key => tagKey(scheme, key)));
  return Object.fromEntries(Object.entries(home.tags).filter(([key]) => !key.startsWith('aws:') && !stay.has(key)));
}

/** Tags of a copy from its start, so that a later run finds it. Without the family: a pending copy does not belong to it. */
export function earlyTags(home: Pick<Image, 'id' | 'tags'>, scheme: TagScheme): Tags {
  const { [tagKey(scheme, 'family')]: _, ...rest } = tagsThatTravel(home, scheme);
  return { ...rest, [tagKey(scheme, 'copied-from')]: home.id };
}

export type WantedTags = { readonly tags: Tags; readonly refusal?: undefined } | { readonly tags?: undefined; readonly refusal: string };

export interface Signing {
  readonly scheme: TagScheme;
  readonly verdictKey?: string | undefined;
}

/** In place of a signature that is still to be made: no valid verdict. */
export const UNSIGNED = ' mac:';

/** The tags that the image in another account, or a copy of it, must have. */
export function wantedTags(home: Image, there: Pick<Image, 'id' | 'tags'>, { scheme, verdictKey }: Signing): WantedTags {
  const inherited = there.id === home.id ? identity(home, scheme, 'verdict') : inheritedFor(there, home, scheme, verdictKey);
  const held = verdictOf(there, scheme);
  const ours = verdictOf(home, scheme);
  // A newer validation there counts more than the inherited verdict.
  const own = held.verdict !== undefined && held.verdict.at.getTime() > (ours.verdict?.at.getTime() ?? 0);
  if (own && held.result === 'failed') return { refusal: `${there.id} failed validation there (${held.reason})` };
  const from = there.id === home.id ? {} : { [tagKey(scheme, 'copied-from')]: home.id };
  const verdict = own || inherited === undefined ? {} : { [tagKey(scheme, 'verdict')]: inherited };
  return { tags: { ...tagsThatTravel(home, scheme), ...from, ...verdict } };
}

/** A verdict that is there with a signature is kept: whether it is the right one, only the key tells, at the promotion. */
function inheritedFor(copy: Pick<Image, 'id' | 'tags'>, home: Image, scheme: TagScheme, key: string | undefined): string | undefined {
  const inherited = inheritedVerdict(copy.id, home, scheme);
  if (key === undefined || inherited === undefined) return inherited;
  const held = identity(copy, scheme, 'verdict');
  return held?.startsWith(`${inherited}${UNSIGNED}`) ? held : `${inherited}${UNSIGNED}`;
}

/** Copies of an image in another account or region: the usable one, and failed ones that hold the name. */
export interface Copies {
  readonly alive: Image | undefined;
  readonly dead: readonly Image[];
}

/** A copy names its source in a tag. One that Packer made in the same build has the same identity. */
export function copiesOf(home: Image, found: readonly Image[], scheme: TagScheme): Copies {
  const others = [...new Map(found.map(image => [image.id, image])).values()].filter(({ id }) => id !== home.id);
  const ours = others.filter(image => identity(image, scheme, 'copied-from') === home.id);
  const alive = (images: readonly Image[]) => images.filter(image => unavailableReason(image) === undefined).sort(newestFirst(scheme))[0];
  return {
    alive: alive(ours) ?? alive(others.filter(image => isSameBuild(image, home, scheme))),
    dead: ours.filter(({ state }) => state === 'failed' || state === 'error'),
  };
}

/** Two builds of one commit are two images; `created-at` differs. */
function isSameBuild(a: Image, b: Image, scheme: TagScheme): boolean {
  if (identity(a, scheme, 'created-at') === undefined || a.architecture !== b.architecture) return false;
  const keys = ['family', 'commit', 'fingerprint', 'version', 'created-at', 'source'] as const;
  return keys.every(key => identity(a, scheme, key) === identity(b, scheme, key));
}
