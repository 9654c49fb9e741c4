import { clearBlockers } from './clear-blockers.ts';
import type { Leftovers } from './leftovers.ts';
import { planPromotion, throwIfRefused } from './plan.ts';
import { isCandidate, throwIfChanged, throwIfReplaced } from './pointer.ts';
import { versionDescription } from './roll-groups.ts';
import type { RegionPlan } from './rollout-spec.ts';

/** Between the candidate and the rollout: other runs and refreshes are out of the way, or the rollout is refused. */

export const readyToRollOut = async (plan: RegionPlan, leftovers: Leftovers): Promise<RegionPlan> =>
  withBlockersCleared(await planTakeover(plan), leftovers);

/** Removing a blocker may change what a group runs, so the region is planned again. */
async function withBlockersCleared(plan: RegionPlan, leftovers: Leftovers): Promise<RegionPlan> {
  const { deps, aws, region, several, roll, groups } = plan;
  if (groups.every(({ blocker }) => blocker === undefined)) return plan;
  const cleared: string[] = [];
  const way = {
    ...{ deps, aws, cleared, timeoutSeconds: roll.rollTimeout },
    versionDescription: versionDescription(plan),
    async confirm() {
      throwIfChanged(plan, await throwIfReplaced(plan, aws));
    },
  };
  await deps.report
    .step('Clear blockers', () => clearBlockers(groups, way))
    .finally(() => leftovers.cleared.push(...cleared.map(line => (several ? `${region}: ${line}` : line))));
  return planAgain(plan);
}

async function planAgain(plan: RegionPlan): Promise<RegionPlan> {
  const again = { ...plan, ...(await planPromotion(plan, plan.deps, plan.aws)) };
  throwIfRefused([again]);
  // Waiting for another rollout may have taken long.
  throwIfChanged(again, await throwIfReplaced(again, plan.aws));
  return again;
}

// Between its look at the candidate and the refresh that it then starts.
const TAKEOVER_SECONDS = 15;

/** Another run that has not finished may have looked at its candidate right before this one replaced it: what it has started since is planned with. */
async function planTakeover(plan: RegionPlan): Promise<RegionPlan> {
  if (plan.pointer.candidate === undefined || isCandidate(plan)) return plan;
  await plan.deps.clock.sleep(TAKEOVER_SECONDS * 1000);
  return planAgain(plan);
}
