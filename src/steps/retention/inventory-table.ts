import { type Image, identity, type TagScheme } from '../../domain/image.ts';
import type { Drift } from '../../domain/retention/drift.ts';
import { IDENTITY_HEAD, identityCells, sayAge, sayDollars, shortAccounts, sizeOf } from '../../domain/retention/inventory.ts';
import { verdictOf } from '../../domain/verdict.ts';
import { table, text } from '../../kit/markdown.ts';

/** How a list of images reads. Everything in it comes from tags and names, so everything is escaped. */

export interface Row {
  readonly image: Image;
  readonly region: string;
  /** Undefined: it cannot be known. */
  readonly users: readonly string[] | undefined;
}

export const asOutput = ({ image, region, users }: Row, scheme: TagScheme) => ({
  id: image.id,
  name: image.name,
  region,
  architecture: image.architecture,
  version: identity(image, scheme, 'version'),
  commit: identity(image, scheme, 'commit'),
  state: image.state,
  'created-at': image.createdAt.toISOString(),
  verdict: verdictOf(image, scheme).result,
  'used-by': users?.map(shortAccounts),
  'size-gib': image.sizeGiB,
});

export function asLine(row: Row, scheme: TagScheme): string {
  const { id, state, version = '-', commit = '-', verdict, 'used-by': users = [] } = asOutput(row, scheme);
  return [id, row.region, state, version, commit.slice(0, 7), verdict, users.join(', ')].join('  ').replace(/[\r\n]+/g, ' ');
}

export function asTable(rows: readonly Row[], scheme: TagScheme, pricePerGib: number, now: number): string {
  const cells = rows.map(({ image, region, users }) => [
    ...identityCells(image, scheme),
    region,
    image.state + (image.deprecatedAt !== undefined && image.deprecatedAt.getTime() <= now ? ', deprecated' : ''),
    sayAge(image, now),
    text(verdictOf(image, scheme).result),
    users === undefined ? '?' : text(users.join(', ')),
    String(image.sizeGiB),
    sayDollars(sizeOf([image], pricePerGib).perMonth),
  ]);
  return table([...IDENTITY_HEAD, 'Region', 'State', 'Age', 'Verdict', 'Used by', 'GiB', 'A month'], cells);
}

export const driftTable = (drift: readonly Drift[]): string =>
  table(
    ['Drift', ''],
    drift.map(({ who, says }) => [text(who), text(says)]),
  );
