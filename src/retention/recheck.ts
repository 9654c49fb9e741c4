import { usersOf } from '../model/image-users.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { askAgain, type Ports } from './evidence.ts';
import type { Users } from './find-users.ts';
import type { Consumers } from './other-accounts.ts';
import { type Decision, guard, type Policy, takenAgainAt } from './rules/rules.ts';

/** Between the plan and the deed somebody may have come to use an image: whatever cannot be undone looks again first. */

export interface RemovalWorld extends Pick<Deps<never>, 'report' | 'run' | 'clock'> {
  readonly aws: Pick<RegionClients, 'images'> & Ports;
  readonly users: Users;
  /** Without it, everybody that an image is shared with counts as a user. */
  readonly consumers?: Pick<Consumers, 'again'>;
}

// A second look costs as much for one image as for a hundred: about ten calls, and one for each Auto Scaling group. A hundred are gone within seconds.
export const LOOKED_AT_TOGETHER = 100;

/** Why some of them stay after all. */
export async function lookAgain(
  batch: readonly Decision[],
  policy: Policy,
  { aws, users, consumers }: RemovalWorld,
): Promise<ReadonlyMap<Decision, string>> {
  const ids = batch.map(({ image }) => image.id);
  const [now, again, told] = await Promise.all([
    aws.images.find({ ids, includeDisabled: true }),
    users.again(ids),
    askAgain(ids, batch[0]?.region ?? '', aws, consumers),
  ]);
  const reasons = batch.flatMap(decision => {
    // One that this listing lacks may be there all the same: listings are not consistent. Then what was seen of it before must do.
    const image = now.find(({ id }) => id === decision.image.id) ?? decision.image;
    const isTaken = takenAgainAt(image, policy.scheme) !== takenAgainAt(decision.image, policy.scheme);
    const reason =
      guard({ ...decision, image, users: [...usersOf(again, image), ...(told.get(image.id) ?? [])] }, policy) ??
      (isTaken ? 'a push has taken it again' : undefined);
    return reason === undefined ? [] : [[decision, reason] as const];
  });
  return new Map(reasons);
}
