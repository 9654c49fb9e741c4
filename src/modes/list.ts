import { type Image, identity, newestFirst, type TagScheme } from '../domain/image.ts';
import { IDENTITY_HEAD, identityCells, sayAge, sayDollars, sizeOf } from '../domain/inventory.ts';
import { verdictOf } from '../domain/verdict.ts';
import { AccessError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import { table, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { findUsers, price, users as userSettings } from '../steps/image-users.ts';
import { pointer, schemeOf } from '../steps/select.ts';
import type { Place, Powers } from '../world.ts';
import { common, family } from './shared.ts';

// Needs a family.
// Leaves behind a table of its images: what they are, where they are used, what they cost. It changes nothing.

export const settings = {
  family,
  whereUsed: flag('Show who may still launch each image; reads instances, groups, launch templates and parameters.', true),
  pointer,
  ...userSettings,
  pricePerGib: price,
  ...common,
};

export const outputs = {
  images:
    'JSON list: `id`, `name`, `region`, `architecture`, `version`, `commit`, `state`, `created-at`, `verdict`, `used-by` and `size-gib` of every image, newest first.',
  count: 'How many images there are.',
};

type Wanted = Values<typeof settings>;

export async function run(wanted: Wanted, world: Powers<'images' | 'imageUsers'>) {
  const { report, clock } = world;
  const place = world.at({ region: wanted.region });
  const scheme = schemeOf(wanted);
  const found = await report.step(`List the images of ${wanted.family}`, () =>
    place.images.find({ tags: { [`${scheme.prefix}family`]: wanted.family }, shared: true, includeDisabled: true }),
  );
  const images = [...found].sort(newestFirst);
  const users =
    wanted.whereUsed && images.length > 0
      ? await report.step('Find where they are used', () => whereUsed(wanted, place, world))
      : undefined;

  const rows = images.map(image => describe(image, users?.get(image.id) ?? (users && []), scheme, wanted));
  for (const row of rows)
    report.foreign(
      `${row.id}  ${row.state}  ${row.version ?? '-'}  ${row.commit?.slice(0, 7) ?? '-'}  ${row.verdict}  ${row['used-by']?.join(', ') ?? ''}`.replace(
        /\s+/g,
        ' ',
      ),
    );
  report.summary(asTable(images, users, scheme, wanted, clock.now()));
  return { outcome: 'unchanged' as const, outputs: { images: rows, count: rows.length } };
}

/** A list is not worth a failure: where the powers are missing it says so. */
async function whereUsed(wanted: Wanted, place: Pick<Place, 'imageUsers'>, { report }: Pick<Powers<never>, 'report'>) {
  try {
    return (await findUsers(wanted, place, report)).all;
  } catch (failure) {
    if (!(failure instanceof AccessError)) throw failure;
    report.warn(`Where the images are used is unknown: ${failure.message}`);
    return undefined;
  }
}

const describe = (image: Image, usedBy: readonly string[] | undefined, scheme: TagScheme, { region }: Wanted) => ({
  id: image.id,
  name: image.name,
  region,
  architecture: image.architecture,
  version: identity(image, scheme, 'version'),
  commit: identity(image, scheme, 'commit'),
  state: image.state,
  'created-at': image.createdAt.toISOString(),
  verdict: verdictOf(image, scheme).result,
  'used-by': usedBy,
  'size-gib': image.sizeGiB,
});

function asTable(
  images: readonly Image[],
  users: ReadonlyMap<string, readonly string[]> | undefined,
  scheme: TagScheme,
  wanted: Wanted,
  now: number,
): string {
  const { gib, perMonth } = sizeOf(images, Number(wanted.pricePerGib));
  const rows = images.map(image => [
    ...identityCells(image, scheme),
    image.state + (image.deprecatedAt !== undefined && image.deprecatedAt.getTime() <= now ? ', deprecated' : ''),
    sayAge(image, now),
    text(verdictOf(image, scheme).result),
    users === undefined ? '?' : text(users.get(image.id)?.join(', ') ?? ''),
    String(image.sizeGiB),
    sayDollars(sizeOf([image], Number(wanted.pricePerGib)).perMonth),
  ]);
  const head = [...IDENTITY_HEAD, 'State', 'Age', 'Verdict', 'Used by', 'GiB', 'A month'];
  const total = `${images.length} images in ${wanted.region}: at most ${gib} GiB, ${sayDollars(perMonth)} a month.`;
  return [`### ${text(wanted.family)}`, total, ...(rows.length === 0 ? [] : [table(head, rows)])].join('\n\n');
}
