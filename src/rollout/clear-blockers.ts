import { RejectedError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { atVersions, formatLaunch, isOver } from '../model/group.ts';
import { isParameterReference } from '../model/patterns.ts';
import { drop, takeOver } from './blue-green.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import type { RolloutDeps, RolloutPorts } from './rollout-state.ts';
import type { Blocker } from './rules/group-action.ts';
import { isEmptied } from './rules/group-pair.ts';
import { contentKey, type GroupPlan } from './rules/plan.ts';
import { tokenOf } from './template-versions.ts';

/** Clears away what stands in the way of a roll, where the user said that it may be; the plan is made again afterwards. */

export interface Way {
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
  readonly timeoutSeconds: number;
  readonly versionDescription: string;
  /** What was done to clear it, a sentence each: it is not taken back when the roll fails. */
  readonly cleared: string[];
}

export async function clearBlockers(plans: readonly GroupPlan[], way: Way): Promise<void> {
  for (const plan of plans) {
    const { blocker } = plan;
    if (blocker?.kind === 'refresh') await endOf(plan, blocker, way);
    if (blocker?.kind === 'successor') await successorGone(plan, blocker.successor, way);
    if (blocker?.kind === 'parameter') await pinParameters(plan, way);
  }
}

async function successorGone({ facts: { group } }: GroupPlan, successor: string, way: Way): Promise<void> {
  if (isEmptied(group)) {
    way.cleared.push(`${successor} has taken over from ${group.name}, which was emptied for it already`);
    await takeOver(new Map([[group.name, successor]]), way);
    return;
  }
  way.cleared.push(`${successor} was removed to make way`);
  await drop(successor, way);
}

async function endOf(
  { facts }: GroupPlan,
  { refresh, how }: Extract<Blocker, { kind: 'refresh' }>,
  { deps, aws, timeoutSeconds, cleared }: Way,
): Promise<void> {
  const { name } = facts.group;
  const ending = refresh.status === 'RollbackInProgress' || refresh.status === 'Cancelling';
  if (how === 'supersede' && !ending) {
    // Rolled back where AWS can; else stopped where it stands: our own roll replaces what it left.
    const said = await aws.groups.rollBack(name);
    if (said === 'impossible') await aws.groups.cancel(name);
    const ends = said === 'impossible' ? 'cancelled' : 'rolled back';
    if (said !== 'over') cleared.push(`refresh ${refresh.id} of ${name} was ${ends} to make way`);
    deps.report.info(`${name}: refresh ${refresh.id} is ${ends} to make way`);
  }
  const poll = tolerateTransientErrors<void>(async () => {
    const seen = await aws.groups.refresh(name, refresh.id);
    if (seen === undefined || isOver(seen)) return { state: 'done', value: undefined };
    return { state: 'waiting', note: `${seen.status}, ${seen.percent} %` };
  }, deps);
  await waitFor({ what: `${name}: the refresh ${refresh.id} before ours`, everySeconds: 15, atMostSeconds: timeoutSeconds, poll }, deps);
}

/** AWS rolls back no group whose template reads a parameter. So the group first gets a number that means what the parameter means now. */
async function pinParameters({ facts }: GroupPlan, way: Way): Promise<void> {
  const { deps, aws } = way;
  const { group, versions } = facts;
  const numbers = new Map<string, number>();
  for (const [key, version] of versions) {
    const imageId = isParameterReference(version.imageId) ? await aws.launchTemplates.resolved(version) : version.imageId;
    if (imageId === undefined)
      throw new RejectedError(`${group.name}: ${version.imageId} cannot be resolved, so nothing can be launched at all.`);
    const known = (await aws.launchTemplates.withImage(version.templateId, imageId)).find(
      other => contentKey(other) === contentKey(version),
    );
    const pinned =
      known ??
      (
        await aws.launchTemplates.create({
          source: version,
          imageId,
          description: way.versionDescription,
          token: tokenOf(version, imageId, deps),
        })
      ).version;
    numbers.set(key, pinned.number);
  }
  const launch = atVersions(group.launch, numbers);
  way.cleared.push(
    `${group.name} stays pinned to ${formatLaunch(launch)}, which names the image that ${formatLaunch(group.launch)} read from its parameter`,
  );
  await aws.groups.setLaunch(group.name, launch);
  deps.report.info(
    `${group.name}: pinned from ${formatLaunch(group.launch)}, which reads a parameter, to ${formatLaunch(launch)}, which names what it means now`,
  );
}
