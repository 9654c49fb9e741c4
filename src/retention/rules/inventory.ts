import { formatDuration } from '../../kit/format.ts';
import { code, text } from '../../kit/markdown.ts';
import { builtAt, type Image, identity, type TagScheme } from '../../model/image.ts';

/** An image in tables and lines. Cells contain tags, so they are escaped. */
export const IDENTITY_HEAD = ['Version', 'Commit', 'Image', 'Architecture'] as const;

export const identityCells = (image: Image, scheme: TagScheme): readonly string[] => [
  text(identity(image, scheme, 'version') ?? ''),
  code(identity(image, scheme, 'commit')?.slice(0, 7) ?? ''),
  code(image.id),
  image.architecture,
];

/** For the log: version first, where it is known. */
export const formatImage = (image: Image, scheme: TagScheme): string => {
  const version = identity(image, scheme, 'version');
  return version === undefined ? image.id : `${version} (${image.id})`;
};

/** Since its content was built; "?" where no date can be read. */
export function formatAge(image: Image, scheme: TagScheme, now: number): string {
  const at = builtAt(image, scheme);
  return at === undefined ? '?' : formatDuration(Math.max(0, (now - at) / 1000));
}

/** The upper bound of what images cost: their snapshots share blocks. */
export const sizeOf = (
  images: readonly { readonly sizeGiB: number }[],
  pricePerGib: number,
): { readonly gib: number; readonly perMonth: number } => {
  const gib = images.reduce((sum, { sizeGiB }) => sum + sizeGiB, 0);
  return { gib, perMonth: Math.round(gib * pricePerGib * 100) / 100 };
};

/**
 * For outputs: where account IDs are masked, the runner drops every output that contains one.
 * https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs ("Skip output ... since it may contain secret")
 */
export const shortAccounts = (text: string): string => text.replace(/\b\d{8}(\d{4})\b/g, '…$1');
