import { AccessError } from '../kit/errors.ts';
import { regionsOf } from '../model/common-settings.ts';
import { type Image, newestFirst, tagKey } from '../model/image.ts';
import { usersOf } from '../model/image-users.ts';
import type { Deps } from '../ports/deps.ts';
import { schemeOf } from '../selection/select-image.ts';
import { type Asked, findUsers, pointersOf, type Users } from './find-users.ts';
import { type Drift, driftOf } from './rules/drift.ts';
import { sayNoFamily } from './survey.ts';

/** A family as far as it can be seen: for looking at it, never for removing any of it. */

export interface Listed {
  readonly image: Image;
  readonly region: string;
  /** Undefined: it cannot be known, or nobody asked. */
  readonly users: readonly string[] | undefined;
  /** Another account owns it, and pays for it. */
  readonly untrusted: boolean;
}

export interface Listing {
  readonly rows: readonly Listed[];
  readonly drift: readonly (Drift & { readonly region: string })[];
}

interface Wanted extends Asked {
  readonly region: string;
  readonly regions: readonly string[];
  readonly tagPrefix: string;
  readonly commitTag: string;
  readonly whereUsed: boolean;
}

type NeededDeps = Deps<'account' | 'images' | 'imageUsers'>;

/** Newest first, so that the copies of one build stand together. */
export async function listFamily(wanted: Wanted, deps: NeededDeps): Promise<Listing> {
  const seen = await Promise.all(regionsOf(wanted).map(region => listRegion(region, wanted, deps)));
  const rows = seen.flatMap(({ rows: of }) => of).sort((a, b) => newestFirst(a.image, b.image));
  if (rows.length === 0) await warnOfFamily(wanted, deps);
  return { rows, drift: seen.flatMap(({ drift }) => drift) };
}

/** A name that is misspelt matches nothing, and an empty table does not say so. */
async function warnOfFamily(wanted: Wanted, { report, inRegion }: NeededDeps): Promise<void> {
  const owned = await Promise.all(regionsOf(wanted).map(region => inRegion({ region }).images.find({})));
  report.warn(sayNoFamily(wanted, tagKey(schemeOf(wanted), 'family'), owned.flat()));
}

async function listRegion(region: string, wanted: Wanted, deps: NeededDeps): Promise<Listing> {
  const { account, images: port } = deps.inRegion({ region });
  const scheme = schemeOf(wanted);
  const images = await deps.report.step(`List the images of ${wanted.family} in ${region}`, () =>
    port.find({ tags: { [`${scheme.prefix}family`]: wanted.family }, shared: true, includeDisabled: true }),
  );
  const own = await account.id();
  const users = wanted.whereUsed && images.length > 0 ? await whereUsed(region, wanted, deps) : undefined;
  return {
    rows: images.map(image => ({ image, region, users: users && usersOf(users.all, image), untrusted: image.ownerId !== own })),
    drift: users === undefined ? [] : driftOf(images, users.facts, pointersOf(wanted), scheme).map(one => ({ ...one, region })),
  };
}

/** A list is not worth a failure: where the powers are missing it says so. */
async function whereUsed(region: string, wanted: Wanted, { report, inRegion }: NeededDeps): Promise<Users | undefined> {
  try {
    return await report.step(`Find where they are used in ${region}`, () => findUsers(wanted, inRegion({ region }), report));
  } catch (failure) {
    if (!(failure instanceof AccessError)) throw failure;
    report.warn(`Where the images in ${region} are used is unknown: ${failure.message}`);
    return undefined;
  }
}
