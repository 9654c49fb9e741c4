import { waitFor } from '../kit/wait.ts';
import type { Group } from '../model/group.ts';
import { DRAIN_SECONDS, drain, type Names, type PairDeps, waitUntilGone } from './drain-group.ts';
import { drainAndRemove, throwUnlessOurs } from './green-group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import { releaseMoved } from './launch-configuration/release.ts';
import { HELD_MIN, heldMin, isPermanent, ownMin, PAIR_TAGS, servesAfterPair } from './rules/group-pair.ts';
import type { GroupPlan } from './rules/plan.ts';
import { servingCount } from './rules/proof.ts';
import { throwIfStillServing } from './shift/traffic.ts';

/** The end of a pair: one group is emptied, and the other one serves alone. */

/** After the pointer has moved: the old group drains and is deleted. A run that stops here is finished by the next one with the same settings. */
export async function takeOver(
  successors: ReadonlyMap<string, string>,
  { confirm, ...pairDeps }: PairDeps & { confirm(): Promise<void> },
): Promise<void> {
  const { deps, aws } = pairDeps;
  for (const [old, successor] of successors) {
    const groups = await aws.groups.find({ names: [old, successor] });
    const [group, green] = [old, successor].map(name => groups.find(each => each.name === name));
    if (group !== undefined && !group.beingDeleted) {
      throwUnlessOurs(green, { old, successor });
      // A run that goes back writes its candidate first and reads the pointer then; this one moved the pointer first: one of the two stops.
      await confirm();
      await throwIfStillServing(green, pairDeps);
      if (await waitUntilCapable({ old, successor }, pairDeps)) await confirm();
      if (isPermanent(green)) {
        await drain(old, `it then gives ${successor} its minimum size`, pairDeps);
        if (heldMin(group) !== undefined) await aws.groups.untag(old, [HELD_MIN]);
      } else await drainAndRemove(group, { old, successor }, pairDeps, () => stopGrowth({ old, successor }, pairDeps));
    }
    if (green === undefined || !isPermanent(green)) await waitUntilGone(old, `Deleting ${old}`, pairDeps);
    if (green !== undefined) await release(green, pairDeps);
    deps.report.info(`${successor}: took over from ${old}, which was ${green !== undefined && isPermanent(green) ? 'emptied' : 'deleted'}`);
  }
}

/** No schedule may make the old group grow again while it drains. An emptied group never serves again, so no run must resume its processes. */
async function stopGrowth({ old, successor }: Names, { aws, deps }: PairDeps): Promise<void> {
  await aws.groups.suspend(old, ['AlarmNotification', 'ScheduledActions']);
  await aws.groups.copySchedules(old, successor, deps.clock.now());
}

/** Since the proof the old group may have grown, or the green group may have lost instances. Returns whether it had to wait. */
async function waitUntilCapable({ old, successor }: Names, { deps, aws }: PairDeps): Promise<boolean> {
  let looks = 0;
  const poll = tolerateTransientErrors<void>(async () => {
    const groups = await aws.groups.find({ names: [old, successor] });
    const [group, green] = [old, successor].map(name => groups.find(each => each.name === name));
    if (group === undefined) return { state: 'done', value: undefined };
    throwUnlessOurs(green, { old, successor });
    if (green.desired < group.desired) await aws.groups.resize(successor, { max: Math.max(group.max, green.max), desired: group.desired });
    const serving = servingCount(green);
    if (serving >= group.desired) return { state: 'done', value: undefined };
    looks += 1;
    return { state: 'waiting', note: `${serving} of ${group.desired} instances in service` };
  }, deps);
  const next = `Check why ${successor} lacks instances, then re-run the job: it empties ${old} when ${successor} can carry its load.`;
  await waitFor({ what: `Waiting for ${successor}`, everySeconds: 10, atMostSeconds: DRAIN_SECONDS, poll, next }, deps);
  return looks > 0;
}

/** For a group that serves alone: its own minimum size again, and no tag of a pair. */
async function release(group: Group, { aws }: Pick<PairDeps, 'aws'>): Promise<void> {
  const min = ownMin(group);
  if (min < group.min) await aws.groups.resize(group.name, { min });
  await aws.groups.untag(group.name, PAIR_TAGS);
}

/** A run that stopped right after the other group was gone left them: the groups of a plan serve, so a group with the tag serves alone. */
export async function releaseAll(plans: readonly GroupPlan[], aws: Pick<PairDeps, 'aws'>): Promise<void> {
  await releaseMoved(plans, aws.aws);
  for (const { facts } of plans) if (servesAfterPair(facts)) await release(facts.group, aws);
}
