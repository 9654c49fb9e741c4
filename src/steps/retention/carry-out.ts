import { orphans, type Snapshot } from '../../domain/retention/orphans.ts';
import type { Decision } from '../../domain/retention/retention.ts';
import type { Policy } from '../../domain/retention/rules.ts';
import { CancelledError, Expected } from '../../kit/errors.ts';
import type { Powers } from '../../world.ts';
import type { Consumers } from './consumers.ts';
import { mark, unmark } from './marks.ts';
import { type Ended, type Left, removeAll } from './removal.ts';
import type { Survey } from './survey.ts';
import { dropVersions } from './template-versions.ts';

/** Does in one region what the plan says, in the order in which least is lost if it is killed: unmark, mark, remove, sweep. */

export interface Done {
  readonly ended: readonly Ended[];
  readonly swept: readonly Snapshot[];
  readonly left: readonly Left[];
}

export async function carryOut(
  plan: readonly Decision[],
  strays: readonly Snapshot[],
  { region, place, users }: Survey,
  policy: Policy,
  consumers: Consumers,
  wish: { readonly templateVersions: boolean },
  world: Powers<'launchTemplates'>,
): Promise<Done> {
  const of = (action: Decision['action']) => plan.filter(decision => decision.region === region && decision.action === action);
  const around = { ...world, place, users, consumers };
  await unmark(of('unmark'), policy, around);
  await mark(of('mark'), policy, around);
  const ended = await removeAll(of('remove'), policy, false, around);
  const gone = ended.flatMap(({ result, decision }) => (result === 'removed' ? [decision.image.id] : []));
  if (wish.templateVersions && !world.run.cancelled.aborted) await dropVersions(gone, users, world.at({ region }), world);
  // Once more against what is there now: somebody may have made an image of one of them.
  const [images, used] =
    strays.length === 0 ? [[], new Map()] : await Promise.all([place.images.find({ includeDisabled: true }), users.again([])]);
  const unused = strays.filter(({ id }) => !used.has(id));
  return { ended, ...(await sweep(orphans(unused, images, policy, world.clock.now()), place.removal, world)) };
}

async function sweep(
  snapshots: readonly Snapshot[],
  removal: Survey['place']['removal'],
  { report, run }: Pick<Powers<never>, 'report' | 'run'>,
): Promise<Pick<Done, 'swept' | 'left'>> {
  const swept: Snapshot[] = [];
  const left: Left[] = [];
  for (const snapshot of snapshots) {
    try {
      if (run.cancelled.aborted) throw new CancelledError();
      const result = await removal.deleteSnapshot(snapshot.id);
      if (result === 'deleted') swept.push(snapshot);
      report.info(`snapshot ${snapshot.id}, which no image has: ${result}.`);
    } catch (failure) {
      if (!(failure instanceof Expected)) throw failure;
      left.push({ what: `snapshot ${snapshot.id}`, failure });
    }
  }
  return { swept, left };
}
