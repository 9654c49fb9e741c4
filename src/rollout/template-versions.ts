import { createHash } from 'node:crypto';
import { concurrently } from '../kit/concurrently.ts';
import { RejectedError } from '../kit/errors.ts';
import { formatLaunch, type Group, isOver, type Launch, useKey, usesOf } from '../model/group.ts';
import type { TemplateVersion } from '../model/template.ts';
import { convertAll, copyConfiguration } from './launch-configuration/apply.ts';
import type { FailedRollout, RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from './rollout-state.ts';
import { launcherOf } from './rules/group-pair.ts';
import { type Change, contentKey, launchAfter } from './rules/plan.ts';

/** Creates the template versions that the groups need. No group launches them yet. */
export async function prepare(order: RolloutOrder, rollout: RolloutState, deps: RolloutDeps, aws: RolloutPorts): Promise<void> {
  await pin(order, deps, aws);
  const plans = await convertAll({ order, deps, aws });
  const versions = await createVersions({ ...order, plans }, rollout, deps, aws);
  for (const plan of plans) {
    const { facts, before, changes, action } = plan;
    if (action === 'nothing') continue;
    const copy = plan.by === 'configuration' ? await copyConfiguration(plan, { order, deps, aws }) : undefined;
    const target =
      copy ??
      launchAfter(
        before,
        changes.map(change => ({ ...change, to: change.to ?? versions.get(contentKey(change.from)) })),
      );
    if (target !== undefined) rollout.targets.set(facts.group.name, target);
  }
}

/** Before a version is created: a group on `$Latest` would launch it at once. */
async function pin({ plans }: RolloutOrder, { report }: RolloutDeps, { groups }: RolloutPorts): Promise<void> {
  for (const { facts, before } of plans.filter(({ mustPin }) => mustPin)) {
    const { name, launch } = launcherOf(facts);
    await groups.setLaunch(name, before);
    report.info(`${name}: pinned from ${formatLaunch(launch)} to ${formatLaunch(before)}`);
  }
}

/** One version for all groups whose versions differ in the image only; by template and content. */
async function createVersions(
  order: RolloutOrder,
  rollout: RolloutState,
  deps: RolloutDeps,
  aws: RolloutPorts,
): Promise<ReadonlyMap<string, TemplateVersion>> {
  const versions = new Map<string, TemplateVersion>();
  for (const change of order.plans.filter(({ action }) => action !== 'nothing').flatMap(({ changes }) => changes)) {
    const key = contentKey(change.from);
    if (versions.has(key)) continue;
    const version = change.to ?? (await createVersion(change, order, rollout, deps, aws));
    versions.set(key, version);
    // Created by an earlier run. The version that the group already launches is not ours to delete.
    if (change.to !== undefined && change.to.number !== change.from.number) rollout.versions.push(version);
    const how = change.to === undefined ? 'created from' : change.to.number === change.from.number ? 'is' : 'exists already, equal to';
    deps.report.info(
      `${version.templateName}:${version.number} with ${order.image.id} ${how} ${change.from.templateName}:${change.from.number}`,
    );
  }
  return versions;
}

export async function createVersion(
  { from }: Change,
  order: Pick<RolloutOrder, 'image' | 'versionDescription'>,
  rollout: { readonly versions: TemplateVersion[] },
  deps: RolloutDeps,
  { launchTemplates }: Pick<RolloutPorts, 'launchTemplates'>,
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
    throw new RejectedError(`AWS created ${name} from version ${from.number} with warnings: ${warnings.join('; ')}`, {
      next: 'Fix the launch template and re-run the job.',
    });
  }
  if (version.imageId !== order.image.id || version.content !== from.content) {
    throw new RejectedError(`${name} was created from version ${from.number}, but differs in more than the image.`, {
      next: `Compare: aws ec2 describe-launch-template-versions --launch-template-id ${from.templateId} --versions ${from.number} ${version.number}`,
    });
  }
  return version;
}

/** The same for every retry of one call, and another one in each run: AWS answers a known token with the version of then, even if it was deleted. */
export const tokenOf = ({ templateId, number }: TemplateVersion, imageId: string, { run, clock }: RolloutDeps): string =>
  createHash('sha256')
    .update(JSON.stringify(['launch-template-version', run.id, run.attempt, run.job, templateId, number, imageId, clock.now()]))
    .digest('hex');

/** Deletes the versions that this rollout created and nothing uses. Returns those that stay, each with its users. */
export async function removeVersions({ rollout, aws }: FailedRollout): Promise<readonly string[]> {
  const own = new Map(rollout.versions.filter(isOurs).map(version => [useKey(useOf(version)), version]));
  if (own.size === 0) return [];
  const users = await readUsers(aws);
  const kept: string[] = [];
  for (const version of own.values()) {
    const used = await usedBy(version, users, aws);
    if (used.length > 0)
      kept.push(`${version.templateName}:${version.number} stays: ${used.join(', ')} ${used.length === 1 ? 'uses' : 'use'} it`);
    else await aws.launchTemplates.remove(version);
  }
  return kept;
}

const isOurs = ({ description }: TemplateVersion): boolean => description.startsWith('ami-action ');

const useOf = ({ templateId, number }: TemplateVersion) => ({ templateId, version: String(number) });

interface User {
  readonly name: string;
  /** By `useKey`: a number, `$Latest` or `$Default`. */
  readonly uses: ReadonlySet<string>;
}

const AT_ONCE = 5;

/** All groups of the account, each with what it launches, what its instances were launched from, and the target of its refresh. */
async function readUsers({ groups }: RolloutPorts): Promise<readonly User[]> {
  return concurrently(await groups.find({}), AT_ONCE, async group => {
    const active = (await groups.refreshes(group.name)).filter(refresh => !isOver(refresh));
    const launches = [group.launch, ...active.map(({ desired }) => desired)].filter((launch): launch is Launch => launch !== undefined);
    return { name: group.name, uses: new Set([...launches.flatMap(usesOf), ...templatesOf(group)].map(useKey)) };
  });
}

/** An instance that is being terminated needs its version no more. */
const templatesOf = ({ members }: Group) =>
  members.flatMap(({ template, state }) => (template === undefined || state.startsWith('Terminat') ? [] : [template]));

/** Reads `$Latest` and `$Default` again, because they may have moved since the version was created. */
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
  return byDefault?.number === number ? [...groups, 'everything that launches the default version'] : groups;
}
