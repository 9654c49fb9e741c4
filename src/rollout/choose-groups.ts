import { closest, distance } from 'fastest-levenshtein';
import { batches, concurrently } from '../kit/concurrently.ts';
import { UsageError } from '../kit/errors.ts';
import { formatList } from '../kit/format.ts';
import type { Group } from '../model/group.ts';
import type { RegionClients } from '../ports/deps.ts';
import type { GroupFacts } from './rules/facts.ts';
import { activeGroup, inTurn, otherNameProblem, SUCCESSOR_OF } from './rules/group-pair.ts';
import type { RolloutInputs } from './rules/settings.ts';

/** Which groups of the account the settings mean. Throws a `UsageError` if one does not exist. */

export type GroupSelector = Pick<RolloutInputs, 'groups' | 'groupTags' | 'strategy' | 'alarms' | 'launchConfigurations'> &
  Partial<Pick<RolloutInputs, 'shiftAt'>>;

const AT_ONCE = 5;

export interface Chosen {
  readonly chosen: readonly Group[];
  /** `two-groups`: by the name of the group that serves. */
  readonly idle: ReadonlyMap<string, IdleGroup>;
}

type IdleGroup = NonNullable<GroupFacts['idle']>;

export async function chooseGroups(
  allGroups: readonly Group[],
  which: GroupSelector,
  { groups: port }: Pick<RegionClients, 'groups'>,
): Promise<Chosen> {
  if (which.strategy !== 'two-groups') return { chosen: chooseEach(allGroups, which), idle: new Map() };
  const named = chooseEach(allGroups, { ...which, strategy: 'rolling' }, name => allGroups.find(group => group.name === name));
  const pairs = batches(named, 2).map(([one, other]) => inTurn(one as Group, other as Group));
  const idle = await concurrently(pairs, AT_ONCE, async ({ serving, idle: group }) => {
    if (group === undefined) return [];
    const schedules = await Promise.all([serving, group].map(({ name }) => port.schedules(name)));
    return [[serving.name, { group, schedules: schedules.flat() }] as const];
  });
  return { chosen: pairs.map(({ serving }) => serving), idle: new Map(idle.flat()) };
}

/** A name that is not alike would mislead: then all are listed. */
function nearestOf(name: string, names: readonly string[]): string {
  if (names.length === 0) return ', which has no groups';
  const nearest = closest(name, names);
  return distance(name, nearest) <= Math.max(2, name.length / 3)
    ? `, did you mean "${nearest}"?`
    : `. There: ${formatList([...names].sort(), 5)}`;
}

function chooseEach(
  allGroups: readonly Group[],
  { groups = [], groupTags = {}, strategy }: GroupSelector,
  find = (name: string) => activeGroup(allGroups, name, strategy),
): readonly Group[] {
  const names = allGroups.map(({ name }) => name);
  const problems = groups
    .filter(name => find(name) === undefined)
    .map(
      name =>
        otherNameProblem(allGroups, name) ??
        `"groups": Auto Scaling group "${name}" does not exist in this account and region${nearestOf(name, names)}`,
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
  const named = groups.flatMap(name => find(name) ?? []);
  return [...new Set([...named, ...tagged])];
}
