import { formatDuration } from '../../kit/format.ts';
import { code, text } from '../../kit/markdown.ts';
import { type Image, identity, type TagScheme } from '../../model/image.ts';

/** An image as a row of a table. Everything in it comes from tags, so everything is escaped. */
export const IDENTITY_HEAD = ['Image', 'Version', 'Commit', 'Architecture'] as const;

export const identityCells = (image: Image, scheme: TagScheme): readonly string[] => [
  code(image.id),
  text(identity(image, scheme, 'version') ?? ''),
  code(identity(image, scheme, 'commit')?.slice(0, 7) ?? ''),
  image.architecture,
];

export const ageSeconds = (image: Image, now: number): number => Math.max(0, (now - image.createdAt.getTime()) / 1000);

export const sayAge = (image: Image, now: number): string => formatDuration(ageSeconds(image, now));

/** What images cost while they lie there. Snapshots are incremental, so it is the most that they may cost, not the bill. */
export const sizeOf = (
  images: readonly { readonly sizeGiB: number }[],
  pricePerGib: number,
): { readonly gib: number; readonly perMonth: number } => {
  const gib = images.reduce((sum, { sizeGiB }) => sum + sizeGiB, 0);
  return { gib, perMonth: Math.round(gib * pricePerGib * 100) / 100 };
};

/**
 * For outputs: where account IDs are masked, the runner drops every output that holds one whole.
 * https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs ("Skip output ... since it may contain secret")
 */
export const shortAccounts = (said: string): string => said.replace(/\b\d{8}(\d{4})\b/g, '…$1');
