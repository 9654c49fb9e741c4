import type { Sweeper } from '../image-build/rules/leftovers.ts';
import { type ExpiredLeftover, type Swept, sweepExpired } from '../image-build/sweep.ts';
import { ActionError, CancelledError } from '../kit/errors.ts';
import type { Image } from '../model/image.ts';
import { usersOf } from '../model/image-users.ts';
import type { Deps } from '../ports/deps.ts';
import type { Users } from './find-users.ts';
import type { Remaining } from './removal.ts';

/** What dead builds and validations left. Somebody may have made use of an image or a snapshot of theirs all the same: that one stays. */
export function unusedOf(
  dead: readonly ExpiredLeftover[],
  users: ReadonlyMap<string, readonly string[]>,
  owned: readonly Image[],
): readonly ExpiredLeftover[] {
  const snapshotsOf = (id: string) => owned.find(image => image.id === id)?.snapshotIds ?? [];
  const goes = ({ id, ending }: ExpiredLeftover) => !ending && usersOf(users, { id, snapshotIds: snapshotsOf(id) }).length === 0;
  const going = new Set(dead.filter(goes).map(({ id }) => id));
  // Of an image that stays, the snapshots stay.
  const held = new Set(owned.filter(({ id }) => !going.has(id)).flatMap(({ snapshotIds }) => snapshotIds));
  return dead.filter(({ id }) => going.has(id) && !held.has(id));
}

type NeededDeps = Deps<'images' | 'leftovers'>;

/** As planned, unless somebody came to use one meanwhile. */
export async function removeDead(
  planned: readonly ExpiredLeftover[],
  region: string,
  { users, owned }: { readonly users: Users; readonly owned: readonly Image[] },
  sweeper: Sweeper,
  deps: NeededDeps,
): Promise<{ readonly swept: readonly Swept[]; readonly left: readonly Remaining[] }> {
  if (planned.length === 0) return { swept: [], left: [] };
  try {
    if (deps.run.cancelled.aborted) throw new CancelledError();
    const now = await users.again(planned.filter(({ kind }) => kind === 'image').map(({ id }) => id));
    const going = new Set(unusedOf(planned, now, owned).map(({ id }) => id));
    const swept = await sweepExpired([region], sweeper, deps, ({ id }) => going.has(id));
    for (const { kind, id } of swept) deps.report.info(`${kind} ${id}, which a dead run had left, is removed.`);
    return { swept, left: [] };
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return { swept: [], left: [{ what: `what dead runs left in ${region}`, failure }] };
  }
}
