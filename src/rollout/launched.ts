import { concurrently } from '../kit/concurrently.ts';
import type { Image } from '../model/image.ts';
import { isParameterReference } from '../model/patterns.ts';
import type { RegionClients } from '../ports/deps.ts';
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

export async function readBefore(
  facts: readonly GroupFacts[],
  imageId: string,
  pointer: PointerState,
  aws: Pick<RegionClients, 'images' | 'launchTemplates'>,
): Promise<Before> {
  const launches = await concurrently(facts, AT_ONCE, async ({ group, versions }) => ({
    group: group.name,
    imageIds: [...new Set(await Promise.all([...versions.values()].map(version => launchedBy(version, aws))))].filter(id => id !== ''),
  }));
  // An image that this pointer named belongs to this environment: it need not be read.
  const known = new Set([imageId, pointer.candidate?.value, ...pointer.history.map(({ value }) => value)]);
  const current = pointer.current?.value === imageId ? undefined : pointer.current?.value;
  const ids = [
    ...new Set([...launches.flatMap(({ imageIds }) => imageIds).filter(id => !known.has(id)), ...(current === undefined ? [] : [current])]),
  ];
  const images = new Map(await concurrently(ids, AT_ONCE, async id => [id, await aws.images.get(id)] as const));
  const launched = launches.flatMap(({ group, imageIds }) => imageIds.map(id => ({ group, id, image: images.get(id) })));
  return { launched, current: current === undefined ? undefined : images.get(current) };
}

const launchedBy = async (
  version: Parameters<RegionClients['launchTemplates']['resolved']>[0],
  aws: Pick<RegionClients, 'launchTemplates'>,
) => (isParameterReference(version.imageId) ? ((await aws.launchTemplates.resolved(version)) ?? '') : version.imageId);
