import { formatDollars, formatDuration } from '../kit/format.ts';
import { code, columns, details, table, text } from '../kit/markdown.ts';
import type { Reporter } from '../ports/deps.ts';
import type { BuiltImage } from './adopt.ts';
import type { PackerLine } from './rules/packer-output.ts';
import { buildPhases } from './rules/phases.ts';

/** Dollars for a GiB and month of snapshots in most regions. https://aws.amazon.com/ebs/pricing/ */
const PER_GIB = 0.05;

export function tellImages(what: string, images: readonly BuiltImage[], reason: string, report: Pick<Reporter, 'summary'>): void {
  const differ = (of: (image: BuiltImage) => string) => new Set(images.map(of)).size > 1;
  const listed = columns(images, [
    ['Image', ({ id }) => code(id)],
    ['Region', ({ region }) => region],
    ['Architecture', ({ architecture }) => architecture],
    ['Source', ({ source }) => code(source), differ(({ source }) => source)],
    ['Name', ({ name }) => code(name), !images.every(({ name }) => what.endsWith(name))],
    ['Snapshots', ({ sizeGiB }) => `${sizeGiB} GiB, at most ${formatDollars(sizeGiB * PER_GIB)} a month`],
  ]);
  report.summary(`### ${text(what)}\n\n${text(sentence(reason))}${images.length === 0 ? '' : `\n\n${listed}`}`);
}

/** A reason stands within a sentence elsewhere. */
export const sentence = (reason: string): string => `${/^ami-/.test(reason) ? reason : reason.charAt(0).toUpperCase() + reason.slice(1)}.`;

/** Where Packer's time went; for a failed build too, which is when one wants to know. */
export function tellPhases(lines: readonly PackerLine[], report: Pick<Reporter, 'summary'>): void {
  const rows = buildPhases(lines).map(({ source, name, seconds }) => [code(source), name, formatDuration(seconds)]);
  if (rows.length > 0) report.summary(details("Where Packer's time went", table(['Source', 'Phase', 'Took'], rows)));
}
