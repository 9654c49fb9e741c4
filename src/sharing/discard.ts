import { concurrently } from '../kit/concurrently.ts';
import { code, table } from '../kit/markdown.ts';
import { identity, isOurs, tagKey } from '../model/image.ts';
import type { ShareDeps } from './facts.ts';
import type { Sharing } from './rules/refusals.ts';

interface Discarded {
  readonly region: string;
  readonly account: string;
  readonly id: string;
}

/**
 * Removes the unfinished copies of an image that failed validation. An unfinished copy names its source and is in no family, so nothing launches it.
 * A pending one is removed too. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html#ami-copy-stop
 */
export async function discardCopies(sourceId: string, sharing: Omit<Sharing, 'own'>, deps: ShareDeps): Promise<readonly Discarded[]> {
  const { options } = sharing;
  const [homeRegion = ''] = options.regions;
  const own = await deps.inRegion({ region: homeRegion }).account.id();
  const others = options.copy.filter(who => who !== own);
  const places = [
    ...options.regions.map(region => ({ account: own, region, role: undefined })),
    ...options.regions.flatMap(region => others.map(account => ({ account, region, role: options.roleOf(account) }))),
  ];
  const removed = await concurrently(places, 10, place => discardIn(place, sourceId, sharing, deps));
  await withdraw(sourceId, homeRegion, others, deps);
  return removed.flat();
}

async function discardIn(
  { account, region, role }: { readonly account: string; readonly region: string; readonly role: string | undefined },
  sourceId: string,
  { scheme, family }: Omit<Sharing, 'own'>,
  deps: ShareDeps,
): Promise<readonly Discarded[]> {
  const { images, removal } = deps.inRegion({ region, role });
  const copies = await images.find({ tags: { [tagKey(scheme, 'copied-from')]: sourceId }, includeDisabled: true });
  const unfinished = copies.filter(image => !isOurs(image, scheme, family) && identity(image, scheme, 'for-family') === family);
  for (const { id } of unfinished) await removal.deregister(id, { keepSnapshots: false });
  return unfinished.map(({ id }) => ({ account, region, id }));
}

/** The accounts were given access for their copies only. */
async function withdraw(sourceId: string, region: string, who: readonly string[], deps: ShareDeps): Promise<void> {
  const { images, sharing } = deps.inRegion({ region });
  const home = who.length === 0 ? undefined : await images.get(sourceId);
  if (home === undefined) return;
  const launchers = await sharing.launchers(sourceId);
  const given = who.filter(account => launchers.includes(account));
  if (given.length > 0) await sharing.forbidLaunch(sourceId, given);
  for (const id of home.snapshotIds) {
    const readers = (await sharing.readers(id)).filter(account => who.includes(account));
    if (readers.length > 0) await sharing.forbidReading(id, readers);
  }
}

export const formatDiscarded = (sourceId: string, discarded: readonly Discarded[]): string =>
  [
    `### ${code(sourceId)} failed validation: ${discarded.length === 0 ? 'it has no unfinished copies' : 'its copies were removed'}`,
    ...(discarded.length === 0
      ? []
      : [
          table(
            ['Account', 'Region', 'Copy'],
            discarded.map(({ account, region, id }) => [code(account), code(region), code(id)]),
          ),
        ]),
  ].join('\n\n');
