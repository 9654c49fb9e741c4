import type { Sweeper } from '../image-build/rules/leftovers.ts';
import { type ExpiredLeftover, type Swept, sweepExpired } from '../image-build/sweep.ts';
import { concurrently } from '../kit/concurrently.ts';
import { ActionError, CancelledError } from '../kit/errors.ts';
import type { Image, Snapshot } from '../model/image.ts';
import { type UsersById, usersOf } from '../model/image-users.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { Deps, RegionClients, Reporter } from '../ports/deps.ts';
import type { Users } from './find-users.ts';
import type { Remaining } from './removal.ts';
import { orphanedSnapshots } from './rules/orphans.ts';
import type { Policy } from './rules/rules.ts';
import type { Survey } from './survey.ts';

/** What prune removes other than images: launch template versions, orphaned snapshots, and leftovers of interrupted runs. */

const TEMPLATES_AT_ONCE = 6;

type TemplateClients = Pick<RegionClients, 'launchTemplates'>;

/**
 * Launch template versions that name these images. Never the default, and none as new as the newest of the survey: a promotion may be about to launch from it.
 * A version that something launches from is not among them, since its image is in use.
 */
export async function versionsNaming(
  imageIds: readonly string[],
  { facts }: Users,
  { launchTemplates }: TemplateClients,
): Promise<readonly TemplateVersion[]> {
  if (imageIds.length === 0) return [];
  const newest = newestVersions(facts);
  const found = await concurrently([...newest.keys()], TEMPLATES_AT_ONCE, id => launchTemplates.withImages(id, imageIds));
  return found.flat().filter(({ templateId, number, isDefault }) => !isDefault && number < (newest.get(templateId) ?? 0));
}

/** Template ID -> the number of its newest version. */
function newestVersions({ versions }: Users['facts']): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const { templateId, version } of versions) newest.set(templateId, Math.max(version, newest.get(templateId) ?? 0));
  return newest;
}

/** Removes the versions of one image before the image itself: without the image, the next run could not find them. */
export function removeVersions(planned: readonly TemplateVersion[], { launchTemplates }: TemplateClients, report: Reporter) {
  let count = 0;
  return {
    count: () => count,
    async of(imageId: string): Promise<void> {
      for (const version of planned.filter(one => one.imageId === imageId)) {
        await launchTemplates.remove(version);
        count += 1;
        report.info(`Removed version ${version.number} of launch template ${version.templateName}, which names ${imageId}.`);
      }
    },
  };
}

interface Deletions<T> {
  readonly swept: readonly T[];
  readonly remaining: readonly Remaining[];
}

/** Checks the snapshots against the images of this moment, since an image may have been created from one of them. */
export async function removeSnapshots(
  planned: readonly Snapshot[],
  { aws: { images, removal }, users, recycled }: Survey,
  policy: Policy,
  { clock, report, run }: Deps<never>,
): Promise<Deletions<Snapshot>> {
  if (planned.length === 0) return { swept: [], remaining: [] };
  const [existing, used] = await Promise.all([images.find({ includeDisabled: true }), users.again([])]);
  const unused = planned.filter(({ id }) => !used.has(id));
  const swept: Snapshot[] = [];
  const remaining: Remaining[] = [];
  for (const snapshot of orphanedSnapshots(unused, existing, policy, clock.now(), recycled)) {
    try {
      if (run.cancelled.aborted) throw new CancelledError();
      const result = await removal.deleteSnapshot(snapshot.id);
      if (result === 'deleted') swept.push(snapshot);
      report.info(`Orphaned snapshot ${snapshot.id}: ${result}.`);
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      remaining.push({ what: `snapshot ${snapshot.id}`, failure });
    }
  }
  return { swept, remaining };
}

/** Leftovers that nothing uses. The snapshots of an image that is kept are kept, too. */
export function unusedOf(expired: readonly ExpiredLeftover[], users: UsersById, owned: readonly Image[]): readonly ExpiredLeftover[] {
  const snapshotsOf = (id: string) => owned.find(image => image.id === id)?.snapshotIds ?? [];
  const isUnused = ({ id, ending }: ExpiredLeftover) => !ending && usersOf(users, { id, snapshotIds: snapshotsOf(id) }).length === 0;
  const unused = new Set(expired.filter(isUnused).map(({ id }) => id));
  const held = new Set(owned.filter(({ id }) => !unused.has(id)).flatMap(({ snapshotIds }) => snapshotIds));
  return expired.filter(({ id }) => unused.has(id) && !held.has(id));
}

/** Removes the planned leftovers that are still unused. */
export async function removeExpired(
  planned: readonly ExpiredLeftover[],
  { region, users, owned }: Survey,
  sweeper: Sweeper,
  deps: Deps<'images' | 'leftovers'>,
): Promise<Deletions<Swept>> {
  if (planned.length === 0) return { swept: [], remaining: [] };
  try {
    if (deps.run.cancelled.aborted) throw new CancelledError();
    const used = await users.again(planned.filter(({ kind }) => kind === 'image').map(({ id }) => id));
    const toRemove = new Set(unusedOf(planned, used, owned).map(({ id }) => id));
    const swept = await sweepExpired([region], sweeper, deps, ({ id }) => toRemove.has(id));
    for (const { kind, id } of swept) deps.report.info(`Removed ${kind} ${id}, a leftover of an interrupted run.`);
    return { swept, remaining: [] };
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return { swept: [], remaining: [{ what: `leftovers of interrupted runs in ${region}`, failure }] };
  }
}
