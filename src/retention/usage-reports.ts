import { concurrently } from '../kit/concurrently.ts';
import { TimeoutError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

/** What AWS tells of the use of our images in other accounts. It is late, by a day for instances and by days for launch templates: a reason to keep, never one to remove. */

const REPORTS_AT_ONCE = 5;
const AT_MOST_SECONDS = 15 * 60;

/** So begins a user whom nobody has seen. */
export const PERHAPS = 'somebody, perhaps';

type NeededDeps = Pick<Deps<never>, 'clock' | 'report'>;

/** Image ID -> who uses it in other accounts. A report that does not come, or comes as an error, counts as use. */
export async function usageElsewhere(
  imageIds: readonly string[],
  own: string,
  { imageUsers }: Pick<RegionClients, 'imageUsers'>,
  deps: NeededDeps,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const today = new Date(deps.clock.now()).toISOString().slice(0, 10);
  const found = await concurrently(imageIds, REPORTS_AT_ONCE, async imageId => {
    const reportId = await imageUsers.startUsageReport(imageId, `ami-action-prune-${imageId}-${today}`);
    return [imageId, await usersIn(imageId, reportId, own, imageUsers, deps)] as const;
  });
  return new Map(found);
}

async function usersIn(
  imageId: string,
  reportId: string,
  own: string,
  imageUsers: RegionClients['imageUsers'],
  deps: NeededDeps,
): Promise<readonly string[]> {
  try {
    const entries = await waitFor(
      {
        what: `Usage report of ${imageId}`,
        everySeconds: 15,
        atMostSeconds: AT_MOST_SECONDS,
        poll: async () => {
          const { state, entries: seen } = await imageUsers.usage(reportId);
          return state === 'pending'
            ? { state: 'waiting', note: 'pending' }
            : { state: 'done', value: state === 'error' ? undefined : seen };
        },
      },
      deps,
    );
    if (entries === undefined) return [`${PERHAPS}: its usage report ended in an error`];
    return entries
      .filter(({ account }) => account !== own)
      .map(({ account, resourceType, count }) => `${count} ${resourceType} in account ${account}, as AWS reports`);
  } catch (failure) {
    if (!(failure instanceof TimeoutError)) throw failure;
    return [`${PERHAPS}: its usage report did not come`];
  }
}
