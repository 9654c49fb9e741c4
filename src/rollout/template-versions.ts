import { createHash } from 'node:crypto';
import { concurrently } from '../kit/concurrently.ts';
import { RejectedError } from '../kit/errors.ts';
import { formatLaunch, type Group, isOver, type Launch, useKey, usesOf } from '../model/group.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { FailedRollout, RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from './rollout-state.ts';
import { afterwards, type Change, contentKey } from './rules/plan.ts';

/** Leaves behind a numbered template version with the image for every group, and changes what no group launches. */
export async function prepare(order: RolloutOrder, rollout: RolloutState, deps: RolloutDeps, aws: RolloutPorts): Promise<void> {
  await pin(order, deps, aws);
  const versions = await makeVersions(order, rollout, deps, aws);
  for (const { facts, before, changes, action } of order.plans) {
    if (action === 'nothing') continue;
    const target = afterwards(
      before,
      changes.map(change => ({ ...change, to: change.to ?? versions.get(contentKey(change.from)) })),
    );
    if (target !== undefined) rollout.targets.set(facts.group.name, target);
  }
}

/** Before a version is made: it would reach every scale-out of a group on `$Latest` at once, unproven. */
async function pin({ plans }: RolloutOrder, { report }: RolloutDeps, { groups }: RolloutPorts): Promise<void> {
  for (const { facts, before } of plans.filter(({ mustPin }) => mustPin)) {
    await groups.setLaunch(facts.group.name, before);
    report.info(`${facts.group.name}: pinned from ${formatLaunch(facts.group.launch)} to ${formatLaunch(before)}`);
  }
}

/** One version for all groups whose versions differ in nothing else. By template and content. */
async function makeVersions(
  order: RolloutOrder,
  rollout: RolloutState,
  deps: RolloutDeps,
  aws: RolloutPorts,
): Promise<ReadonlyMap<string, TemplateVersion>> {
  const made = new Map<string, TemplateVersion>();
  for (const change of order.plans.filter(({ action }) => action !== 'nothing').flatMap(({ changes }) => changes)) {
    const key = contentKey(change.from);
    if (made.has(key)) continue;
    const version = change.to ?? (await makeVersion(change, order, rollout, deps, aws));
    made.set(key, version);
    // Made by an earlier run that was lost; the version that the group launches anyway is none of our deeds.
    if (change.to !== undefined && change.to.number !== change.from.number) rollout.versions.push(version);
    const how = change.to === undefined ? 'made from' : change.to.number === change.from.number ? 'is' : 'exists already, equal to';
    deps.report.info(
      `${version.templateName}:${version.number} with ${order.image.id} ${how} ${change.from.templateName}:${change.from.number}`,
    );
  }
  return made;
}

async function makeVersion(
  { from }: Change,
  order: RolloutOrder,
  rollout: RolloutState,
  deps: RolloutDeps,
  { launchTemplates }: RolloutPorts,
): Promise<TemplateVersion> {
  const token = tokenOf(from, order.image.id, deps);
  const { version, warnings } = await launchTemplates.create({
    source: from,
    imageId: order.image.id,
    description: order.versionDescription,
    token,
  });
  rollout.versions.push(version);
  const name = `${from.templateName}:${version.number}`;
  if (warnings.length > 0) {
    throw new RejectedError(`AWS made ${name} from version ${from.number} and doubts that it launches: ${warnings.join('; ')}`, {
      next: 'Repair the launch template, then run the job again.',
    });
  }
  if (version.imageId !== order.image.id || version.content !== from.content) {
    throw new RejectedError(`${name} was made from version ${from.number}, but differs from it in more than the image.`, {
      next: `Compare both: aws ec2 describe-launch-template-versions --launch-template-id ${from.templateId} --versions ${from.number} ${version.number}`,
    });
  }
  return version;
}

/**
 * The same for every retry of this one call. A later run finds the version by its content, and must not use the token again: AWS would
 * answer with the version of then, even if we have removed it since.
 */
export const tokenOf = ({ templateId, number }: TemplateVersion, imageId: string, { run, clock }: RolloutDeps): string =>
  createHash('sha256')
    .update(JSON.stringify(['launch-template-version', run.id, run.attempt, run.job, templateId, number, imageId, clock.now()]))
    .digest('hex');

/** Removes template versions that were made in vain. Only those that we made, and that nobody uses: from one that is gone nothing can be launched. */
export async function removeVersions({ rollout, aws }: FailedRollout): Promise<readonly string[]> {
  const own = new Map(rollout.versions.filter(isOurs).map(version => [useKey(useOf(version)), version]));
  if (own.size === 0) return [];
  const users = await readUsers(aws);
  const left: string[] = [];
  for (const version of own.values()) {
    const used = await usedBy(version, users, aws);
    if (used.length > 0)
      left.push(`${version.templateName}:${version.number} stays: ${used.join(', ')} ${used.length === 1 ? 'uses' : 'use'} it`);
    else await aws.launchTemplates.remove(version);
  }
  return left;
}

const isOurs = ({ description }: TemplateVersion): boolean => description.startsWith('ami-action ');

const useOf = ({ templateId, number }: TemplateVersion) => ({ templateId, version: String(number) });

interface User {
  readonly name: string;
  /** By `useKey`, as it says it: a number, `$Latest` or `$Default`. */
  readonly uses: ReadonlySet<string>;
}

const AT_ONCE = 5;

/** Every group of the account, not only ours: what it launches, what its instances came from, and what a refresh is bringing it. */
async function readUsers({ groups }: RolloutPorts): Promise<readonly User[]> {
  return concurrently(await groups.find({}), AT_ONCE, async group => {
    const active = (await groups.refreshes(group.name)).filter(refresh => !isOver(refresh));
    const launches = [group.launch, ...active.map(({ desired }) => desired)].filter((launch): launch is Launch => launch !== undefined);
    return { name: group.name, uses: new Set([...launches.flatMap(usesOf), ...templatesOf(group)].map(useKey)) };
  });
}

const templatesOf = ({ members }: Group) => members.flatMap(({ template }) => (template === undefined ? [] : [template]));

/** What `$Latest` and `$Default` mean is asked now: somebody may have moved them since the version was made. */
async function usedBy(version: TemplateVersion, users: readonly User[], { launchTemplates }: RolloutPorts): Promise<readonly string[]> {
  const { templateId, number } = version;
  const [latest, byDefault] = await Promise.all(
    ['$Latest', '$Default'].map(moving => launchTemplates.version({ templateId, version: moving })),
  );
  const keys = [
    useKey(useOf(version)),
    ...(latest?.number === number ? [useKey({ templateId, version: '$Latest' })] : []),
    ...(byDefault?.number === number ? [useKey({ templateId, version: '$Default' })] : []),
  ];
  const groups = users.filter(({ uses }) => keys.some(key => uses.has(key))).map(({ name }) => name);
  // The default is what everybody gets who names no version, and not only groups do.
  return byDefault?.number === number ? [...groups, 'whoever launches the default version'] : groups;
}
