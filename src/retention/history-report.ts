import { formatMoment } from '../kit/format.ts';
import { columns, nonBreaking, text } from '../kit/markdown.ts';
import { type Image, identity, type TagScheme } from '../model/image.ts';
import type { Promotion } from './rules/history.ts';

/** Who promoted what when, as text and Markdown. */

export type ListedPromotion = Promotion & { readonly region: string };

type Listed = { readonly image: Image };

const RUN = /^https:\/\/[\w.-]+(\/[\w.-]+){2}\/actions\/runs\/\d+$/;

export const runCell = (run: string | undefined) => (run === undefined ? '' : RUN.test(run) ? `[run](${run})` : text(run));

export function versionOf(id: string | undefined, images: readonly Listed[], scheme: TagScheme): string {
  const image = images.find(listed => listed.image.id === id)?.image;
  return text((image && identity(image, scheme, 'version')) ?? id ?? '');
}

export const historyOutput = ({ environment, region, imageId, at, operation, run, by }: ListedPromotion) => ({
  ...{ environment, region, 'ami-id': imageId, at: at.toISOString(), operation, run, by },
});

export const historyTable = (
  history: readonly ListedPromotion[],
  images: readonly Listed[],
  { scheme, regions }: { readonly scheme: TagScheme; readonly regions: readonly string[] },
): string =>
  columns(history, [
    ['Environment', ({ environment }) => text(environment)],
    ['Region', ({ region }) => region, regions.length > 1],
    ['When', ({ at }) => nonBreaking(formatMoment(at))],
    ['Image', ({ imageId }) => versionOf(imageId, images, scheme)],
    ['How', ({ operation = 'another process' }) => operation],
    ['Run', ({ run }) => runCell(run)],
    ['By', ({ by = '' }) => text(by)],
  ]);
