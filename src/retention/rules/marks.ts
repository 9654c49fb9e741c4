import { type Image, identity, type TagScheme } from '../../model/image.ts';

/** The tag `marked-at`: since when an image is known to be unused, and what of its state is ours to take back. */
export interface Mark {
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Somebody had deprecated it before us, and keeps his deprecation. */
  readonly deprecatedBefore: boolean;
  /** We disabled it as well. */
  readonly disabled: boolean;
}

const BEFORE = 'deprecated before';
const DISABLED = 'disabled';

/** A date that cannot be read is no mark: the grace begins again. */
export function markOf(image: Pick<Image, 'tags'>, scheme: TagScheme): Mark | undefined {
  const [at = '', ...rest] = (identity(image, scheme, 'marked-at') ?? '').split(' ');
  const said = rest.join(' ');
  const since = Date.parse(at);
  return Number.isNaN(since)
    ? undefined
    : { since, deprecatedBefore: said.includes(BEFORE), disabled: said.split(', ').includes(DISABLED) };
}

export const markValue = ({ since, deprecatedBefore, disabled }: Mark): string => {
  const said = [...(deprecatedBefore ? [BEFORE] : []), ...(disabled ? [DISABLED] : [])].join(', ');
  return [new Date(since).toISOString(), said].join(' ').trim();
};

/** Whether it boots, or would as soon as its mark is taken back. */
export const boots = (image: Image, scheme: TagScheme): boolean =>
  image.state === 'available' || (image.state === 'disabled' && markOf(image, scheme)?.disabled === true);
