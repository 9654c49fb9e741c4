import { servesCommit } from './commits-served.ts';
import { type Architecture, type IdentityKey, type Image, identity, newestFirst, type TagScheme, unavailableReason } from './image.ts';
import { isAmiId } from './patterns.ts';
import { verdictOf } from './verdict.ts';

/** How a user says which image. One small grammar, wherever an image is asked for. */
export type Selector =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'latest' }
  | { readonly kind: 'previous' }
  | { readonly kind: 'commit' | 'ref' | 'version' | 'environment'; readonly value: string };

export const SELECTOR_GRAMMAR = 'ami-..., latest, previous, commit:<sha>, ref:<branch>, version:<text> or environment:<name>';

/** Undefined where the text is no selector. */
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

/** What was picked and why, or why nothing was. */
export type Picked =
  | { readonly image: Image; readonly reason: string; readonly noFallback?: undefined; readonly oneOf?: undefined }
  /** `noFallback`: there is something, and it is not clear or not usable, so nothing else may be taken in its place. `oneOf`: each of these would do. */
  | { readonly image: undefined; readonly reason: string; readonly noFallback?: true; readonly oneOf?: readonly string[] };

export interface Choice {
  readonly scheme: TagScheme;
  readonly family: string;
  /** Only images of this one; undefined: there must be no choice between several. */
  readonly architecture?: Architecture | undefined;
}

/** Picks by commit, ref, version or "latest" among the images of a family. What fits several is refused, not guessed. */
export function pickImage(images: readonly Image[], selector: Selector, choice: Choice): Picked {
  const usable = images.filter(image => unavailableReason(image) === undefined && fitsArchitecture(image, choice)).sort(newestFirst);
  const own = usable.filter(image => fits(image, selector, choice.scheme));
  // A commit that changed nothing has no image of its own: it has the one that was there already.
  const borrows = own.length === 0 && selector.kind === 'commit';
  const fitting = borrows ? usable.filter(image => servesCommit(image, selector.value, choice.scheme)) : own;
  const where = `family "${choice.family}"${choice.architecture === undefined ? '' : ` (${choice.architecture})`}`;
  const [newest] = fitting;
  if (newest === undefined)
    return { image: undefined, reason: `${formatSelector(selector)} fits no image of ${where}${whatThereIs(usable, choice.scheme)}` };
  const architectures = [...new Set(fitting.map(image => image.architecture))].sort();
  if (architectures.length > 1) {
    return {
      image: undefined,
      noFallback: true,
      reason: `${formatSelector(selector)} fits images for ${architectures.join(' and ')}: say which with "architecture"`,
    };
  }
  // "latest" and "ref" mean the newest; a commit or a version means one image.
  if (fitting.length > 1 && selector.kind !== 'latest' && selector.kind !== 'ref') {
    return {
      image: undefined,
      noFallback: true,
      reason: `${formatSelector(selector)} fits ${fitting.length} images of ${where}: ${fitting.map(({ id }) => id).join(', ')}. Name one by its ID`,
    };
  }
  const said = selector.kind === 'latest' || selector.kind === 'ref' ? `newest of ${fitting.length}` : 'the only one';
  return { image: newest, reason: `${formatSelector(selector)}: ${said} in ${where}` };
}

/** Whether it means this image and no other, also when this one is gone: whoever removes by it may be killed, and run again. */
export function selectsOnly(selector: Selector, image: Image, scheme: TagScheme): boolean {
  if (selector.kind === 'latest' || selector.kind === 'ref' || selector.kind === 'environment') return false;
  // Not one that it borrows, nor one that was walked back to.
  return selector.kind !== 'commit' || fits(image, selector, scheme);
}

const fitsArchitecture = (image: Image, { architecture }: Choice) => architecture === undefined || image.architecture === architecture;

function fits(image: Image, selector: Selector, scheme: TagScheme): boolean {
  switch (selector.kind) {
    case 'latest':
      return true;
    case 'commit':
      return identity(image, scheme, 'commit')?.startsWith(selector.value) ?? false;
    case 'ref':
      return [selector.value, `refs/heads/${selector.value}`, `refs/tags/${selector.value}`].includes(identity(image, scheme, 'ref') ?? '');
    case 'version':
      return identity(image, scheme, 'version') === selector.value;
    default:
      return false;
  }
}

function whatThereIs(usable: readonly Image[], scheme: TagScheme): string {
  if (usable.length === 0) return ', which has none here';
  const shown = usable.slice(0, 3).map(image => `${image.id} (commit ${identity(image, scheme, 'commit')?.slice(0, 7) ?? 'unknown'})`);
  return `. It has ${usable.length}, newest first: ${shown.join(', ')}`;
}

/**
 * The newest commit that has a passed image, out of commits in first-parent order, newest first. Says which one was taken,
 * so that "not the newest" is never silent.
 */
export function lastKnownGood(images: readonly Image[], commits: readonly string[], choice: Choice): Picked {
  for (const [back, commit] of commits.entries()) {
    const passed = images.filter(image => verdictOf(image, choice.scheme).result === 'passed');
    const picked = pickImage(passed, { kind: 'commit', value: commit }, choice);
    if (picked.image === undefined) continue;
    const how = back === 0 ? 'its own image has passed' : `${back} first parents back, the newest commit with a passed image`;
    return { image: picked.image, reason: `commit ${commit.slice(0, 7)}: ${how}` };
  }
  return { image: undefined, reason: `none of the newest ${commits.length} commits has a passed image of family "${choice.family}"` };
}

/** The image that is the same one elsewhere: same family, commit and fingerprint, whatever its ID. */
export function findByIdentity(images: readonly Image[], wanted: Image, { scheme }: Choice): Picked {
  const itself = images.find(({ id }) => id === wanted.id);
  if (itself !== undefined) return { image: itself, reason: 'it is here too' };
  const said = `${wanted.id} (commit ${identity(wanted, scheme, 'commit')?.slice(0, 7) ?? 'unknown'})`;
  const same = (key: IdentityKey) => (image: Image) => identity(image, scheme, key) === identity(wanted, scheme, key);
  if (identity(wanted, scheme, 'commit') === undefined && identity(wanted, scheme, 'fingerprint') === undefined)
    return {
      image: undefined,
      noFallback: true,
      reason: `${said} carries no identity there by which it could be found here: share it with its tags`,
    };
  const twins = images
    .filter(image => image.architecture === wanted.architecture && unavailableReason(image) === undefined)
    .filter(same('family'))
    .filter(same('commit'))
    .filter(same('fingerprint'));
  // What was built twice from one commit, with nothing changed, differs in the moment of the build.
  const exact = twins.length > 1 ? twins.filter(same('created-at')) : twins;
  const [twin, ...others] = exact;
  if (twin !== undefined && others.length === 0) return { image: twin, reason: `${twin.id} has its identity here` };
  if (twins.length === 0)
    return {
      image: undefined,
      noFallback: true,
      reason: `no image here has the identity of ${said}: share it with this account and region`,
    };
  const oneOf = (twin === undefined ? twins : exact).map(({ id }) => id);
  const reason = `${oneOf.join(' and ')} have the identity of ${said} here: leave one of them, mode "delete" removes the others`;
  return { image: undefined, noFallback: true, reason, oneOf };
}
