import type { Swept } from '../image-build/sweep.ts';
import type { Snapshot } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import { mark, unmark } from './marks.ts';
import type { CrossAccount } from './other-accounts.ts';
import { removeExpired, removeSnapshots, removeVersions } from './other-deletions.ts';
import { type RegionPlan, sweeperOf } from './plan.ts';
import { type Held, heldOf } from './recycle-bin.ts';
import { type Remaining, type RemovalResult, removeAll } from './removal.ts';
import type { Decision, Policy } from './rules/rules.ts';

export interface Applied {
  readonly results: readonly RemovalResult[];
  readonly versions: number;
  readonly snapshots: readonly Snapshot[];
  readonly swept: readonly Swept[];
  readonly held: readonly Held[];
  readonly remaining: readonly Remaining[];
}

/** Applies the plan in one region, in the order that loses least if the run is killed: unmark, mark, remove images, remove the rest. */
export async function applyPlan(
  plan: readonly Decision[],
  { survey, orphanedSnapshots, versions, expired }: RegionPlan,
  policy: Policy,
  accounts: CrossAccount,
  deps: Deps<'images' | 'leftovers'>,
): Promise<Applied> {
  const { region, aws, users } = survey;
  const withAction = (action: Decision['action']) => plan.filter(decision => decision.region === region && decision.action === action);
  const removalDeps = { ...deps, aws, users, accounts };
  const unmarked = await unmark(withAction('unmark'), policy, removalDeps);
  const marked = await mark(withAction('mark'), policy, removalDeps);
  const removed = removeVersions(versions, aws, deps.report);
  // The oldest first: until the last moment a promotion may take a newer one.
  const results = await removeAll(withAction('remove').reverse(), policy, { keepSnapshots: false, before: removed.of }, removalDeps);
  const snapshots = await removeSnapshots(orphanedSnapshots, survey, policy, deps);
  const leftovers = await removeExpired(expired, survey, sweeperOf(policy, deps), deps);
  const images = results.flatMap(({ result, decision }) => (result === 'removed' ? [decision.image] : []));
  const otherIds = [...snapshots.swept, ...leftovers.swept].map(({ id }) => id);
  return {
    results,
    versions: removed.count(),
    snapshots: snapshots.swept,
    swept: leftovers.swept,
    held: await heldOf(images, otherIds, aws, deps.report),
    remaining: [...unmarked, ...marked, ...snapshots.remaining, ...leftovers.remaining],
  };
}
