import { type Image, identity, newestFirst, type TagScheme } from '../../model/image.ts';
import { imageIdsIn, ofLauncher, type PointerNames, type UserFacts } from '../../model/image-users.ts';
import { verdictOf } from '../../model/verdict.ts';

/** Where what runs, what is promised and what could run are no longer the same. */
export interface Drift {
  /** A parameter, a group or an instance. */
  readonly who: string;
  readonly says: string;
}

export function driftOf(images: readonly Image[], facts: UserFacts, pointers: PointerNames, scheme: TagScheme): readonly Drift[] {
  const family = [...images].sort(newestFirst);
  const current = facts.parameters
    .filter(({ name }) => pointers.pattern.test(name) && pointers.pattern.exec(name)?.groups?.['below'] === undefined)
    .flatMap(({ name, value }) => imageIdsIn(value).map(imageId => ({ name, imageId })));
  const ours = new Set(family.map(({ id }) => id));
  return [
    ...current.flatMap(pointer => behind(pointer, family, scheme)),
    ...groups(facts, ours, new Set(current.map(({ imageId }) => imageId))),
  ];
}

/** An environment that does not run the newest image that passed, or one that is gone. */
function behind({ name, imageId }: { name: string; imageId: string }, family: readonly Image[], scheme: TagScheme): Drift[] {
  const image = family.find(({ id }) => id === imageId);
  if (image === undefined) return [{ who: name, says: `names ${imageId}, which is no image of the family here` }];
  const passed = family.filter(
    other => other.architecture === image.architecture && other.state === 'available' && verdictOf(other, scheme).result === 'passed',
  );
  const newer = passed.filter(other => other !== image && newestFirst(other, image) < 0);
  const [newest] = newer;
  if (newest === undefined) return [];
  return [
    {
      who: name,
      says: `names ${sayImage(image, scheme)}; ${newer.length} newer ${newer.length === 1 ? 'image has' : 'images have'} passed, the newest ${sayImage(newest, scheme)}`,
    },
  ];
}

const sayImage = (image: Image, scheme: TagScheme): string => {
  const version = identity(image, scheme, 'version');
  return version === undefined ? image.id : `${image.id} (${version})`;
};

/** A group that would launch what no environment names, and instances that are not what their group would launch. */
function groups(facts: UserFacts, ours: ReadonlySet<string>, current: ReadonlySet<string>): Drift[] {
  return facts.launchers.flatMap(launcher => {
    const { group } = launcher;
    const launches = [...new Set(ofLauncher(launcher, facts).map(({ imageId }) => imageId))];
    if (group === undefined || !launches.some(id => ours.has(id))) return [];
    const unnamed = launches.filter(id => ours.has(id) && !current.has(id));
    const members = facts.instances.filter(
      instance => instance.group === group && !['terminated', 'shutting-down'].includes(instance.state),
    );
    const odd = members.filter(({ imageId }) => !launches.includes(imageId));
    return [
      ...unnamed.map(id => ({ who: `group ${group}`, says: `launches ${id}, which no environment names` })),
      ...odd.map(({ id, imageId }) => ({
        who: `instance ${id}`,
        says: `runs ${imageId}, but its group ${group} launches ${launches.join(', ')}`,
      })),
    ];
  });
}
