import { concurrently } from '../kit/concurrently.ts';
import { type Group, isOver, type Refresh, type TemplateUse, useKey, usesOf, withRootVolumes } from '../model/group.ts';
import type { Architecture } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { RegionClients } from '../ports/deps.ts';
import { type Chosen, chooseGroups, type GroupSelector } from './choose-groups.ts';
import { readConfiguration } from './launch-configuration/facts.ts';
import { isUnfinished } from './rules/configuration.ts';
import type { GroupFacts, ShiftFacts } from './rules/facts.ts';
import { greenGroupName, SUCCESSOR_OF, sourceKeys, successorOf } from './rules/group-pair.ts';
import { typesOf } from './rules/refusals.ts';
import { type Images, readVersions } from './template-reads.ts';

/** Reads what decides how groups are rolled out. Writes nothing. */

export type FactPorts = Pick<
  RegionClients,
  'groups' | 'launchTemplates' | 'launchConfigurations' | 'images' | 'instances' | 'alarms' | 'weights'
>;

// Few enough that fifty groups do not use up the request rate of the account.
const AT_ONCE = 5;

export interface Look {
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  /** All groups of the account, where they were read since then. */
  readonly listed?: readonly Group[] | undefined;
  /** Refreshes that had ended before the groups were read. */
  readonly over?: ReadonlySet<string>;
}

/** Throws a `UsageError` if a selected group does not exist. */
export async function readGroups(
  which: GroupSelector,
  imagesOf: Images,
  aws: FactPorts,
  { since, listed, over = new Set() }: Look,
): Promise<readonly GroupFacts[]> {
  // All groups, because others may launch from the same templates.
  const allGroups = listed ?? (await aws.groups.find({}));
  const { chosen, idle } = await chooseGroups(allGroups, which, aws);
  const pairOf = (group: Group) => [group, ...[idle.get(group.name)?.group ?? []].flat()];
  const usesIn = (groups: readonly Group[]) => groups.flatMap(({ launch }) => usesOf(launch));
  const configurations = await readConfigurations(chosen, idle, imagesOf.next, which, aws);
  const converted = configurations.flatMap(each => each?.template?.first ?? []);
  const { versions, ready } = await readVersions(usesIn(chosen.flatMap(pairOf)), converted, imagesOf, aws);
  const warmPools = await readWarmPools(chosen, aws);
  const [active, pairs, images, snapshots, alarms] = await Promise.all([
    readActive(chosen, aws),
    readPairs(chosen, allGroups, which, aws),
    aws.groups.imagesOf([...chosen.flatMap(({ members }) => members.map(({ id }) => id)), ...warmPools.flat()]),
    readSnapshots([...versions.values(), ...configurations.flatMap(each => each?.now ?? [])], aws),
    readAlarms(which, aws),
  ]);
  const ended = endedSince(since, active, over);
  if (ended.length > 0) return readGroups(which, imagesOf, aws, { since, over: new Set([...over, ...ended]) });
  const shift = which.shiftAt === undefined ? undefined : await readShift(which.shiftAt, chosen.flatMap(pairOf), allGroups, aws);
  const facts = chosen.map((group, i) => {
    const keys = new Set(usesIn(pairOf(group)).map(useKey));
    return {
      group,
      active: active[i]?.active,
      activeIsOurs: active[i]?.ours ?? false,
      successor: pairs[i]?.successor,
      cannotCopy: pairs[i]?.cannotCopy ?? [],
      hooks: pairs[i]?.hooks ?? [],
      idle: idle.get(group.name),
      nameTaken: !idle.has(group.name) && isTaken(greenGroupName(group.name), allGroups, pairs[i]?.successor?.group),
      warmPool: warmPools[i] ?? [],
      versions: new Map([...versions].filter(([key]) => keys.has(key))),
      ready,
      configuration: configurations[i],
      images: withRootVolumes(images, chosen),
      imageSnapshots: snapshots,
      alarms,
      ...(shift === undefined ? {} : { shift }),
      latestUsers: latestUsersOf(usesIn(pairOf(group)), allGroups, chosen.flatMap(pairOf)),
    };
  });
  const architectures = await readArchitectures([...new Set(facts.flatMap(typesOf))], aws);
  return facts.map(fact => ({ ...fact, architectures }));
}

/** Of the groups whose launch changes. */
const readConfigurations = (
  chosen: readonly Group[],
  idle: Chosen['idle'],
  imageId: string,
  { launchConfigurations }: GroupSelector,
  aws: FactPorts,
) => concurrently(chosen, AT_ONCE, group => readConfiguration(idle.get(group.name)?.group ?? group, imageId, launchConfigurations, aws));

const readAlarms = async ({ alarms, strategy, shiftAt }: GroupSelector, aws: FactPorts): Promise<ReadonlyMap<string, string>> =>
  alarms === undefined || (strategy !== 'rolling' && shiftAt === undefined) ? new Map() : aws.alarms.states(alarms);

/** `own`: the groups of the pair, which may be attached to its sides. */
async function readShift(at: string, own: readonly Group[], allGroups: readonly Group[], { weights }: FactPorts): Promise<ShiftFacts> {
  const split = await weights.read(at);
  const sources = new Set(split?.sides.flatMap(sourceKeys));
  const isOwn = ({ name, tags }: Group) => own.some(group => group.name === name || group.name === tags[SUCCESSOR_OF]);
  return {
    ...{ at, split },
    details: split?.sides.length === 2 ? await weights.details(split) : undefined,
    others: allGroups.filter(group => !isOwn(group) && sourceKeys(group).some(source => sources.has(source))).map(({ name }) => name),
  };
}

const isTaken = (name: string, allGroups: readonly Group[], own: Group | undefined): boolean =>
  allGroups.some(other => other.name === name && other !== own && !other.beingDeleted);

// The clock of a runner may differ from that of AWS by as much.
const CLOCK_MS = 60_000;

/** Refreshes that have changed their group since that was read. */
const endedSince = (since: number, of: readonly { readonly newest: Refresh | undefined }[], over: ReadonlySet<string>): readonly string[] =>
  of.flatMap(({ newest }) => {
    if (newest?.endedAt === undefined || !isOver(newest) || over.has(newest.id)) return [];
    return newest.endedAt.getTime() >= since - CLOCK_MS ? [newest.id] : [];
  });

const readWarmPools = (groups: readonly Group[], { groups: port }: FactPorts) =>
  concurrently(groups, AT_ONCE, async ({ name, warmPool }) => (warmPool ? port.warmPool(name) : []));

/** A refresh is ours if ami-action created every version that it rolls out. */
const readActive = (groups: readonly Group[], { groups: port, launchTemplates }: FactPorts) =>
  concurrently(groups, AT_ONCE, async group => {
    const refreshes = await port.refreshes(group.name);
    const active = refreshes.find(refresh => !isOver(refresh));
    const [newest] = refreshes;
    const made = await concurrently(active?.desired === undefined ? [] : usesOf(active.desired), AT_ONCE, use =>
      launchTemplates.version(use),
    );
    if (active !== undefined && active.desired === undefined && isUnfinished(group)) return { active, newest, ours: true };
    return { active, newest, ours: made.length > 0 && made.every(version => version?.description.startsWith('ami-action ')) };
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

/** Snapshots of the current images, read only where a template names snapshots. */
async function readSnapshots(
  versions: readonly Pick<TemplateVersion, 'imageId' | 'snapshotIds'>[],
  { images }: FactPorts,
): Promise<ReadonlySet<string>> {
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

function latestUsersOf(
  uses: readonly TemplateUse[],
  allGroups: readonly Group[],
  chosen: readonly Group[],
): ReadonlyMap<string, readonly string[]> {
  const templates = new Set(uses.map(({ templateId }) => templateId));
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
