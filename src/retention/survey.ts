import type { Sweeper } from '../image-build/rules/leftovers.ts';
import { type ExpiredLeftover, findExpired } from '../image-build/sweep.ts';
import { UsageError } from '../kit/errors.ts';
import { regionsOf } from '../model/common-settings.ts';
import type { Snapshot } from '../model/image.ts';
import { type Image, identity, isOurs, newestFirst, tagKey } from '../model/image.ts';
import { usersOf } from '../model/image-users.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { type Asked, findUsers, type Users } from './find-users.ts';
import type { Candidate, Policy } from './rules/rules.ts';

/** A family in one region: its images, who may launch them, and the snapshots that carry its name. */
export interface Survey {
  readonly region: string;
  readonly aws: SurveyPorts;
  /** Of whatever family: what this account owns here. */
  readonly owned: readonly Image[];
  readonly family: readonly Image[];
  readonly users: Users;
  readonly snapshots: readonly Snapshot[];
  /** Images that the Recycle Bin still holds: nobody lists them, and they come back with their snapshots only. */
  readonly recycled: ReadonlySet<string>;
  readonly dead: readonly ExpiredLeftover[];
}

export type SurveyPorts = Pick<RegionClients, 'images' | 'imageUsers' | 'removal' | 'leftovers' | 'launchTemplates'>;

interface Wanted extends Asked {
  readonly region: string;
  readonly regions?: readonly string[] | undefined;
  readonly orphanSnapshots: boolean;
  readonly leftovers: boolean;
}

/** Reads everything of every region, or rejects. */
export async function surveyAll(wanted: Wanted, sweeper: Sweeper, deps: Deps<keyof SurveyPorts>): Promise<readonly Survey[]> {
  const key = tagKey(sweeper.scheme, 'family');
  const all: Survey[] = [];
  for (const region of regionsOf(wanted)) {
    const aws: SurveyPorts = deps.inRegion({ region });
    const owned = await deps.report.step(`List the images in ${region}`, () => aws.images.find({ includeDisabled: true }));
    const family = owned.filter(({ tags }) => tags[key] === wanted.family);
    const users = await deps.report.step(`Find what may launch them in ${region}`, () => findUsers(wanted, aws, deps.report));
    const beside = await deps.report.step(`List what is left of builds and images in ${region}`, () =>
      besideImages(wanted, sweeper, aws, deps),
    );
    const snapshots = beside.snapshots.filter(({ id }) => !users.all.has(id));
    all.push({ ...beside, region, aws, owned, family, users, snapshots });
  }
  if (all.every(({ family, snapshots }) => family.length === 0 && snapshots.length === 0)) throw noSuchFamily(wanted, key, all);
  return all;
}

async function besideImages(wanted: Wanted, sweeper: Sweeper, aws: SurveyPorts, { clock }: Pick<Deps<never>, 'clock'>) {
  const [snapshots, recycled, dead] = await Promise.all([
    wanted.orphanSnapshots ? aws.removal.snapshots({ [tagKey(sweeper.scheme, 'family')]: wanted.family }) : [],
    wanted.orphanSnapshots ? aws.removal.recycled('image') : [],
    wanted.leftovers ? findExpired(aws, sweeper, clock.now()) : [],
  ]);
  return { snapshots, recycled: new Set(recycled.map(({ id }) => id)), dead };
}

/** A name that is misspelt matches nothing, which is no reason to be green. */
const noSuchFamily = (wanted: Wanted, key: string, all: readonly Survey[]): UsageError =>
  new UsageError([
    sayNoFamily(
      wanted,
      key,
      all.flatMap(({ owned }) => owned),
    ),
  ]);

export function sayNoFamily(wanted: Pick<Wanted, 'family' | 'region' | 'regions'>, key: string, owned: readonly Image[]): string {
  const known = [...new Set(owned.flatMap(({ tags }) => tags[key] ?? []))].sort();
  const there = known.length === 0 ? 'No image there has a family.' : `Families there: ${known.join(', ')}.`;
  return `"family": no image in ${regionsOf(wanted).join(', ')} is tagged ${key}=${wanted.family}. ${there}`;
}

/** Images of other families are kept by whoever prunes this one, and so is, where that is asked for, what they were built from. */
export function candidates(surveys: readonly Survey[], policy: Policy): Candidate[] {
  const children = new Map<string, string[]>();
  for (const image of policy.keepAncestors ? surveys.flatMap(({ owned }) => owned).sort(newestFirst) : []) {
    const parent = identity(image, policy.scheme, 'base-ami') ?? '';
    if (!isOurs(image, policy.scheme, policy.family))
      children.set(parent, [...(children.get(parent) ?? []), `${image.id}, which was built from it`]);
  }
  return surveys.flatMap(({ region, family, users }) =>
    family.map(image => ({ image, region, users: [...usersOf(users.all, image), ...(children.get(image.id) ?? [])] })),
  );
}
