import { closest } from 'fastest-levenshtein';
import { concurrently } from '../kit/concurrently.ts';
import { UsageError } from '../kit/errors.ts';
import { type Group, isOver, type TemplateUse, useKey, usesOf } from '../model/group.ts';
import type { Architecture } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { RegionClients } from '../ports/deps.ts';
import type { GroupFacts } from './rules/facts.ts';
import { activeGroup, SUCCESSOR_OF, successorOf } from './rules/group-pair.ts';
import { contentKey } from './rules/plan.ts';
import { typesOf } from './rules/refusals.ts';

/** Reads everything about the groups that decides how they are rolled. It writes nothing. */

export type FactPorts = Pick<RegionClients, 'groups' | 'launchTemplates' | 'images' | 'instances'>;

// Enough to be quick, few enough that fifty groups do not use up the account's rate.
const AT_ONCE = 5;

export interface GroupSelector {
  readonly groups?: readonly string[] | undefined;
  readonly groupTags?: Readonly<Record<string, string>> | undefined;
  readonly strategy: 'rolling' | 'blue-green' | 'none';
}

/** `listed`: every group there is, where somebody has asked just now. */
export async function readGroups(
  which: GroupSelector,
  imageId: string,
  aws: FactPorts,
  listed?: readonly Group[],
): Promise<readonly GroupFacts[]> {
  // One listing of all: it also shows who else launches from the same templates.
  const allGroups = listed ?? (await aws.groups.find({}));
  const chosen = choose(allGroups, which);
  const uses = new Map(chosen.flatMap(({ launch }) => usesOf(launch)).map(use => [useKey(use), use]));
  const versions = await readVersions([...uses.values()], aws);
  const warmPools = await readWarmPools(chosen, aws);
  const [active, pairs, ready, images, snapshots] = await Promise.all([
    readActive(chosen, aws),
    readPairs(chosen, allGroups, which, aws),
    readReady([...versions.values()], imageId, aws),
    aws.groups.imagesOf([...chosen.flatMap(({ members }) => members.map(({ id }) => id)), ...warmPools.flat()]),
    readSnapshots([...versions.values()], aws),
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
      warmPool: warmPools[i] ?? [],
      versions: own,
      ready,
      images,
      imageSnapshots: snapshots,
      latestUsers: latestUsersOf(group, allGroups, chosen),
    };
  });
  const architectures = await readArchitectures([...new Set(facts.flatMap(typesOf))], aws);
  return facts.map(fact => ({ ...fact, architectures }));
}

function choose(allGroups: readonly Group[], { groups = [], groupTags = {} }: GroupSelector): readonly Group[] {
  const names = allGroups.map(({ name }) => name);
  const problems = groups
    .filter(name => activeGroup(allGroups, name) === undefined)
    .map(
      name =>
        `"groups" names "${name}", which is no Auto Scaling group of this account and region${names.length === 0 ? '' : `, did you mean "${closest(name, names)}"?`}`,
    );
  const tags = Object.entries(groupTags);
  // A copy carries the tags of the first; it is not in charge yet.
  const comes = (group: Group) => allGroups.some(other => other.name === group.tags[SUCCESSOR_OF] && !other.beingDeleted);
  const tagged =
    tags.length === 0 ? [] : allGroups.filter(group => !comes(group) && tags.every(([key, value]) => group.tags[key] === value));
  if (tags.length > 0 && tagged.length === 0) {
    problems.push(
      `"group-tags" fits no Auto Scaling group of this account and region: ${tags.map(([key, value]) => `${key}=${value}`).join(', ')}`,
    );
  }
  if (problems.length > 0) throw new UsageError(problems);
  const named = groups.flatMap(name => activeGroup(allGroups, name) ?? []);
  return [...new Set([...named, ...tagged])];
}

async function readVersions(uses: readonly TemplateUse[], { launchTemplates }: FactPorts): Promise<ReadonlyMap<string, TemplateVersion>> {
  const found = await concurrently(uses, AT_ONCE, async use => [useKey(use), await launchTemplates.version(use)] as const);
  return new Map(found.flatMap(([key, version]) => (version === undefined ? [] : [[key, version]])));
}

const readWarmPools = (groups: readonly Group[], { groups: port }: FactPorts) =>
  concurrently(groups, AT_ONCE, async ({ name, warmPool }) => (warmPool ? port.warmPool(name) : []));

/** Ours is one that rolls out versions that we made: they say so. */
const readActive = (groups: readonly Group[], { groups: port, launchTemplates }: FactPorts) =>
  concurrently(groups, AT_ONCE, async ({ name }) => {
    const active = (await port.refreshes(name)).find(refresh => !isOver(refresh));
    const made = await concurrently(active?.desired === undefined ? [] : usesOf(active.desired), AT_ONCE, use =>
      launchTemplates.version(use),
    );
    return { active, ours: made.length > 0 && made.every(version => version?.description.startsWith('ami-action ')) };
  });

/** What stands beside each group, and, where a second one is to be made, whether that can be. */
const readPairs = (
  chosen: readonly Group[],
  allGroups: readonly Group[],
  { strategy }: GroupSelector,
  { groups, launchTemplates }: FactPorts,
) =>
  concurrently(chosen, AT_ONCE, async group => {
    const beside = successorOf(allGroups, group);
    const [use] = beside === undefined ? [] : usesOf(beside.launch);
    const version = use === undefined ? undefined : await launchTemplates.version(use);
    const cannotCopy = strategy === 'blue-green' && beside === undefined ? await groups.cannotCopy(group.name) : [];
    return { successor: beside === undefined ? undefined : { group: beside, imageId: version?.imageId }, cannotCopy };
  });

/** By template and content. Of several that are equal, the newest. */
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

/** Only asked for where a template names snapshots at all. */
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
