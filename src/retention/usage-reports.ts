import { concurrently } from '../kit/concurrently.ts';
import { TimeoutError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { type ImageUser, knownUser, type UsersById } from '../model/image-users.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

/** Use of our images in other accounts, as EC2 reports it. The report is days late: a reason to keep an image, never one to remove it. */

const REPORTS_AT_ONCE = 5;
const AT_MOST_SECONDS = 15 * 60;

type UsageDeps = Pick<Deps<never>, 'clock' | 'report'>;

const possible = (reason: string): readonly ImageUser[] => [{ kind: 'possible', label: `another account (${reason})` }];

/** A report that fails or does not arrive counts as a possible user. `own`: our account ID. */
export async function usageElsewhere(
  imageIds: readonly string[],
  own: string,
  { imageUsers }: Pick<RegionClients, 'imageUsers'>,
  deps: UsageDeps,
): Promise<UsersById> {
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
  deps: UsageDeps,
): Promise<readonly ImageUser[]> {
  const poll = async () => {
    const { state, entries } = await imageUsers.usage(reportId);
    if (state === 'pending') return { state: 'waiting', note: 'pending' } as const;
    return { state: 'done', value: state === 'error' ? undefined : entries } as const;
  };
  try {
    const entries = await waitFor({ what: `Usage report of ${imageId}`, everySeconds: 15, atMostSeconds: AT_MOST_SECONDS, poll }, deps);
    if (entries === undefined) return possible('its usage report failed');
    return entries
      .filter(({ account }) => account !== own)
      .map(({ account, resourceType, count }) => knownUser(`${count} ${resourceType} in account ${account} (usage report)`));
  } catch (failure) {
    if (!(failure instanceof TimeoutError)) throw failure;
    return possible('its usage report did not arrive');
  }
}
