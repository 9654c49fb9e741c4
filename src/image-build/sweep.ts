import { ActionError, CancelledError, RejectedError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { type Tags, tagKey } from '../model/image.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Leftover } from '../ports/images.ts';
import { type BuildEntry, type BuildSweepDeps, knownOf, listLeftovers } from './build-leftovers.ts';
import { expiredReason, isProven, type Sweeper } from './rules/leftovers.ts';

/** Removes the leftovers of builds: of one that has ended, and of those whose runner died. */

export interface Swept {
  readonly region: string;
  readonly kind: Leftover['kind'];
  readonly id: string;
}

type Ports = Pick<RegionClients, 'images' | 'leftovers'>;
type SweepDeps = Pick<Deps<'images' | 'leftovers'>, 'inRegion' | 'clock' | 'report'>;

const POLL_SECONDS = 5;
// An instance takes about a minute to terminate, and its security group cannot be deleted before.
const AT_MOST_SECONDS = 180;

interface Sweep {
  /** Images to keep. */
  readonly excluded: readonly string[];
  /** How many times in a row nothing must be found. A stopped process may have created something a moment before, visible a moment later. */
  readonly looks?: number;
}

/** Run after Packer has ended, in any way. An image of the family is no leftover. */
export async function sweepBuild(entry: BuildEntry, deps: BuildSweepDeps, { excluded, looks = 1 }: Sweep): Promise<readonly Swept[]> {
  const known = await knownOf(entry, excluded, deps);
  const found = await Promise.all(
    entry.regions.map(async region => {
      const aws = deps.inRegion({ region, role: entry.role });
      const kept = excluded.length === 0 ? [] : await aws.images.find({ ids: excluded, includeDisabled: true });
      const keep = new Set([...excluded, ...kept.flatMap(({ snapshotIds }) => snapshotIds)]);
      const list = async () => (await listLeftovers(entry, known, aws)).filter(({ id }) => !keep.has(id));
      return sweepRegion({ region, aws, list, looks }, deps);
    }),
  );
  return found.flat();
}

/** For images of a build that never were in the family. */
export async function removeImages(images: readonly { region: string; id: string }[], deps: SweepDeps): Promise<readonly Swept[]> {
  for (const { region, id } of images) {
    const removed = await deps.inRegion({ region }).leftovers.remove({ kind: 'image', id });
    if (typeof removed === 'object') refuseHeld(removed.held, region);
  }
  return images.map(({ region, id }) => ({ region, kind: 'image', id }));
}

export interface ExpiredLeftover extends Leftover {
  readonly reason: string;
}

/** Leftovers of runs that ended without a post step. */
export async function findExpired(
  { leftovers }: Pick<RegionClients, 'leftovers'>,
  sweeper: Sweeper,
  { clock, report }: Pick<Deps<never>, 'clock' | 'report'>,
): Promise<readonly ExpiredLeftover[]> {
  const marked = await leftovers.tagged(tagKey(sweeper.scheme, 'expires-at'));
  const expired = marked.flatMap(leftover => {
    const reason = expiredReason(leftover, sweeper, clock.now());
    return reason === undefined ? [] : [{ ...leftover, reason }];
  });
  const proven: ExpiredLeftover[] = [];
  for (const one of expired) {
    const isLeftover = (tags: Tags) => expiredReason({ ...one, tags }, sweeper, clock.now()) !== undefined;
    const unproven = isProven(one) ? undefined : await doubtOfLaunch(one, leftovers, isLeftover);
    if (unproven === undefined) proven.push(one);
    else
      report.warn(
        `Instance ${one.id} has the tags of a leftover, but neither a client token of ami-action nor a key pair or security group of Packer, and ${unproven}: it is kept. If it is one, terminate it: aws ec2 terminate-instances --instance-ids ${one.id}`,
      );
  }
  return proven;
}

/** Undefined: its launch set such tags, and a principal that may only write tags cannot make that so. What cannot be read proves nothing. */
async function doubtOfLaunch(
  { id, launch }: Leftover,
  { launchTags }: RegionClients['leftovers'],
  isLeftover: (tags: Tags) => boolean,
): Promise<string | undefined> {
  try {
    const tags = launch && (await launchTags({ id, at: launch.at }));
    return tags && isLeftover(tags) ? undefined : 'cloudtrail:LookupEvents does not show that it was launched with these tags';
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    return `its launch cannot be looked up (${failure.message})`;
  }
}

/** Removes expired leftovers, those only that `pick` selects. */
export async function sweepExpired(
  regions: readonly string[],
  sweeper: Sweeper,
  deps: SweepDeps,
  pick: (leftover: ExpiredLeftover) => boolean = () => true,
): Promise<readonly Swept[]> {
  const found = await Promise.all(
    regions.map(region => {
      const aws = deps.inRegion({ region });
      const list = async () => {
        const expired = await findExpired(aws, sweeper, deps);
        return [...expired, ...(await findUntagged(aws, expired))].filter(pick);
      };
      return sweepRegion({ region, aws, list, looks: 1 }, deps);
    }),
  );
  return found.flat();
}

/** Images of expired build instances that have no tag at all: the source sets skip_ami_run_tags, and Packer was killed before it wrote others. */
async function findUntagged(
  { images }: Pick<RegionClients, 'images'>,
  expired: readonly ExpiredLeftover[],
): Promise<readonly ExpiredLeftover[]> {
  const instances = expired.filter(({ kind, ending }) => kind === 'instance' && !ending);
  if (instances.length === 0) return [];
  const made = await images.find({ sourceInstances: instances.map(({ id }) => id), includeDisabled: true });
  return made
    .filter(({ tags }) => Object.keys(tags).length === 0)
    .map(({ id, sourceInstanceId }) => ({ kind: 'image', id, tags: {}, ending: false, reason: `image of ${sourceInstanceId}` }));
}

// An image before its snapshots, which are deleted with it.
const ORDER: readonly Leftover['kind'][] = ['instance', 'image', 'snapshot', 'volume', 'security-group', 'key-pair', 'launch-template'];
const inOrder = (leftovers: readonly Leftover[]) => ORDER.flatMap(kind => leftovers.filter(leftover => leftover.kind === kind));

interface RegionSweep {
  readonly region: string;
  readonly aws: Ports;
  readonly looks: number;
  list(): Promise<readonly Leftover[]>;
}

async function sweepRegion({ region, aws, list, looks }: RegionSweep, deps: SweepDeps): Promise<readonly Swept[]> {
  const swept = new Map<string, Swept>();
  // EC2 lists the tags of a deleted resource for a while: what it says does not exist is gone.
  const gone = new Set<string>();
  const held: string[] = [];
  let clean = 0;
  const poll = async () => {
    const found = (await list()).filter(({ id }) => !gone.has(id));
    for (const leftover of inOrder(found)) {
      const { kind, id, ending } = leftover;
      const removed = ending ? 'busy' : await aws.leftovers.remove(leftover);
      if (removed === 'gone') gone.add(id);
      if (removed !== 'gone' || wentAlong(kind, swept)) swept.set(id, { region, kind, id });
      if (typeof removed === 'object') held.push(...removed.held);
    }
    const leftovers = found.filter(({ id }) => !gone.has(id));
    clean = leftovers.length === 0 ? clean + 1 : 0;
    return clean >= looks
      ? ({ state: 'done', value: undefined } as const)
      : ({
          state: 'waiting',
          note: leftovers.map(({ kind, id }) => `${kind} ${id}`).join(', ') || 'nothing found, checking again',
        } as const);
  };
  await waitFor({ what: `Removing leftovers in ${region}`, everySeconds: POLL_SECONDS, atMostSeconds: AT_MOST_SECONDS, poll }, deps);
  refuseHeld(held, region);
  return [...swept.values()];
}

/** A volume goes with its instance and a snapshot with its image, so EC2 says that they do not exist. */
const wentAlong = (kind: Leftover['kind'], swept: ReadonlyMap<string, Swept>): boolean =>
  [...swept.values()].some(one => (kind === 'volume' && one.kind === 'instance') || (kind === 'snapshot' && one.kind === 'image'));

function refuseHeld(held: readonly string[], region: string): void {
  if (held.length === 0) return;
  const noun = held.length === 1 ? 'Snapshot' : 'Snapshots';
  throw new RejectedError(`${noun} ${held.join(', ')} in ${region} could not be deleted with the image.`, {
    next: 'Allow ec2:DeleteSnapshot, and delete them by hand: no tag identifies them any more.',
  });
}

/** A failed sweep must not replace the result of the build: returns what could not be removed, for the post step and the next run. */
export async function sweepQuietly(sweep: () => Promise<readonly Swept[]>, { report }: SweepDeps): Promise<readonly string[]> {
  try {
    for (const { region, kind, id } of await sweep()) report.info(`Removed ${kind} ${id} in ${region}, a leftover of a build.`);
    return [];
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [
      failure instanceof CancelledError ? 'resources that Packer had no time to remove: the post step removes them' : failure.message,
    ];
  }
}
