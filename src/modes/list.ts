import { newestFirst } from '../domain/image.ts';
import { type Drift, driftOf } from '../domain/retention/drift.ts';
import { sayDollars, shortAccounts, sizeOf } from '../domain/retention/inventory.ts';
import { usersOf } from '../domain/retention/references.ts';
import { AccessError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import { text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { type Asked, findUsers, pointersOf, price, type Users, users as userSettings } from '../steps/retention/image-users.ts';
import { asLine, asOutput, asTable, driftTable, type Row } from '../steps/retention/inventory-table.ts';
import { regionsOf } from '../steps/retention/survey.ts';
import { pointer, schemeOf } from '../steps/select.ts';
import { common, family, regions } from '../steps/settings.ts';
import type { Powers } from '../world.ts';

// Needs a family.
// Leaves behind a table of its images: what they are, where they are used, what they cost, and what has drifted. It changes nothing.

export const settings = {
  family,
  whereUsed: flag(
    'Show who may still launch each image, and what has drifted; reads instances, groups, launch templates and parameters.',
    true,
  ),
  pointer,
  ...userSettings,
  regions,
  pricePerGib: price,
  ...common,
};

export const outputs = {
  images:
    'JSON list: `id`, `name`, `region`, `architecture`, `version`, `commit`, `state`, `created-at`, `verdict`, `used-by` and `size-gib` of every image, newest first.',
  count: 'How many images there are.',
  drift: 'JSON list: `who` (a pointer, a group, an instance) and what it `says` that differs from what it should.',
};

type Wanted = Values<typeof settings> & Pick<Asked, 'pointers'>;
type World = Powers<'images' | 'imageUsers'>;

export async function run(wanted: Wanted, world: World) {
  const { report, clock } = world;
  const scheme = schemeOf(wanted);
  const seen = await Promise.all(regionsOf(wanted).map(region => look(region, wanted, world)));
  const rows = seen.flatMap(({ rows: of }) => of).sort((a, b) => newestFirst(a.image, b.image));
  const drift = seen.flatMap(({ drift: of }) => of);

  for (const row of rows) report.foreign(asLine(row, scheme));
  for (const { who, says } of drift) report.foreign(`drift: ${who} ${says}`);
  const pricePerGib = Number(wanted.pricePerGib);
  const all = rows.map(({ image }) => image);
  const { gib, perMonth } = sizeOf(all, pricePerGib);
  report.summary(
    [
      `### ${text(wanted.family)}`,
      `${rows.length} images in ${regionsOf(wanted).join(', ')}: at most ${gib} GiB, ${sayDollars(perMonth)} a month.`,
      ...(rows.length === 0 ? [] : [asTable(rows, scheme, pricePerGib, clock.now())]),
      ...(drift.length === 0 ? [] : [driftTable(drift)]),
    ].join('\n\n'),
  );
  return {
    outcome: 'unchanged' as const,
    outputs: {
      images: rows.map(row => asOutput(row, scheme)),
      count: rows.length,
      drift: drift.map(({ who, says }) => ({ who, says: shortAccounts(says) })),
    },
  };
}

async function look(region: string, wanted: Wanted, world: World): Promise<{ rows: readonly Row[]; drift: readonly Drift[] }> {
  const { report, at } = world;
  const place = at({ region });
  const scheme = schemeOf(wanted);
  const images = await report.step(`List the images of ${wanted.family} in ${region}`, () =>
    place.images.find({ tags: { [`${scheme.prefix}family`]: wanted.family }, shared: true, includeDisabled: true }),
  );
  const wish = wanted.whereUsed && images.length > 0;
  const users = wish ? await report.step(`Find where they are used in ${region}`, () => whereUsed(wanted, region, world)) : undefined;
  return {
    rows: images.map(image => ({ image, region, users: users && usersOf(users.all, image) })),
    drift: users === undefined ? [] : driftOf(images, users.facts, pointersOf(wanted), scheme),
  };
}

/** A list is not worth a failure: where the powers are missing it says so. */
async function whereUsed(wanted: Wanted, region: string, { report, at }: World): Promise<Users | undefined> {
  try {
    return await findUsers(wanted, at({ region }), report);
  } catch (failure) {
    if (!(failure instanceof AccessError)) throw failure;
    report.warn(`Where the images in ${region} are used is unknown: ${failure.message}`);
    return undefined;
  }
}
