import { ActionError, CancelledError, RejectedError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { type Image, tagKey } from '../model/image.ts';
import type { Deps, JournalEntry, RegionClients } from '../ports/deps.ts';
import type { Leftover } from '../ports/images.ts';
import { expiredReason, isRemovable, type Sweeper } from './rules/leftovers.ts';

/** Removes what builds leave: of one build when it has ended, and of builds whose runner died. */

export type BuildEntry = Extract<JournalEntry, { kind: 'build' }>;

export interface Swept {
  readonly region: string;
  readonly kind: Leftover['kind'];
  readonly id: string;
}

type Ports = Pick<RegionClients, 'images' | 'leftovers'>;
type NeededDeps = Pick<Deps<'images' | 'leftovers'>, 'inRegion' | 'clock' | 'report'>;

const LOOK_SECONDS = 5;
// An instance takes about a minute to go, and its security group cannot go before.
const AT_MOST_SECONDS = 180;

interface Sweep {
  /** Images that stay. */
  readonly excluded: readonly string[];
  /** How often nothing must be found. Who was stopped may have asked for something a moment before, which shows a moment later. */
  readonly looks?: number;
}

/** After Packer has ended, in whatever way. What it removed itself is not there any more; an image of the family is no leftover. */
export async function sweepBuild(entry: BuildEntry, deps: NeededDeps, { excluded, looks = 1 }: Sweep): Promise<readonly Swept[]> {
  const proof = await proofOf(entry, deps);
  const found = await Promise.all(
    entry.regions.map(async region => {
      const aws = deps.inRegion({ region });
      const kept = excluded.length === 0 ? [] : await aws.images.find({ ids: excluded, includeDisabled: true });
      const keep = new Set([...excluded, ...kept.flatMap(({ snapshotIds }) => snapshotIds)]);
      const look = async () => (await leftOf(entry, proof, aws)).filter(({ id }) => !keep.has(id));
      return sweepRegion({ region, aws, look, looks }, deps);
    }),
  );
  return found.flat();
}

/** Of a build that is not needed after all, and that nobody can have taken: they never were of the family. */
export async function removeImages(images: readonly { region: string; id: string }[], deps: NeededDeps): Promise<readonly Swept[]> {
  for (const { region, id } of images) {
    const removed = await deps.inRegion({ region }).leftovers.remove({ kind: 'image', id });
    if (typeof removed === 'object') refuseHeld(removed.held, region);
  }
  return images.map(({ region, id }) => ({ region, kind: 'image', id }));
}

/** What is known to be of this build: what Packer said it made, and the images of that instance, whose copies elsewhere are told by them. */
async function proofOf(entry: BuildEntry, deps: NeededDeps): Promise<ReadonlySet<string>> {
  const made = new Set(entry.made ?? []);
  if (made.size === 0) return made;
  const perRegion = await Promise.all(entry.regions.map(region => named(entry, deps.inRegion({ region }))));
  return new Set([...made, ...perRegion.flat().flatMap(({ id, sourceInstanceId = '' }) => (made.has(sourceInstanceId) ? [id] : []))]);
}

const named = ({ name }: BuildEntry, { images }: Ports) => images.find({ names: [name], includeDisabled: true });

/** By tag; and by name where something proves it: a copy in another region, and an image of a template without run_tags, bear no tag yet. */
async function leftOf(entry: BuildEntry, proof: ReadonlySet<string>, aws: Ports): Promise<readonly Leftover[]> {
  const { tags, familyKey, since } = entry;
  const [tag] = Object.entries(tags);
  const byTag = tag === undefined ? [] : (await aws.leftovers.tagged(...tag)).filter(leftover => isRemovable(leftover, familyKey));
  const isOurs = ({ id, sourceInstanceId = '', sourceImageId = '', tags: held }: Image) =>
    [id, sourceInstanceId, sourceImageId].some(known => proof.has(known)) &&
    (tag === undefined || [undefined, tag[1]].includes(held[tag[0]]));
  const byName = (proof.size === 0 ? [] : await named(entry, aws))
    .filter(image => image.createdAt.getTime() >= since && !(familyKey in image.tags) && isOurs(image))
    .map((image): Leftover => ({ kind: 'image', id: image.id, tags: image.tags, ending: false }));
  return [...byTag, ...byName.filter(image => !byTag.some(({ id }) => id === image.id))];
}

export interface ExpiredLeftover extends Leftover {
  readonly reason: string;
}

/** Of runs that died without a post step. */
export async function findExpired(
  { leftovers }: Pick<RegionClients, 'leftovers'>,
  sweeper: Sweeper,
  now: number,
): Promise<readonly ExpiredLeftover[]> {
  const marked = await leftovers.tagged(tagKey(sweeper.scheme, 'expires-at'));
  return marked.flatMap(leftover => {
    const reason = expiredReason(leftover, sweeper, now);
    return reason === undefined ? [] : [{ ...leftover, reason }];
  });
}

/** `pick`: of these only. */
export async function sweepExpired(
  regions: readonly string[],
  sweeper: Sweeper,
  deps: NeededDeps,
  pick: (leftover: ExpiredLeftover) => boolean = () => true,
): Promise<readonly Swept[]> {
  const found = await Promise.all(
    regions.map(region => {
      const aws = deps.inRegion({ region });
      const look = async () => (await findExpired(aws, sweeper, deps.clock.now())).filter(pick);
      return sweepRegion({ region, aws, look, looks: 1 }, deps);
    }),
  );
  return found.flat();
}

// An image before its snapshots, which go with it.
const ORDER: readonly Leftover['kind'][] = ['instance', 'image', 'snapshot', 'volume', 'security-group', 'key-pair'];
const inOrder = (left: readonly Leftover[]) => ORDER.flatMap(kind => left.filter(leftover => leftover.kind === kind));

interface Corner {
  readonly region: string;
  readonly aws: Ports;
  readonly looks: number;
  look(): Promise<readonly Leftover[]>;
}

async function sweepRegion({ region, aws, look, looks }: Corner, deps: NeededDeps): Promise<readonly Swept[]> {
  const seen = new Map<string, Swept>();
  const held: string[] = [];
  let clean = 0;
  const turn = async () => {
    const left = await look();
    clean = left.length === 0 ? clean + 1 : 0;
    for (const { kind, id } of left) if (!seen.has(id)) seen.set(id, { region, kind, id });
    for (const leftover of inOrder(left).filter(({ ending }) => !ending)) {
      const removed = await aws.leftovers.remove(leftover);
      if (typeof removed === 'object') held.push(...removed.held);
    }
    return clean >= looks
      ? ({ state: 'done', value: undefined } as const)
      : ({ state: 'waiting', note: left.map(({ kind, id }) => `${kind} ${id}`).join(', ') || 'nothing, once more' } as const);
  };
  await waitFor(
    { what: `Removing what is left in ${region}`, everySeconds: LOOK_SECONDS, atMostSeconds: AT_MOST_SECONDS, poll: turn },
    deps,
  );
  refuseHeld(held, region);
  return [...seen.values()];
}

function refuseHeld(held: readonly string[], region: string): void {
  if (held.length === 0) return;
  throw new RejectedError(`The snapshots ${held.join(', ')} in ${region} stayed behind when their image was removed.`, {
    next: 'Allow ec2:DeleteSnapshot, and delete them: nothing marks them as ours any more.',
  });
}

/** A sweep must not hide how the build ended: what it could not do is told, and left to post and to the next run. */
export async function sweepQuietly(sweep: () => Promise<readonly Swept[]>, { report }: NeededDeps): Promise<readonly string[]> {
  try {
    for (const { region, kind, id } of await sweep()) report.info(`Removed ${kind} ${id} in ${region}, which a build had left.`);
    return [];
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [failure instanceof CancelledError ? 'what Packer had no time to remove: the post step goes on with it' : failure.message];
  }
}
