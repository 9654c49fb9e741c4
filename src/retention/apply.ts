import type { Swept } from '../image-build/sweep.ts';
import { ActionError, CancelledError } from '../kit/errors.ts';
import type { Snapshot } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import { removeDead } from './expired-runs.ts';
import { mark, unmark } from './marks.ts';
import type { Consumers } from './other-accounts.ts';
import { type RegionPlan, sweeperOf } from './plan.ts';
import { type Held, heldOf } from './recycle-bin.ts';
import { type Ended, type Remaining, removeAll } from './removal.ts';
import { orphans } from './rules/orphans.ts';
import type { Decision, Policy } from './rules/rules.ts';
import type { Survey } from './survey.ts';
import { dropVersions } from './template-versions.ts';

/** Does in one region what the plan says, in the order in which least is lost if it is killed: unmark, mark, remove, sweep. */

export interface Done {
  readonly ended: readonly Ended[];
  readonly versions: number;
  readonly strays: readonly Snapshot[];
  readonly swept: readonly Swept[];
  readonly held: readonly Held[];
  readonly left: readonly Remaining[];
}

export async function carryOut(
  plan: readonly Decision[],
  { survey, strays, versions, dead }: RegionPlan,
  policy: Policy,
  consumers: Consumers,
  deps: Deps<'images' | 'leftovers'>,
): Promise<Done> {
  const { region, aws, users } = survey;
  const of = (action: Decision['action']) => plan.filter(decision => decision.region === region && decision.action === action);
  const around = { ...deps, aws, users, consumers };
  const unmarked = await unmark(of('unmark'), policy, around);
  const marked = await mark(of('mark'), policy, around);
  const dropped = dropVersions(versions, aws, deps.report);
  const ended = await removeAll(of('remove'), policy, { keepSnapshots: false, before: dropped.of }, around);
  const stray = await sweep(await stillStray(strays, survey, policy, deps), aws.removal, deps);
  const leftovers = await removeDead(dead, region, survey, sweeperOf(policy, deps), deps);
  const removed = ended.flatMap(({ result, decision }) => (result === 'removed' ? [decision.image] : []));
  const ids = [...stray.swept, ...leftovers.swept].map(({ id }) => id);
  return {
    ended,
    versions: dropped.count(),
    strays: stray.swept,
    swept: leftovers.swept,
    held: await heldOf(removed, ids, aws, deps.report),
    left: [...unmarked, ...marked, ...stray.left, ...leftovers.left],
  };
}

/** Against what is there now: somebody may have made an image of one of them. */
async function stillStray(strays: readonly Snapshot[], { aws, users, recycled }: Survey, policy: Policy, { clock }: Deps<never>) {
  if (strays.length === 0) return [];
  const [images, used] = await Promise.all([aws.images.find({ includeDisabled: true }), users.again([])]);
  const unused = strays.filter(({ id }) => !used.has(id));
  return orphans(unused, images, policy, clock.now(), recycled);
}

async function sweep(
  snapshots: readonly Snapshot[],
  removal: Survey['aws']['removal'],
  { report, run }: Pick<Deps<never>, 'report' | 'run'>,
): Promise<{ readonly swept: readonly Snapshot[]; readonly left: readonly Remaining[] }> {
  const swept: Snapshot[] = [];
  const left: Remaining[] = [];
  for (const snapshot of snapshots) {
    try {
      if (run.cancelled.aborted) throw new CancelledError();
      const result = await removal.deleteSnapshot(snapshot.id);
      if (result === 'deleted') swept.push(snapshot);
      report.info(`snapshot ${snapshot.id}, which no image has: ${result}.`);
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      left.push({ what: `snapshot ${snapshot.id}`, failure });
    }
  }
  return { swept, left };
}
