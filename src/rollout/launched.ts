import { concurrently } from '../kit/concurrently.ts';
import { useKey, usesOf } from '../model/group.ts';
import type { Image } from '../model/image.ts';
import { AMI_ID, isParameterReference, whole } from '../model/patterns.ts';
import type { RegionClients } from '../ports/deps.ts';
import type { GroupSelector } from './choose-groups.ts';
import type { PointerState } from './pointer.ts';
import type { Launched } from './rules/admission.ts';
import type { GroupFacts } from './rules/facts.ts';

/** The images that groups and pointer name before a rollout, with their tags: whose groups are these, and where does a rollback lead. */

export interface Before {
  readonly launched: readonly Launched[];
  /** What the pointer names, where it is another image. */
  readonly current: Image | undefined;
}

const AT_ONCE = 5;
const AMI = whole(AMI_ID);

export async function readBefore(
  facts: readonly GroupFacts[],
  imageId: string,
  pointer: PointerState,
  aws: Pick<RegionClients, 'images' | 'launchTemplates'>,
  more: readonly { readonly group: string; readonly idle: boolean; readonly imageIds: readonly string[] }[] = [],
): Promise<Before> {
  const groups = facts.flatMap(({ group, idle, versions, configuration }) => [
    { group, versions, idle: false, named: [configuration?.now.imageId ?? []].flat() },
    ...(idle === undefined ? [] : [{ group: idle.group, versions, idle: true, named: [] }]),
  ]);
  const named = await concurrently(groups, AT_ONCE, async ({ group, versions, idle, named }) => {
    const used = usesOf(group.launch).flatMap(use => versions.get(useKey(use)) ?? []);
    const imageIds = [...new Set([...named, ...(await Promise.all(used.map(version => launchedBy(version, aws))))])].filter(
      id => id !== '',
    );
    return { group: group.name, idle, imageIds };
  });
  const launches = [...named, ...more];
  // An image that this pointer named belongs to this environment: it need not be read.
  const known = new Set([imageId, pointer.candidate?.value, ...pointer.history.map(({ value }) => value)]);
  const current = pointer.current?.value === imageId ? undefined : pointer.current?.value;
  const ids = [
    ...new Set([...launches.flatMap(({ imageIds }) => imageIds).filter(id => !known.has(id)), ...(current === undefined ? [] : [current])]),
  ];
  const images = new Map(await concurrently(ids, AT_ONCE, async id => [id, await aws.images.get(id)] as const));
  const launched = launches.flatMap(({ group, idle, imageIds }) => imageIds.map(id => ({ group, id, idle, image: images.get(id) })));
  return { launched, current: current === undefined ? undefined : images.get(current) };
}

const launchedBy = async (
  version: Parameters<RegionClients['launchTemplates']['resolved']>[0],
  aws: Pick<RegionClients, 'launchTemplates'>,
) => (isParameterReference(version.imageId) ? ((await aws.launchTemplates.resolved(version)) ?? '') : version.imageId);

// Further back, a version is no longer what the group launched last.
const MOST_VERSIONS = 10;

/** The image of the newest earlier template version of every group, where all groups agree. For a pointer without a history. */
export async function findLaunchedBefore(
  { groups = [], groupTags = {} }: GroupSelector,
  currentId: string,
  { groups: port, launchTemplates }: Pick<RegionClients, 'groups' | 'launchTemplates'>,
): Promise<string | undefined> {
  const tagged = Object.keys(groupTags).length === 0 ? [] : await port.find({ tags: groupTags });
  const named = groups.length === 0 ? [] : await port.find({ names: groups });
  const uses = new Map([...named, ...tagged].flatMap(({ launch }) => usesOf(launch)).map(use => [useKey(use), use]));
  const earlier = await concurrently([...uses.values()], AT_ONCE, async use => {
    const now = await launchTemplates.version(use);
    for (let number = (now?.number ?? 0) - 1; now !== undefined && number > 0 && number >= now.number - MOST_VERSIONS; number -= 1) {
      const version = await launchTemplates.version({ templateId: use.templateId, version: String(number) });
      if (version !== undefined && version.imageId !== currentId && AMI.test(version.imageId)) return version.imageId;
    }
    return undefined;
  });
  const [id, ...others] = new Set(earlier);
  return others.length > 0 ? undefined : id;
}
