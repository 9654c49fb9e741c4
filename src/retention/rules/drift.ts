import { formatMoment } from '../../kit/format.ts';
import { type Image, isOfPullRequest, newestFirst, type TagScheme } from '../../model/image.ts';
import { type Edge, type Launcher, ofLauncher, type PointerNames, type UserFacts } from '../../model/image-users.ts';
import { verdictOf } from '../../model/verdict.ts';
import { isVetoed } from '../../model/veto.ts';
import { type Environment, type EnvironmentGroups, environmentsOf, ownersOf } from './environments.ts';
import { formatImage } from './inventory.ts';

/** Where reality differs from what the pointer names. */
export interface Drift {
  /** A parameter, a group or an instance. */
  readonly who: string;
  readonly says: string;
}

export function driftOf(
  images: readonly Image[],
  facts: UserFacts,
  pointers: PointerNames,
  scheme: TagScheme,
  named: EnvironmentGroups = {},
): readonly Drift[] {
  const family = [...images].sort(newestFirst(scheme));
  const environments = environmentsOf(facts, pointers, named);
  const ours = new Set(family.map(({ id }) => id));
  return [
    ...environments.flatMap(environment => [...behind(environment, family, scheme), ...notRun(environment, family, facts, scheme)]),
    ...groups(facts, ours, environments, launcher => ownersOf(launcher, environments, facts, named)),
  ];
}

/** A pointer that does not name the newest image that may be promoted there, or names one that does not exist. */
function behind({ name, pointer, imageId }: Environment, family: readonly Image[], scheme: TagScheme): Drift[] {
  const image = family.find(({ id }) => id === imageId);
  if (image === undefined) return [{ who: pointer, says: `names ${imageId}, which is not an image of the family in this region` }];
  const passed = family.filter(
    other =>
      other.architecture === image.architecture &&
      other.state === 'available' &&
      verdictOf(other, scheme).result === 'passed' &&
      !isOfPullRequest(other, scheme),
  );
  // One that was rolled back there is not what the environment lacks.
  const newer = passed.filter(other => other !== image && newestFirst(scheme)(other, image) < 0 && !isVetoed(other, scheme, name));
  const [newest] = newer;
  if (newest === undefined) return [];
  const count = `${newer.length} newer ${newer.length === 1 ? 'image has' : 'images have'} passed`;
  return [{ who: pointer, says: `names ${formatImage(image, scheme)}; ${count}, the newest is ${formatImage(newest, scheme)}` }];
}

/** In a region with groups, an image that none of them launches: a group was moved by another process, or never rolled out. */
function notRun({ pointer, imageId }: Environment, family: readonly Image[], facts: UserFacts, scheme: TagScheme): Drift[] {
  const image = family.find(({ id }) => id === imageId);
  const launchers = facts.launchers.filter(({ group }) => group !== undefined);
  if (image === undefined || launchers.length === 0) return [];
  const isRun =
    facts.instances.some(instance => instance.imageId === imageId && instance.state !== 'terminated') ||
    launchers.some(launcher => ofLauncher(launcher, facts).some(edge => edge.imageId === imageId));
  return isRun ? [] : [{ who: pointer, says: `names ${formatImage(image, scheme)}, which no group or instance in this region runs` }];
}

/** Groups that launch an image that no pointer, or not that of their environment, names; and instances that run another image than their group launches. */
function groups(
  facts: UserFacts,
  ours: ReadonlySet<string>,
  environments: readonly Environment[],
  ownersFor: (launcher: Launcher) => readonly Environment[],
): Drift[] {
  return facts.launchers.flatMap(launcher => {
    const { group } = launcher;
    const edges = ofLauncher(launcher, facts);
    const launches = [...new Set(edges.map(({ imageId }) => imageId))];
    if (group === undefined || !launches.some(id => ours.has(id))) return [];
    const owners = ownersFor(launcher);
    const pointed = owners.length > 0 ? owners : environments;
    const unnamed = launches.filter(id => ours.has(id) && !pointed.some(({ imageId }) => imageId === id));
    const denial = owners.length > 0 ? `${owners.map(({ pointer }) => pointer).join(' or ')} does not name` : 'no pointer names';
    const members = facts.instances.filter(
      instance => instance.group === group && !['terminated', 'shutting-down'].includes(instance.state),
    );
    const others = members.filter(({ imageId }) => !launches.includes(imageId));
    return [
      ...unnamed.map(id => ({ who: `group ${group}`, says: `launches ${id}${formatMaker(edges, id)}, which ${denial}` })),
      ...others.map(({ id, imageId }) => ({
        who: `instance ${id}`,
        says: `runs ${imageId}, but its group ${group} launches ${launches.join(', ')}`,
      })),
    ];
  });
}

/** Who moved a group is not shown by AWS; who created the version that it launches is. */
function formatMaker(edges: readonly Edge[], imageId: string): string {
  const version = edges.find(edge => edge.imageId === imageId)?.version;
  if (version?.createdBy === undefined) return '';
  const when = version.createdAt === undefined ? '' : ` ${formatMoment(version.createdAt)}`;
  return ` (version ${version.version} of ${version.templateName}, created${when} by ${version.createdBy})`;
}
