import { formatCount, formatList } from '../kit/format.ts';
import { servesCommit } from './commits-served.ts';
import {
  type Architecture,
  type IdentityKey,
  type Image,
  identity,
  isOfPullRequest,
  newestFirst,
  type TagScheme,
  tagValue,
  unavailableReason,
} from './image.ts';
import { isAmiId } from './patterns.ts';
import { verdictOf } from './verdict.ts';

/** How a user names an image. One grammar in all modes. */
export type Selector =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'latest' }
  | { readonly kind: 'previous' }
  | { readonly kind: 'commit' | 'ref' | 'version' | 'environment'; readonly value: string };

export const SELECTOR_GRAMMAR = 'ami-..., latest, previous, commit:<sha>, ref:<branch>, version:<text> or environment:<name>';

/** Undefined for any other text. */
export function parseSelector(text: string): Selector | undefined {
  if (isAmiId(text)) return { kind: 'id', id: text };
  if (text === 'latest' || text === 'previous') return { kind: text };
  const [, kind, value = ''] = /^(commit|ref|version|environment):(\S+)$/.exec(text) ?? [];
  if (kind === undefined) return undefined;
  if (kind === 'commit' && !/^[0-9a-f]{7,64}$/.test(value)) return undefined;
  return { kind: kind as 'commit' | 'ref' | 'version' | 'environment', value };
}

export const formatSelector = (selector: Selector): string => {
  if (selector.kind === 'id') return selector.id;
  return 'value' in selector ? `${selector.kind}:${selector.value}` : selector.kind;
};

/** What was picked with its reason, or why nothing was. */
export type Picked =
  | {
      readonly image: Image;
      readonly reason: string;
      readonly noFallback?: undefined;
      readonly oneOf?: undefined;
      readonly next?: undefined;
    }
  /** `noFallback`: something matches and is ambiguous or not usable, so nothing else is taken instead. `oneOf`: each of these matches. */
  | {
      readonly image: undefined;
      readonly reason: string;
      readonly next?: string;
      readonly noFallback?: true;
      readonly oneOf?: readonly string[];
    };

export interface Choice {
  readonly scheme: TagScheme;
  readonly family: string;
  /** Where the images are, for messages. */
  readonly region?: string;
  /** Only images of this one. Undefined: images of several are refused. */
  readonly architecture?: Architecture | undefined;
}

/** Picks by commit, ref, version or "latest" among the images of a family. A selector that matches several is refused. */
export function pickImage(images: readonly Image[], selector: Selector, choice: Choice): Picked {
  const usable = images
    .filter(image => unavailableReason(image) === undefined && isOfArchitecture(image, choice))
    .sort(newestFirst(choice.scheme));
  const own = usable.filter(image => matches(image, selector, choice.scheme));
  // A commit that changed nothing reuses an image that existed.
  const reuses = own.length === 0 && selector.kind === 'commit';
  const matching = reuses ? usable.filter(image => servesCommit(image, selector.value, choice.scheme)) : own;
  const where = `family "${choice.family}"${choice.architecture === undefined ? '' : ` (${choice.architecture})`}`;
  const [newest] = matching;
  if (newest === undefined) return { image: undefined, ...noMatch(selector, where, usable, choice) };
  const architectures = [...new Set(matching.map(image => image.architecture))].sort();
  if (architectures.length > 1) {
    return {
      image: undefined,
      noFallback: true,
      reason: `${formatSelector(selector)} matches images for ${architectures.join(' and ')}: set "architecture"`,
    };
  }
  // "latest" and "ref" mean the newest; a commit or a version means one image.
  if (matching.length > 1 && selector.kind !== 'latest' && selector.kind !== 'ref') {
    return {
      image: undefined,
      noFallback: true,
      reason: `${formatSelector(selector)} matches ${matching.length} images of ${where}: ${formatList(matching.map(({ id }) => id))}. Set "image" to one of these IDs`,
    };
  }
  const which = selector.kind === 'latest' || selector.kind === 'ref' ? `newest of ${matching.length}` : 'the only one';
  return { image: newest, reason: `${formatSelector(selector)}: ${which} in ${where}` };
}

/** Whether it means this image and no other, also after this one is deleted: a deletion may be interrupted and run again. */
export function selectsOnly(selector: Selector, image: Image, scheme: TagScheme): boolean {
  if (selector.kind === 'latest' || selector.kind === 'ref' || selector.kind === 'environment') return false;
  // Not one that the commit reuses, nor one that `last-known-good` found.
  return selector.kind !== 'commit' || matches(image, selector, scheme);
}

const isOfArchitecture = (image: Image, { architecture }: Choice) => architecture === undefined || image.architecture === architecture;

function matches(image: Image, selector: Selector, scheme: TagScheme): boolean {
  switch (selector.kind) {
    case 'latest':
      return !isOfPullRequest(image, scheme);
    case 'commit':
      return identity(image, scheme, 'commit')?.startsWith(selector.value) ?? false;
    case 'ref':
      return ['', 'refs/heads/', 'refs/tags/'].some(prefix => tagValue(`${prefix}${selector.value}`) === identity(image, scheme, 'ref'));
    case 'version':
      return identity(image, scheme, 'version') === tagValue(selector.value);
    default:
      return false;
  }
}

function noMatch(
  selector: Selector,
  where: string,
  usable: readonly Image[],
  { scheme, region }: Choice,
): { reason: string; next?: string } {
  if (usable.length === 0)
    return {
      reason: `${where} has no image ${region === undefined ? 'here' : `in ${region}`}`,
      next: 'Check "region" and the role. Mode "list" shows the families that exist there.',
    };
  const shown = usable.slice(0, 3).map(image => `${image.id} (commit ${identity(image, scheme, 'commit')?.slice(0, 7) ?? 'unknown'})`);
  const reason = `${formatSelector(selector)} matches no image of ${where}. It has ${usable.length}, newest first: ${shown.join(', ')}`;
  if (selector.kind === 'latest') return { reason: `${reason}, all of pull requests, which "latest" never means` };
  if (selector.kind !== 'commit') return { reason };
  const next =
    'The build of this commit has not finished, has failed or never ran. Wait for it, build the commit, or set "fallback: last-known-good".';
  return { reason, next };
}

/** The image of the newest commit that has a passed one. `commits` are in first-parent order, newest first. */
export function lastKnownGood(images: readonly Image[], commits: readonly string[], choice: Choice): Picked {
  for (const [back, commit] of commits.entries()) {
    const passed = images.filter(image => verdictOf(image, choice.scheme).result === 'passed');
    const picked = pickImage(passed, { kind: 'commit', value: commit }, choice);
    if (picked.image === undefined) continue;
    const how =
      back === 0 ? 'its own image has passed' : `${formatCount(back, 'first parent')} back, the newest commit with a passed image`;
    return { image: picked.image, reason: `commit ${commit.slice(0, 7)}: ${how}` };
  }
  return { image: undefined, reason: `none of the newest ${commits.length} commits has a passed image of family "${choice.family}"` };
}

/** The same image in another account or region: same family, commit and fingerprint, under any ID. */
export function findByIdentity(images: readonly Image[], original: Image, { scheme }: Choice): Picked {
  const itself = images.find(({ id }) => id === original.id);
  if (itself !== undefined) return { image: itself, reason: 'it is here too' };
  const named = `${original.id} (commit ${identity(original, scheme, 'commit')?.slice(0, 7) ?? 'unknown'})`;
  const same = (key: IdentityKey) => (image: Image) => identity(image, scheme, key) === identity(original, scheme, key);
  if (identity(original, scheme, 'commit') === undefined && identity(original, scheme, 'fingerprint') === undefined)
    return {
      image: undefined,
      noFallback: true,
      reason: `${named} has no identity tags there, so it cannot be found here: share it with its tags`,
    };
  const equal = images
    .filter(image => image.architecture === original.architecture && unavailableReason(image) === undefined)
    .filter(same('family'))
    .filter(same('commit'))
    .filter(same('fingerprint'));
  // Two builds of one commit, with nothing changed, differ in their time.
  const exact = equal.length > 1 ? equal.filter(same('created-at')) : equal;
  const [first, ...others] = exact;
  if (first !== undefined && others.length === 0) return { image: first, reason: `${first.id} has its identity here` };
  if (equal.length === 0)
    return {
      image: undefined,
      noFallback: true,
      reason: `no image here has the identity of ${named}: share it with this account and region`,
      next: SHARE,
    };
  const oneOf = (first === undefined ? equal : exact).map(({ id }) => id);
  const reason = `${oneOf.join(' and ')} have the identity of ${named} here: remove all but one with mode "delete"`;
  return { image: undefined, noFallback: true, reason, oneOf };
}

const SHARE =
  'Run mode "share" in the account of the image, with "accounts" or "regions" for this one, and with "target-role" for tags and verdict.';
