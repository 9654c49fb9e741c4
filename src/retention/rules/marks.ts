import { type Image, identity, type TagScheme } from '../../model/image.ts';

/** The tag `marked-at`: since when an image is known to be unused, and which of its state prune may undo. */
export interface Mark {
  /** Milliseconds since 1970. */
  readonly since: number;
  /** It was deprecated before prune marked it, and stays deprecated. */
  readonly deprecatedBefore: boolean;
  /** Prune disabled it as well. */
  readonly disabled: boolean;
}

const BEFORE = 'deprecated before';
const DISABLED = 'disabled';

/** Undefined: no mark, or a date that cannot be read, so the grace begins again. */
export function markOf(image: Pick<Image, 'tags'>, scheme: TagScheme): Mark | undefined {
  const [at = '', ...rest] = (identity(image, scheme, 'marked-at') ?? '').split(' ');
  const flags = rest.join(' ').split(', ');
  const since = Date.parse(at);
  return Number.isNaN(since) ? undefined : { since, deprecatedBefore: flags.includes(BEFORE), disabled: flags.includes(DISABLED) };
}

export const markValue = ({ since, deprecatedBefore, disabled }: Mark): string => {
  const flags = [...(deprecatedBefore ? [BEFORE] : []), ...(disabled ? [DISABLED] : [])].join(', ');
  return [new Date(since).toISOString(), flags].join(' ').trim();
};

/** Whether it can be launched, or could once its mark is removed. */
export const isLaunchable = (image: Image, scheme: TagScheme): boolean =>
  image.state === 'available' || (image.state === 'disabled' && markOf(image, scheme)?.disabled === true);
