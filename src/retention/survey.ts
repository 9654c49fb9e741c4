import type { Sweeper } from '../image-build/rules/leftovers.ts';
import { type ExpiredLeftover, findExpired } from '../image-build/sweep.ts';
import { UsageError } from '../kit/errors.ts';
import { regionsOf } from '../model/common-settings.ts';
import { type Image, identity, isOurs, newestFirst, type Snapshot, tagKey } from '../model/image.ts';
import { knownUser, usersOf } from '../model/image-users.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { findUsers, type UserOptions, type Users } from './find-users.ts';
import type { Candidate, Policy } from './rules/rules.ts';
import type { PruneOptions } from './settings.ts';

/** A family in one region. */
export interface Survey {
  readonly region: string;
  readonly aws: SurveyClients;
  /** All images of this account here, of any family. */
  readonly owned: readonly Image[];
  readonly family: readonly Image[];
  readonly users: Users;
  /** Unused snapshots with the tag of the family. */
  readonly snapshots: readonly Snapshot[];
  /** Images in the Recycle Bin: no listing shows them, and they can be restored only with their snapshots. */
  readonly recycled: ReadonlySet<string>;
  readonly expired: readonly ExpiredLeftover[];
}

export type SurveyClients = Pick<RegionClients, 'images' | 'imageUsers' | 'removal' | 'leftovers' | 'launchTemplates'>;

type SurveyOptions = UserOptions & Pick<PruneOptions, 'region' | 'regions' | 'orphanSnapshots' | 'leftovers'>;

/** Reads all regions completely, or rejects. */
export async function surveyAll(options: SurveyOptions, sweeper: Sweeper, deps: Deps<keyof SurveyClients>): Promise<readonly Survey[]> {
  const key = tagKey(sweeper.scheme, 'family');
  const all: Survey[] = [];
  for (const region of regionsOf(options)) {
    const aws: SurveyClients = deps.inRegion({ region });
    const owned = await deps.report.step(`List the images in ${region}`, () => aws.images.find({ includeDisabled: true }));
    const family = owned.filter(({ tags }) => tags[key] === options.family);
    const users = await deps.report.step(`Find what may launch them in ${region}`, () => findUsers(options, aws, deps.report));
    const others = await deps.report.step(`List snapshots and leftovers in ${region}`, () => readOthers(options, sweeper, aws, deps));
    const snapshots = others.snapshots.filter(({ id }) => !users.all.has(id));
    all.push({ ...others, region, aws, owned, family, users, snapshots });
  }
  const owned = all.flatMap(survey => survey.owned);
  // A misspelt name matches nothing, and must not end green.
  if (all.every(({ family, snapshots }) => family.length === 0 && snapshots.length === 0))
    throw new UsageError([formatNoFamily(options, key, owned)]);
  return all;
}

async function readOthers(options: SurveyOptions, sweeper: Sweeper, aws: SurveyClients, deps: Pick<Deps<never>, 'clock' | 'report'>) {
  const [snapshots, recycled, expired] = await Promise.all([
    options.orphanSnapshots ? aws.removal.snapshots({ [tagKey(sweeper.scheme, 'family')]: options.family }) : [],
    options.orphanSnapshots ? aws.removal.recycled('image') : [],
    options.leftovers ? findExpired(aws, sweeper, deps) : [],
  ]);
  return { snapshots, recycled: new Set(recycled.map(({ id }) => id)), expired };
}

export function formatNoFamily(options: Pick<PruneOptions, 'family' | 'region' | 'regions'>, key: string, owned: readonly Image[]): string {
  const known = [...new Set(owned.flatMap(({ tags }) => tags[key] ?? []))].sort();
  const families = known.length === 0 ? 'No image there has a family.' : `Families there: ${known.join(', ')}.`;
  return `"family": no image in ${regionsOf(options).join(', ')} has the tag ${key}=${options.family}. ${families}`;
}

/** The images of the family with what is known of their users; with `keepAncestors`, images of other families that were built from them count as users. */
export function candidates(surveys: readonly Survey[], policy: Policy): Candidate[] {
  const children = new Map<string, string[]>();
  for (const image of policy.keepAncestors ? surveys.flatMap(({ owned }) => owned).sort(newestFirst(policy.scheme)) : []) {
    const parent = identity(image, policy.scheme, 'base-ami') ?? '';
    if (!isOurs(image, policy.scheme, policy.family)) children.set(parent, [...(children.get(parent) ?? []), image.id]);
  }
  const builtFrom = (id: string) => (children.get(id) ?? []).map(child => knownUser(`${child}, which was built from it`));
  return surveys.flatMap(({ region, family, users }) =>
    family.map(image => ({ image, region, users: [...usersOf(users.all, image), ...builtFrom(image.id)] })),
  );
}
