import { formatDollars } from '../kit/format.ts';
import { code, columns, nonBreaking, text } from '../kit/markdown.ts';
import { identity, type TagScheme } from '../model/image.ts';
import { verdictOf } from '../model/verdict.ts';
import type { Listed, Listing } from './listing.ts';
import { sayAge, shortAccounts, sizeOf } from './rules/inventory.ts';

/** How a list of images reads. Everything in it comes from tags and names, so everything is escaped. */

export interface Look {
  readonly family: string;
  readonly regions: readonly string[];
  readonly whereUsed: boolean;
  readonly scheme: TagScheme;
  readonly pricePerGib: number;
  readonly now: number;
}

export const asOutput = ({ image, region, users }: Listed, scheme: TagScheme) => ({
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

/** For the log: as aligned as a list of unknown texts can be. */
export function asLines(rows: readonly Listed[], { scheme, now }: Look): readonly string[] {
  const cells = rows.map(row => {
    const { id, region, state, version = '-', commit = '-', verdict, 'used-by': users } = asOutput(row, scheme);
    return [id, region, sayAge(row.image, now), state, version, commit.slice(0, 7), verdict, sayUsers(users)].map(oneLine);
  });
  const width = (column: number) => Math.min(40, Math.max(...cells.map(of => of[column]?.length ?? 0)));
  return cells.map(of => of.map((cell, column) => (column === of.length - 1 ? cell : cell.padEnd(width(column)))).join('  '));
}

const oneLine = (said: string) => said.replace(/[\r\n]+/g, ' ');

const sayUsers = (users: readonly string[] | undefined): string => (users === undefined ? '?' : users.join(', ') || 'unused');

const MOST_USERS = 4;

const linesOf = (users: readonly string[]): string => {
  const more = users.length - MOST_USERS;
  return [...users.slice(0, MOST_USERS).map(text), ...(more > 0 ? [`and ${more} more`] : [])].join('<br>');
};

const VERDICTS: Readonly<Record<string, string>> = { passed: nonBreaking('✅ passed'), failed: nonBreaking('❌ failed'), none: '' };

/** For the summary: what there is, what it costs, and first of all what is not as it should be. */
export function asPage({ rows, drift }: Listing, look: Look): string {
  if (rows.length === 0) return `### Images of ${text(look.family)}\n\n**No image** in ${look.regions.join(', ')} is of this family.`;
  const own = rows.filter(({ untrusted }) => !untrusted).map(({ image }) => image);
  const { gib, perMonth } = sizeOf(own, look.pricePerGib);
  const shared = rows.length - own.length;
  const others = shared === 0 ? '' : ` Other accounts own ${shared} of them, and pay for that.`;
  const unused = rows.filter(({ users }) => users?.length === 0).length;
  const isKnown = look.whereUsed && rows.every(({ users }) => users !== undefined);
  const idle = isKnown ? `, ${unused} of them unused` : '';
  const agreement = isKnown && drift.length === 0 ? ['✅ No drift: pointers, groups and instances agree.'] : [];
  const count = `${rows.length} ${rows.length === 1 ? 'image' : 'images'}`;
  return [
    `### Images of ${text(look.family)}`,
    `**${count}** in ${look.regions.join(', ')}${idle}: at most ${gib} GiB, ${formatDollars(perMonth)} a month.${others}`,
    ...(drift.length === 0 ? agreement : [driftTable(drift, look)]),
    imageTable(rows, look),
  ].join('\n\n');
}

function imageTable(rows: readonly Listed[], look: Look): string {
  const { scheme, now } = look;
  // A column in which every cell is the same tells nothing.
  const several = (of: (row: Listed) => string) => new Set(rows.map(of)).size > 1;
  return columns<Listed>(rows, [
    ['Image', ({ image }) => code(image.id)],
    ['Version', ({ image }) => text(identity(image, scheme, 'version') ?? '')],
    ['Commit', ({ image }) => code(identity(image, scheme, 'commit')?.slice(0, 7) ?? '')],
    ['Architecture', ({ image }) => image.architecture, several(({ image }) => image.architecture)],
    ['Region', ({ region }) => region, look.regions.length > 1],
    ['State', stateAt(now), rows.some(row => stateAt(now)(row) !== 'available')],
    ['Age', ({ image }) => sayAge(image, now)],
    ['Verdict', ({ image }) => VERDICTS[verdictOf(image, scheme).result] ?? text(verdictOf(image, scheme).result)],
    ['Used by', ({ users }) => (users?.length ? linesOf(users) : text(sayUsers(users))), look.whereUsed],
    ['GiB', ({ image }) => String(image.sizeGiB)],
    [nonBreaking('A month'), ({ image, untrusted }) => (untrusted ? '' : formatDollars(sizeOf([image], look.pricePerGib).perMonth))],
  ]);
}

const stateAt =
  (now: number) =>
  ({ image }: Listed): string =>
    image.state + (isDeprecated(image.deprecatedAt, now) ? ', deprecated' : '');

const isDeprecated = (at: Date | undefined, now: number): boolean => at !== undefined && at.getTime() <= now;

const driftTable = (drift: Listing['drift'], { regions }: Look): string =>
  columns(drift, [
    ['⚠️ Drift', ({ who }) => text(who)],
    ['Region', ({ region }) => region, regions.length > 1],
    ['', ({ says }) => text(says)],
  ]);
