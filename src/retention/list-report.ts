import { formatCount, formatDollars, formatDuration } from '../kit/format.ts';
import { code, columns, details, nonBreaking, text } from '../kit/markdown.ts';
import { type Image, identity, type TagScheme } from '../model/image.ts';
import type { ImageUser } from '../model/image-users.ts';
import { verdictOf } from '../model/verdict.ts';
import { isVetoed } from '../model/veto.ts';
import { historyTable, type ListedPromotion, runCell, versionOf } from './history-report.ts';
import { type BootTimes, formatBoot } from './rules/boot-times.ts';
import type { Drift } from './rules/drift.ts';
import type { Environment } from './rules/environments.ts';
import { formatAge, shortAccounts, sizeOf } from './rules/inventory.ts';

/** A list of images as text and Markdown. Tags and names are untrusted and escaped. */

export interface ListedImage {
  readonly image: Image;
  readonly region: string;
  /** Undefined: unknown, or not asked for. */
  readonly users: readonly ImageUser[] | undefined;
  /** Another account owns it and pays for it. */
  readonly isShared: boolean;
}

export interface ListedEnvironment extends Environment {
  readonly region: string;
  readonly groups: readonly (Environment['groups'][number] & { readonly boot: BootTimes })[];
}

export interface Listing {
  readonly environments: readonly ListedEnvironment[];
  readonly images: readonly ListedImage[];
  readonly drift: readonly (Drift & { readonly region: string })[];
  readonly history: readonly ListedPromotion[];
  /** False: a part could not be read, so more may have drifted. */
  readonly isComplete: boolean;
}

interface ListFormat {
  readonly family: string;
  readonly regions: readonly string[];
  readonly whereUsed: boolean;
  readonly scheme: TagScheme;
  readonly pricePerGib: number;
  readonly now: number;
}

export const toOutput = ({ image, region, users }: ListedImage, scheme: TagScheme) => ({
  id: image.id,
  name: image.name,
  region,
  architecture: image.architecture,
  version: identity(image, scheme, 'version'),
  commit: identity(image, scheme, 'commit'),
  state: image.state,
  'created-at': image.createdAt?.toISOString(),
  verdict: verdictOf(image, scheme).result,
  'used-by': users?.map(({ label }) => shortAccounts(label)),
  'size-gib': image.sizeGiB,
});

const HEAD = ['AMI ID', 'Name', 'Version', 'State', 'Created', 'Commit', 'Region', 'Verdict', 'Used by'];

/** Lines for the log and the terminal, in aligned columns under their names; none without images. */
export function formatLines(images: readonly ListedImage[], { scheme }: Pick<ListFormat, 'scheme'>): readonly string[] {
  if (images.length === 0) return [];
  const listed = images.map(one => {
    const { id, name, region, state, version = '-', commit = '-', verdict, 'used-by': users } = toOutput(one, scheme);
    const created = one.image.createdAt?.toISOString().slice(0, 16).replace('T', ' ') ?? '?';
    return [id, name, version, state, created, commit.slice(0, 7), region, verdict, formatUsers(users)].map(oneLine);
  });
  const rows = [HEAD, ...listed];
  const width = (column: number) => Math.min(40, Math.max(...rows.map(cells => cells[column]?.length ?? 0)));
  return rows.map(cells => cells.map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(width(column)))).join('  '));
}

const oneLine = (cell: string) => cell.replace(/[\r\n]+/g, ' ');

const formatUsers = (labels: readonly string[] | undefined): string => (labels === undefined ? '?' : labels.join(', ') || 'unused');

const MOST_USERS = 2;

function userCell(users: ListedImage['users']): string {
  const labels = users?.map(({ label }) => text(label)) ?? [];
  if (labels.length === 0) return formatUsers(users === undefined ? undefined : []);
  const more = labels.length - MOST_USERS;
  return [...labels.slice(0, MOST_USERS), ...(more > 0 ? [`and ${more} more`] : [])].join('<br>');
}

const VERDICTS: Readonly<Record<string, string>> = { passed: nonBreaking('✅ passed'), failed: nonBreaking('❌ failed'), none: '' };

/** The summary: count and cost, then drift, then the images. */
export function formatPage({ images, environments, drift, history }: Listing, format: ListFormat): string {
  if (images.length === 0)
    return `### Images of ${text(format.family)}\n\n**No image** of this family exists in ${format.regions.join(', ')}.`;
  const own = images.filter(({ isShared }) => !isShared).map(({ image }) => image);
  const { gib, perMonth } = sizeOf(own, format.pricePerGib);
  const shared = images.length - own.length;
  const others = shared === 0 ? '' : ` Other accounts own ${shared} of them and pay for ${shared === 1 ? 'it' : 'them'}.`;
  const unused = images.filter(({ users }) => users?.length === 0).length;
  const isKnown = format.whereUsed && images.every(({ users }) => users !== undefined);
  const idle = isKnown ? `, ${unused} unused` : '';
  const agreement = isKnown && drift.length === 0 ? ['✅ No drift: pointers, groups and instances agree.'] : [];
  return [
    formatTitle(images, environments, format),
    `**${formatCount(images.length, 'image')}** in ${format.regions.join(', ')}${idle}: at most ${gib} GiB, ${formatDollars(perMonth)} a month.${others}`,
    ...(environments.length === 0 ? [] : [environmentTable(environments, images, format)]),
    ...(drift.length === 0 ? agreement : [driftTable(drift, format)]),
    imageTable(images, environments, format),
    ...(history.length === 0 ? [] : [details('Who promoted what', historyTable(history, images, format))]),
  ].join('\n\n');
}

/** What every environment runs: "web: prod 1.0.0 · stage 1.3.0". */
function formatTitle(images: readonly ListedImage[], environments: readonly Environment[], { family, scheme }: ListFormat): string {
  const versions = environments.map(({ name, imageId }) => {
    const image = images.find(listed => listed.image.id === imageId)?.image;
    return `${name} ${(image && identity(image, scheme, 'version')) ?? imageId}`;
  });
  const unique = [...new Set(versions)].sort();
  return unique.length === 0 ? `### Images of ${text(family)}` : `### ${text(family)}: ${unique.map(text).join(' · ')}`;
}

/** Who runs what, since when, and by which run. */
function environmentTable(
  environments: Listing['environments'],
  images: readonly ListedImage[],
  { scheme, now, regions }: ListFormat,
): string {
  const nameOf = (id: string | undefined) => versionOf(id, images, scheme);
  return columns(environments, [
    ['Environment', ({ name }) => text(name)],
    ['Region', ({ region }) => region, regions.length > 1],
    ['Runs', ({ imageId }) => nameOf(imageId)],
    [
      'Groups with this image',
      ({ groups }) => groups.map(({ name, instances }) => `${code(name)} (${formatCount(instances, 'instance')})`).join('<br>'),
    ],
    [
      'In service after',
      ({ groups }) => groups.map(({ boot }) => formatBoot(boot)).join('<br>'),
      environments.some(({ groups }) => groups.some(({ boot }) => boot.ofFamily !== undefined)),
    ],
    ['For', ({ since }) => (since === undefined ? '' : nonBreaking(formatDuration(Math.max(0, (now - since.getTime()) / 1000))))],
    ['Promoted by', ({ run }) => runCell(run)],
    ['Before', ({ previousId }) => nameOf(previousId)],
  ]);
}

/** A column for each environment: which image it runs, ran before, and does not take. */
const environmentColumns = (environments: readonly Environment[], scheme: TagScheme) =>
  [...new Set(environments.map(({ name }) => name))].sort().map(name => {
    const ofName = environments.filter(environment => environment.name === name);
    const cell = ({ image }: ListedImage) => {
      if (ofName.some(({ imageId }) => imageId === image.id)) return nonBreaking('🟢 current');
      if (isVetoed(image, scheme, name)) return nonBreaking('⛔ vetoed');
      return ofName.some(({ previousId }) => previousId === image.id) ? nonBreaking('⬅️ previous') : '';
    };
    return [text(name), cell] as const;
  });

function imageTable(
  images: readonly ListedImage[],
  environments: readonly Environment[],
  { scheme, now, regions, whereUsed, pricePerGib }: ListFormat,
): string {
  const architectures = new Set(images.map(({ image }) => image.architecture));
  const stateOf = ({ image }: ListedImage) => image.state + (isDeprecated(image.deprecatedAt, now) ? ', deprecated' : '');
  return columns<ListedImage>(images, [
    ['Version', ({ image }) => text(identity(image, scheme, 'version') ?? '')],
    ['Commit', ({ image }) => code(identity(image, scheme, 'commit')?.slice(0, 7) ?? '')],
    ['Image', ({ image }) => code(image.id)],
    // A column with one value in all rows is left out.
    ['Architecture', ({ image }) => image.architecture, architectures.size > 1],
    ['Region', ({ region }) => region, regions.length > 1],
    ['State', stateOf, images.some(listed => stateOf(listed) !== 'available')],
    ['Age', ({ image }) => formatAge(image, scheme, now)],
    ['Verdict', ({ image }) => VERDICTS[verdictOf(image, scheme).result] ?? text(verdictOf(image, scheme).result)],
    ...environmentColumns(environments, scheme),
    ['Used by', ({ users }) => userCell(users), whereUsed],
    ['GiB', ({ image }) => String(image.sizeGiB)],
    [nonBreaking('A month'), ({ image, isShared }) => (isShared ? '' : formatDollars(sizeOf([image], pricePerGib).perMonth))],
  ]);
}

const isDeprecated = (at: Date | undefined, now: number): boolean => at !== undefined && at.getTime() <= now;

export const driftTable = (drift: Listing['drift'], { regions }: ListFormat): string =>
  columns(drift, [
    ['⚠️ Drift', ({ who }) => text(who)],
    ['Region', ({ region }) => region, regions.length > 1],
    ['', ({ says }) => text(says)],
  ]);
