import { type IdentityKey, type Image, identity, type TagScheme, type Tags, tagKey } from '../../model/image.ts';
import { inheritedVerdict, verdictOf } from '../../model/verdict.ts';

/** What makes an image elsewhere the same image: its tags and its verdict. */

// About the use in one account, not about the image.
const OF_ONE_ACCOUNT: readonly IdentityKey[] = [
  'verdict',
  'expires-at',
  'build',
  'purpose',
  'for-family',
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

/** Until when an unfinished copy waits for a verdict. A sweep then removes it as it does a leftover of a build. */
const UNFINISHED_MS = 86_400_000;

/** Tags of a copy from its start, so that a later run finds it. Without the family: an unfinished copy does not belong to it. */
export function earlyTags(home: Pick<Image, 'id' | 'tags'>, scheme: TagScheme, now: number): Tags {
  const { [tagKey(scheme, 'family')]: family = '', ...rest } = tagsThatTravel(home, scheme);
  return {
    ...rest,
    [tagKey(scheme, 'copied-from')]: home.id,
    [tagKey(scheme, 'for-family')]: family,
    [tagKey(scheme, 'purpose')]: 'build',
    [tagKey(scheme, 'expires-at')]: new Date(now + UNFINISHED_MS).toISOString(),
  };
}

/** Tags that mark a copy as unfinished; removed when it has joined the family. */
export const unfinishedKeys = (scheme: TagScheme): readonly string[] =>
  (['for-family', 'purpose', 'expires-at'] as const).map(key => tagKey(scheme, key));

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
