import { type Image, newestFirst, type TagScheme } from '../../model/image.ts';
import { imageIdsIn, ofLauncher, type PointerNames, type UserFacts } from '../../model/image-users.ts';
import { verdictOf } from '../../model/verdict.ts';
import { formatImage } from './inventory.ts';

/** Where reality differs from what the pointer names. */
export interface Drift {
  /** A parameter, a group or an instance. */
  readonly who: string;
  readonly says: string;
}

export function driftOf(images: readonly Image[], facts: UserFacts, pointers: PointerNames, scheme: TagScheme): readonly Drift[] {
  const family = [...images].sort(newestFirst(scheme));
  const pointed = facts.parameters
    .filter(({ name }) => pointers.pattern.test(name) && pointers.pattern.exec(name)?.groups?.['below'] === undefined)
    .flatMap(({ name, value }) => imageIdsIn(value).map(imageId => ({ name, imageId })));
  const ours = new Set(family.map(({ id }) => id));
  return [
    ...pointed.flatMap(pointer => behind(pointer, family, scheme)),
    ...groups(facts, ours, new Set(pointed.map(({ imageId }) => imageId))),
  ];
}

/** A pointer that does not name the newest passed image, or names one that does not exist. */
function behind({ name, imageId }: { name: string; imageId: string }, family: readonly Image[], scheme: TagScheme): Drift[] {
  const image = family.find(({ id }) => id === imageId);
  if (image === undefined) return [{ who: name, says: `names ${imageId}, which is not an image of the family in this region` }];
  const passed = family.filter(
    other => other.architecture === image.architecture && other.state === 'available' && verdictOf(other, scheme).result === 'passed',
  );
  const newer = passed.filter(other => other !== image && newestFirst(scheme)(other, image) < 0);
  const [newest] = newer;
  if (newest === undefined) return [];
  return [
    {
      who: name,
      says: `names ${formatImage(image, scheme)}; ${newer.length} newer ${newer.length === 1 ? 'image has' : 'images have'} passed, the newest is ${formatImage(newest, scheme)}`,
    },
  ];
}

/** Groups that launch an image that no pointer names, and instances that run another image than their group launches. */
function groups(facts: UserFacts, ours: ReadonlySet<string>, pointed: ReadonlySet<string>): Drift[] {
  return facts.launchers.flatMap(launcher => {
    const { group } = launcher;
    const launches = [...new Set(ofLauncher(launcher, facts).map(({ imageId }) => imageId))];
    if (group === undefined || !launches.some(id => ours.has(id))) return [];
    const unnamed = launches.filter(id => ours.has(id) && !pointed.has(id));
    const members = facts.instances.filter(
      instance => instance.group === group && !['terminated', 'shutting-down'].includes(instance.state),
    );
    const others = members.filter(({ imageId }) => !launches.includes(imageId));
    return [
      ...unnamed.map(id => ({ who: `group ${group}`, says: `launches ${id}, which no pointer names` })),
      ...others.map(({ id, imageId }) => ({
        who: `instance ${id}`,
        says: `runs ${imageId}, but its group ${group} launches ${launches.join(', ')}`,
      })),
    ];
  });
}
