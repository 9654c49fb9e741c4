import { TimeoutError, UnknownError, UnreachableError } from '../kit/errors.ts';
import { isOver, type Launch, type Refresh, sameLaunch } from '../model/group.ts';
import type { RolloutPorts } from './rollout-state.ts';
import type { GroupPlan } from './rules/plan.ts';

/** Starting a refresh has no client token: both "one is running" and no answer at all may mean the one that we just started. */

type Start = Pick<GroupPlan, 'facts' | 'by' | 'preferences'>;

/** The ID; undefined where one of somebody else is in the way. */
export async function startOrAdopt(plan: Start, to: Launch | undefined, aws: RolloutPorts): Promise<string | undefined> {
  const launch = plan.by === 'pointer' ? undefined : to;
  const adopt = async () => (await ourRefresh(plan, to, aws))?.id;
  try {
    const id = await aws.groups.start({ group: plan.facts.group.name, launch, preferences: plan.preferences });
    return id ?? (await adopt());
  } catch (cause) {
    if (!(cause instanceof TimeoutError || cause instanceof UnknownError || cause instanceof UnreachableError)) throw cause;
    const begun = await adopt().catch(() => undefined);
    if (begun === undefined) throw cause;
    return begun;
  }
}

/** The one that runs now, if it leads where ours does: that is all by which it can be known. */
export async function ourRefresh({ facts, by }: Start, to: Launch | undefined, { groups }: RolloutPorts): Promise<Refresh | undefined> {
  const active = (await groups.refreshes(facts.group.name)).find(refresh => !isOver(refresh));
  const same = by === 'pointer' ? active?.desired === undefined : sameLaunch(active?.desired, to);
  return same ? active : undefined;
}
