import { type Image, identity, type TagScheme, type Tags, tagKey } from './image.ts';
import { type PointerTrail, rollbackOf } from './pointer.ts';
import { verdictOf } from './verdict.ts';

/**
 * An image that was rolled back in an environment must not be promoted again by the next push. The veto is a tag of the image, a list of
 * environments. Tags are per account, so it works for an image that another account shares, and it ends with the image.
 */
const vetoedIn = (image: Pick<Image, 'tags'>, scheme: TagScheme): readonly string[] =>
  (identity(image, scheme, 'vetoed-in') ?? '').split(' ').filter(environment => environment !== '');

export const isVetoed = (image: Pick<Image, 'tags'>, scheme: TagScheme, environment: string): boolean =>
  vetoedIn(image, scheme).includes(environment);

export const vetoTags = (image: Pick<Image, 'tags'>, scheme: TagScheme, environment: string): Tags => ({
  [tagKey(scheme, 'vetoed-in')]: [...new Set([...vetoedIn(image, scheme), environment])].sort().join(' '),
});

/** The tag without this environment; undefined: remove it. */
export function liftedTags(image: Pick<Image, 'tags'>, scheme: TagScheme, environment: string): Tags | undefined {
  const remaining = vetoedIn(image, scheme).filter(other => other !== environment);
  return remaining.length === 0 ? undefined : { [tagKey(scheme, 'vetoed-in')]: remaining.join(' ') };
}

/** Why an image is refused in an environment. `versions` of its pointer may show who rolled it back. */
export function vetoReason(imageId: string, environment: string, versions: PointerTrail): string {
  const by = rollbackOf(imageId, versions);
  return `${imageId} was rolled back in ${environment} and is vetoed there${by === '' ? '' : ` (${by})`}`;
}

/** Why an image must not be reused, whatever it was made from; undefined where nothing is known against it. */
export function provenBad(image: Image, scheme: TagScheme): string | undefined {
  if (verdictOf(image, scheme).result === 'failed') return 'failed its validation';
  const vetoes = vetoedIn(image, scheme);
  return vetoes.length > 0 ? `was rolled back in ${vetoes.join(', ')}` : undefined;
}
