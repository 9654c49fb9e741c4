import { RejectedError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { atVersions, formatLaunch, isOver } from '../model/group.ts';
import { isParameterReference } from '../model/patterns.ts';
import type { TemplateVersion } from '../model/template.ts';
import { removeGreenGroup } from './green-group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import type { RolloutDeps, RolloutPorts } from './rollout-state.ts';
import type { Blocker } from './rules/group-action.ts';
import { isEmptied } from './rules/group-pair.ts';
import { contentKey, type GroupPlan } from './rules/plan.ts';
import { inService } from './rules/proof.ts';
import { takeOver } from './take-over.ts';
import { tokenOf } from './template-versions.ts';

/** Ends what blocks a rollout, where a setting allows it. The groups are planned again afterwards. */

export interface BlockerContext {
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
  readonly timeoutSeconds: number;
  readonly versionDescription: string;
  /** Throws where another run moved the pointer or took over the environment. */
  confirm(): Promise<void>;
  /** What was done, a sentence each. It is not reverted when the rollout fails. */
  readonly cleared: string[];
}

export async function clearBlockers(plans: readonly GroupPlan[], context: BlockerContext): Promise<void> {
  for (const plan of plans) {
    const { blocker } = plan;
    if (blocker?.kind === 'refresh') await endRefresh(plan, blocker, context);
    if (blocker?.kind === 'successor') await endPair(plan, blocker.successor, context);
    if (blocker?.kind === 'parameter') await pinParameters(plan, context);
  }
}

async function endPair({ facts: { group, idle } }: GroupPlan, successor: string, context: BlockerContext): Promise<void> {
  await context.confirm();
  if (isEmptied(group)) {
    context.cleared.push(`${successor} took over from ${group.name}, which was already emptied`);
    return takeOver(new Map([[group.name, successor]]), context);
  }
  context.cleared.push(idle === undefined ? `green group ${successor} was deleted first` : `${successor} was emptied first`);
  return removeGreenGroup({ old: group.name, successor }, context);
}

async function endRefresh(
  { facts }: GroupPlan,
  { refresh, how }: Extract<Blocker, { kind: 'refresh' }>,
  { deps, aws, timeoutSeconds, cleared }: BlockerContext,
): Promise<void> {
  const { name } = facts.group;
  const isEnding = refresh.status === 'RollbackInProgress' || refresh.status === 'Cancelling';
  if (how === 'supersede' && !isEnding) {
    const rollback = await aws.groups.rollBack(name);
    // Our own rollout then replaces what the cancelled one left.
    if (rollback === 'impossible') await aws.groups.cancel(name);
    const ended = rollback === 'impossible' ? 'cancelled' : 'rolled back';
    if (rollback !== 'over') cleared.push(`refresh ${refresh.id} of ${name} was ${ended} first`);
    deps.report.info(`${name}: refresh ${refresh.id} is ${ended} first`);
  }
  const poll = tolerateTransientErrors<void>(async () => {
    const seen = await aws.groups.refresh(name, refresh.id);
    if (seen === undefined || isOver(seen)) return { state: 'done', value: undefined };
    return { state: 'waiting', note: `${seen.status}, ${seen.percent} %` };
  }, deps);
  await waitFor({ what: `Waiting for refresh ${refresh.id} of ${name}`, everySeconds: 15, atMostSeconds: timeoutSeconds, poll }, deps);
}

/** AWS cannot roll back a group whose template reads a parameter. So the group first gets version numbers with the image IDs of now. */
async function pinParameters({ facts: { group, versions, images } }: GroupPlan, context: BlockerContext): Promise<void> {
  const [runs, ...others] = new Set(group.members.filter(inService).map(({ id }) => images.get(id)));
  const running = others.length === 0 ? runs : undefined;
  const numbers = new Map<string, number>();
  for (const [key, version] of versions) numbers.set(key, await pinnedNumber(group.name, version, running, context));
  const [before, launch] = [formatLaunch(group.launch), atVersions(group.launch, numbers)];
  const after = formatLaunch(launch);
  context.cleared.push(`${group.name} stays pinned to ${after}, which has the image that ${before} read from its parameter`);
  await context.aws.groups.setLaunch(group.name, launch);
  context.deps.report.info(`${group.name}: pinned from ${before}, which reads a parameter, to ${after}, which has its current image ID`);
}

/** `running`: the image of all instances. It stands for a parameter that does not exist any more. */
async function pinnedNumber(
  group: string,
  source: TemplateVersion,
  running: string | undefined,
  { deps, aws, versionDescription }: BlockerContext,
): Promise<number> {
  const imageId = isParameterReference(source.imageId) ? ((await aws.launchTemplates.resolved(source)) ?? running) : source.imageId;
  if (imageId === undefined) throw new RejectedError(`${group}: ${source.imageId} cannot be resolved, so the group can launch nothing.`);
  const known = await aws.launchTemplates.withImage(source.templateId, imageId);
  const equal = known.find(other => contentKey(other) === contentKey(source));
  if (equal !== undefined) return equal.number;
  const token = tokenOf(source, imageId, deps);
  return (await aws.launchTemplates.create({ source, imageId, description: versionDescription, token })).version.number;
}
