import { type Image, identity, type TagScheme, type Tags, tagKey } from './image.ts';
import { verdictOf } from './verdict.ts';

/**
 * An image that was rolled back in an environment must not come back with the next push. The veto is a tag on the image, a list of
 * environments: tags are per account, so it works for an image that another account shares with us, and it goes when the image goes.
 */
export const vetoedIn = (image: Pick<Image, 'tags'>, scheme: TagScheme): readonly string[] =>
  (identity(image, scheme, 'vetoed-in') ?? '').split(' ').filter(environment => environment !== '');

export const isVetoed = (image: Pick<Image, 'tags'>, scheme: TagScheme, environment: string): boolean =>
  vetoedIn(image, scheme).includes(environment);

export const vetoTags = (image: Pick<Image, 'tags'>, scheme: TagScheme, environment: string): Tags => ({
  [tagKey(scheme, 'vetoed-in')]: [...new Set([...vetoedIn(image, scheme), environment])].sort().join(' '),
});

/** What the tag must say without this environment; undefined: it must go. */
export function liftedTags(image: Pick<Image, 'tags'>, scheme: TagScheme, environment: string): Tags | undefined {
  const left = vetoedIn(image, scheme).filter(other => other !== environment);
  return left.length === 0 ? undefined : { [tagKey(scheme, 'vetoed-in')]: left.join(' ') };
}

/** What speaks against an image, whatever it was made from: nobody gets it a second time. */
export function provenBad(image: Image, scheme: TagScheme): string | undefined {
  if (verdictOf(image, scheme).result === 'failed') return 'failed its validation';
  const vetoes = vetoedIn(image, scheme);
  return vetoes.length > 0 ? `was rolled back in ${vetoes.join(', ')}` : undefined;
}
