import type { Image } from '../model/image.ts';
import type { Deps, JournalEntry, RegionClients } from '../ports/deps.ts';
import type { Leftover } from '../ports/images.ts';
import type { Instance } from '../ports/instances.ts';
import { isRemovable } from './rules/leftovers.ts';

/** Finds what one build left: by its tags, and by the IDs that Packer printed, since a template may set no tags at all. */

export type BuildEntry = Extract<JournalEntry, { kind: 'build' }>;
export type BuildSweepDeps = Pick<Deps<'images' | 'leftovers' | 'instances'>, 'inRegion' | 'clock' | 'report'>;
type Ports = Pick<RegionClients, 'images' | 'leftovers' | 'instances'>;

/** What Packer printed that it created, and the images of its instances, by which copies elsewhere are found. */
interface Known {
  readonly ids: ReadonlySet<string>;
  /** Names of the images: the template may name them itself. */
  readonly names: readonly string[];
  /** Printed images that are to be kept or removed by their ID, and instances whose image was not printed. */
  readonly images: readonly string[];
  readonly instances: readonly string[];
}

export async function knownOf(entry: BuildEntry, excluded: readonly string[], deps: BuildSweepDeps): Promise<Known> {
  const created = new Set(entry.created ?? []);
  const images = [...created].filter(id => id.startsWith('ami-') && !excluded.includes(id));
  const printed = [...created].filter(id => id.startsWith('ami-')).length;
  const all = [...created].filter(id => id.startsWith('i-'));
  const instances = printed < all.length || images.length > 0 ? all : [];
  const known = { ids: created, names: [entry.name], images, instances };
  if (created.size === 0) return known;
  const perRegion = await Promise.all(entry.regions.map(region => findImages(known, deps.inRegion({ region, role: entry.role }))));
  const proven = perRegion.flat().filter(({ id, sourceInstanceId = '' }) => created.has(id) || created.has(sourceInstanceId));
  return {
    ...known,
    ids: new Set([...created, ...proven.map(({ id }) => id)]),
    names: [...new Set([entry.name, ...proven.map(({ name }) => name)])],
  };
}

async function findImages({ names, images: ids, instances }: Known, { images }: Ports): Promise<readonly Image[]> {
  const found = await Promise.all([
    images.find({ names, includeDisabled: true }),
    ids.length === 0 ? [] : images.find({ ids, includeDisabled: true }),
    instances.length === 0 ? [] : images.find({ sourceInstances: instances, includeDisabled: true }),
  ]);
  return [...new Map(found.flat().map(image => [image.id, image])).values()];
}

/** By tag; and what an ID of Packer's output confirms: a copy, or a resource of a template without run_tags, has no tag yet. */
export async function listLeftovers(entry: BuildEntry, known: Known, aws: Ports): Promise<readonly Leftover[]> {
  const { tags, familyKey, since, isTagged = false } = entry;
  const [tag] = Object.entries(tags);
  // Others may write the tag to an instance that ran before.
  const isSince = ({ launch }: Leftover) => launch === undefined || launch.at.getTime() >= since;
  const byTag =
    tag === undefined ? [] : (await aws.leftovers.tagged(...tag)).filter(leftover => isRemovable(leftover, familyKey) && isSince(leftover));
  if (known.ids.size === 0) return byTag;
  const isOurs = ({ id, sourceInstanceId = '', sourceImageId = '', tags: held }: Image) =>
    [id, sourceInstanceId, sourceImageId].some(candidate => known.ids.has(candidate)) &&
    (tag === undefined || [undefined, tag[1]].includes(held[tag[0]]));
  const images = (await findImages(known, aws))
    .filter(image => (image.createdAt?.getTime() ?? 0) >= since && !(familyKey in image.tags) && isOurs(image))
    .map((image): Leftover => ({ kind: 'image', id: image.id, tags: image.tags, ending: false }));
  // A provisioner may print the ID of any instance.
  const isLaunched = ({ launchedAt, tags: held }: Instance) =>
    launchedAt.getTime() >= since && (tag === undefined || held[tag[0]] === tag[1] || (!isTagged && !(tag[0] in held)));
  const instances = (await Promise.all(known.instances.map(aws.instances.get))).flatMap((one): Leftover[] =>
    one === undefined || one.state === 'terminated' || !isLaunched(one)
      ? []
      : [{ kind: 'instance', id: one.id, tags: one.tags, ending: one.state === 'shutting-down' }],
  );
  // Without spot_tags it has no tag. One that Packer deleted is gone, and no error.
  const templates = [...known.ids].filter(id => id.startsWith('lt-'));
  const launchers = templates.map((id): Leftover => ({ kind: 'launch-template', id, tags: {}, ending: false }));
  return [...byTag, ...[...images, ...instances, ...launchers].filter(({ id }) => !byTag.some(other => other.id === id))];
}
