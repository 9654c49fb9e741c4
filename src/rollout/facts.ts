import { closest } from 'fastest-levenshtein';
import { concurrently } from '../kit/concurrently.ts';
import { UsageError } from '../kit/errors.ts';
import { type Group, isOver, type TemplateUse, useKey, usesOf, withRootVolumes } from '../model/group.ts';
import type { Architecture } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { RegionClients } from '../ports/deps.ts';
import type { GroupFacts } from './rules/facts.ts';
import { activeGroup, greenGroupName, otherNameProblem, SUCCESSOR_OF, successorOf } from './rules/group-pair.ts';
import { contentKey } from './rules/plan.ts';
import { typesOf } from './rules/refusals.ts';
import type { RolloutInputs } from './rules/settings.ts';

/** Reads what decides how groups are rolled out. Writes nothing. */

export type FactPorts = Pick<RegionClients, 'groups' | 'launchTemplates' | 'images' | 'instances' | 'alarms'>;

// Few enough that fifty groups do not use up the request rate of the account.
const AT_ONCE = 5;

export type GroupSelector = Pick<RolloutInputs, 'groups' | 'groupTags' | 'strategy' | 'alarms'>;

/** `listed`: all groups of the account, where they were just read. Throws a `UsageError` if a selected group does not exist. */
export async function readGroups(
  which: GroupSelector,
  imageId: string,
  aws: FactPorts,
  listed?: readonly Group[],
): Promise<readonly GroupFacts[]> {
  // All groups, because others may launch from the same templates.
  const allGroups = listed ?? (await aws.groups.find({}));
  const chosen = choose(allGroups, which);
  const uses = new Map(chosen.flatMap(({ launch }) => usesOf(launch)).map(use => [useKey(use), use]));
  const versions = await readVersions([...uses.values()], aws);
  const warmPools = await readWarmPools(chosen, aws);
  const [active, pairs, ready, images, snapshots, alarms] = await Promise.all([
    readActive(chosen, aws),
    readPairs(chosen, allGroups, which, aws),
    readReady([...versions.values()], imageId, aws),
    aws.groups.imagesOf([...chosen.flatMap(({ members }) => members.map(({ id }) => id)), ...warmPools.flat()]),
    readSnapshots([...versions.values()], aws),
    which.alarms === undefined || which.strategy !== 'rolling' ? new Map<string, string>() : aws.alarms.states(which.alarms),
  ]);
  const facts = chosen.map((group, i) => {
    const own = new Map(
      usesOf(group.launch).flatMap(use => (versions.has(useKey(use)) ? [[useKey(use), versions.get(useKey(use)) as TemplateVersion]] : [])),
    );
    return {
      group,
      active: active[i]?.active,
      activeIsOurs: active[i]?.ours ?? false,
      successor: pairs[i]?.successor,
      cannotCopy: pairs[i]?.cannotCopy ?? [],
      hooks: pairs[i]?.hooks ?? [],
      nameTaken: allGroups.some(
        other => other.name === greenGroupName(group.name) && other !== pairs[i]?.successor?.group && !other.beingDeleted,
      ),
      warmPool: warmPools[i] ?? [],
      versions: own,
      ready,
      images: withRootVolumes(images, chosen),
      imageSnapshots: snapshots,
      alarms,
      latestUsers: latestUsersOf(group, allGroups, chosen),
    };
  });
  const architectures = await readArchitectures([...new Set(facts.flatMap(typesOf))], aws);
  return facts.map(fact => ({ ...fact, architectures }));
}

function choose(allGroups: readonly Group[], { groups = [], groupTags = {}, strategy }: GroupSelector): readonly Group[] {
  const names = allGroups.map(({ name }) => name);
  const problems = groups
    .filter(name => activeGroup(allGroups, name, strategy) === undefined)
    .map(
      name =>
        otherNameProblem(allGroups, name) ??
        `"groups": Auto Scaling group "${name}" does not exist in this account and region${names.length === 0 ? '' : `, did you mean "${closest(name, names)}"?`}`,
    );
  const tags = Object.entries(groupTags);
  // A green group has the tags of the group that it copies, and does not serve yet.
  const isGreen = (group: Group) => allGroups.some(other => other.name === group.tags[SUCCESSOR_OF] && !other.beingDeleted);
  const tagged =
    tags.length === 0 ? [] : allGroups.filter(group => !isGreen(group) && tags.every(([key, value]) => group.tags[key] === value));
  if (tags.length > 0 && tagged.length === 0) {
    problems.push(
      `"group-tags" matches no Auto Scaling group of this account and region: ${tags.map(([key, value]) => `${key}=${value}`).join(', ')}`,
    );
  }
  if (problems.length > 0) throw new UsageError(problems);
  const named = groups.flatMap(name => activeGroup(allGroups, name, strategy) ?? []);
  return [...new Set([...named, ...tagged])];
}

async function readVersions(uses: readonly TemplateUse[], { launchTemplates }: FactPorts): Promise<ReadonlyMap<string, TemplateVersion>> {
  const found = await concurrently(uses, AT_ONCE, async use => [useKey(use), await launchTemplates.version(use)] as const);
  return new Map(found.flatMap(([key, version]) => (version === undefined ? [] : [[key, version]])));
}

const readWarmPools = (groups: readonly Group[], { groups: port }: FactPorts) =>
  concurrently(groups, AT_ONCE, async ({ name, warmPool }) => (warmPool ? port.warmPool(name) : []));

/** A refresh is ours if ami-action created every version that it rolls out. */
const readActive = (groups: readonly Group[], { groups: port, launchTemplates }: FactPorts) =>
  concurrently(groups, AT_ONCE, async ({ name }) => {
    const active = (await port.refreshes(name)).find(refresh => !isOver(refresh));
    const made = await concurrently(active?.desired === undefined ? [] : usesOf(active.desired), AT_ONCE, use =>
      launchTemplates.version(use),
    );
    return { active, ours: made.length > 0 && made.every(version => version?.description.startsWith('ami-action ')) };
  });

/** The green group of each group, or else what of the group cannot be copied to one. */
const readPairs = (
  chosen: readonly Group[],
  allGroups: readonly Group[],
  { strategy }: GroupSelector,
  { groups, launchTemplates }: FactPorts,
) =>
  concurrently(chosen, AT_ONCE, async group => {
    const green = successorOf(allGroups, group);
    const [use] = green === undefined ? [] : usesOf(green.launch);
    const version = use === undefined ? undefined : await launchTemplates.version(use);
    const limits = strategy === 'blue-green' && green === undefined ? await groups.copyLimits(group.name) : { cannotCopy: [], hooks: [] };
    return { successor: green === undefined ? undefined : { group: green, imageId: version?.imageId }, ...limits };
  });

/** Versions with the image, by template and content. Of several equal ones, the newest. */
async function readReady(
  versions: readonly TemplateVersion[],
  imageId: string,
  { launchTemplates }: FactPorts,
): Promise<ReadonlyMap<string, TemplateVersion>> {
  const templates = [...new Set(versions.map(({ templateId }) => templateId))];
  const found = await concurrently(templates, AT_ONCE, templateId => launchTemplates.withImage(templateId, imageId));
  const oldestFirst = found.flat().sort((a, b) => a.number - b.number);
  return new Map(oldestFirst.map(version => [contentKey(version), version]));
}

/** Snapshots of the current images, read only where a template names snapshots. */
async function readSnapshots(versions: readonly TemplateVersion[], { images }: FactPorts): Promise<ReadonlySet<string>> {
  const ids = [...new Set(versions.filter(({ snapshotIds }) => snapshotIds.length > 0).map(({ imageId }) => imageId))];
  const found = await concurrently(ids, AT_ONCE, id => images.get(id));
  return new Set(found.flatMap(image => image?.snapshotIds ?? []));
}

async function readArchitectures(
  types: readonly string[],
  { instances }: FactPorts,
): Promise<ReadonlyMap<string, readonly Architecture[] | undefined>> {
  return new Map(await concurrently(types, AT_ONCE, async type => [type, await instances.architectures(type)] as const));
}

function latestUsersOf(group: Group, allGroups: readonly Group[], chosen: readonly Group[]): ReadonlyMap<string, readonly string[]> {
  const templates = new Set(usesOf(group.launch).map(({ templateId }) => templateId));
  const others = allGroups.filter(other => !chosen.includes(other) && !chosen.some(({ name }) => name === other.tags[SUCCESSOR_OF]));
  const latest = (other: Group) =>
    usesOf(other.launch)
      .filter(({ version }) => version === '$Latest')
      .map(({ templateId }) => templateId);
  return new Map(
    [...templates]
      .map(templateId => [templateId, others.filter(other => latest(other).includes(templateId)).map(({ name }) => name)] as const)
      .filter(([, names]) => names.length > 0),
  );
}
