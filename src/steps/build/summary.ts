import type { PackerLine } from '../../domain/build/packer-output.ts';
import { buildPhases } from '../../domain/build/phases.ts';
import { sayDollars } from '../../domain/retention/inventory.ts';
import { sayDuration } from '../../kit/duration.ts';
import { code, details, table, text } from '../../kit/markdown.ts';
import type { Reporter } from '../../world.ts';
import type { BuiltImage } from './adopt.ts';

/** Dollars for a GiB and month of snapshots in most regions. https://aws.amazon.com/ebs/pricing/ */
const PER_GIB = 0.05;

export function tellImages(what: string, images: readonly BuiltImage[], because: string, report: Pick<Reporter, 'summary'>): void {
  const rows = images.map(({ id, region, architecture, source, name, sizeGiB }) => [
    ...[code(id), code(region), code(architecture), code(source), code(name)],
    `${sizeGiB} GiB, at most ${sayDollars(sizeGiB * PER_GIB)} a month`,
  ]);
  const listed = rows.length === 0 ? '' : `\n\n${table(['Image', 'Region', 'Architecture', 'Source', 'Name', 'Snapshots'], rows)}`;
  report.summary(`### ${text(what)}\n\n${text(sentence(because))}${listed}`);
}

/** A reason stands within a sentence elsewhere. */
export const sentence = (reason: string): string => `${/^ami-/.test(reason) ? reason : reason.charAt(0).toUpperCase() + reason.slice(1)}.`;

/** Where Packer's time went; for a failed build too, which is when one wants to know. */
export function tellPhases(lines: readonly PackerLine[], report: Pick<Reporter, 'summary'>): void {
  const rows = buildPhases(lines).map(({ source, name, seconds }) => [code(source), name, sayDuration(seconds)]);
  if (rows.length > 0) report.summary(details("Where Packer's time went", table(['Source', 'Phase', 'Took'], rows)));
}
