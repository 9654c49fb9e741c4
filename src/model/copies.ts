import { type Image, identity, newestFirst, type TagScheme, unavailableReason } from './image.ts';

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
