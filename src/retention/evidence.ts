import { concurrently } from '../kit/concurrently.ts';
import { type ImageUser, knownUser, type UsersById, usersOf } from '../model/image-users.ts';
import type { Clock, Deps, RegionClients } from '../ports/deps.ts';
import type { Users } from './find-users.ts';
import { type CrossAccount, unreadable } from './other-accounts.ts';
import { planPrune } from './rules/plan.ts';
import { type Candidate, type Decision, guard, type Policy, reusedAt } from './rules/rules.ts';

/** What takes calls for each image, so it is read only for images that would be removed: launch permissions, and the references that EC2 knows. */

type Ports = Pick<RegionClients, 'imageUsers' | 'removal'>;

interface Sources {
  /** Absent: every account that an image is shared with counts as a user. */
  readonly accounts?: Pick<CrossAccount, 'users'>;
  readonly usage?: (imageIds: readonly string[], region: string) => Promise<UsersById>;
}

const IMAGES_AT_ONCE = 8;

/** Plans, reads the evidence for images that would be removed, and plans again until the evidence of all of them is known. */
export async function planWithEvidence(
  candidates: readonly Candidate[],
  policy: Policy,
  clock: Pick<Clock, 'now'>,
  inRegion: (region: string) => Ports,
  sources: Sources = {},
): Promise<readonly Decision[]> {
  const now = clock.now();
  const known = new Map<string, Evidence>();
  for (;;) {
    const informed = candidates.map(candidate => {
      const found = known.get(candidate.image.id);
      return found === undefined ? candidate : { ...candidate, ...found, users: [...candidate.users, ...found.users] };
    });
    const plan = planPrune(informed, policy, now);
    const unread = plan.filter(decision => isAtStake(decision, policy) && !known.has(decision.image.id));
    if (unread.length === 0) return plan;
    for (const region of new Set(unread.map(decision => decision.region))) {
      const ids = unread.filter(decision => decision.region === region).map(({ image }) => image.id);
      const evidenceAt = clock.now();
      for (const [id, found] of await readEvidence(ids, region, inRegion(region), sources)) known.set(id, { ...found, evidenceAt });
    }
  }
}

// Evidence of use also unmarks an image that waits, and keeps its ancestors.
const isAtStake = ({ action, marked, waits }: Decision, { keepAncestors = false }: Policy) =>
  action === 'remove' || action === 'mark' || (waits && (marked || keepAncestors));

type Evidence = Required<Pick<Candidate, 'users' | 'sharedWith' | 'evidenceAt'>>;

async function readEvidence(
  imageIds: readonly string[],
  region: string,
  { imageUsers, removal }: Ports,
  { accounts, usage }: Sources,
): Promise<ReadonlyMap<string, Omit<Evidence, 'evidenceAt'>>> {
  const ofShares = async (id: string) => {
    const shares = await removal.sharedWith(id);
    const users = accounts === undefined ? shares.map(share => unreadable(share)) : await accounts.users(region, id, shares);
    return { id, users, sharedWith: shares.map(({ account, who }) => (account === undefined ? who : `account ${account}`)) };
  };
  const [references, shared, reported] = await Promise.all([
    usersByReference(imageIds, imageUsers),
    concurrently(imageIds, IMAGES_AT_ONCE, ofShares),
    usage?.(imageIds, region),
  ]);
  return new Map(
    shared.map(({ id, users, sharedWith }) => [id, { sharedWith, users: [...references(id), ...users, ...(reported?.get(id) ?? [])] }]),
  );
}

async function usersByReference(imageIds: readonly string[], imageUsers: Ports['imageUsers']) {
  const edges = await imageUsers.references(imageIds);
  return (id: string): readonly ImageUser[] => edges.filter(({ imageId }) => imageId === id).map(({ user }) => knownUser(user));
}

export interface RemovalDeps extends Pick<Deps<never>, 'report' | 'run' | 'clock'> {
  readonly aws: Pick<RegionClients, 'images'> & Ports;
  readonly users: Users;
  /** Absent: every account that an image is shared with counts as a user. */
  readonly accounts?: Pick<CrossAccount, 'again'>;
}

// Reading all users costs the same for one image as for a hundred: about fifteen calls, and one for each Auto Scaling group.
export const BATCH_SIZE = 100;

// Launch permissions take a call for each image. Of a large batch, those that were read in the last half minute are not read again.
const LARGE_BATCH = 20;
const FRESH_MS = 30_000;

/** Reads everything again just before an action that cannot be undone. The result: why some of the batch are kept after all. */
export async function recheck(
  batch: readonly Decision[],
  policy: Policy,
  { aws, users, accounts, clock }: RemovalDeps,
): Promise<ReadonlyMap<Decision, string>> {
  const ids = batch.map(({ image }) => image.id);
  const isStale = ({ evidenceAt = 0 }: Decision) => batch.length <= LARGE_BATCH || clock.now() - evidenceAt >= FRESH_MS;
  const stale = batch.filter(isStale).map(({ image }) => image.id);
  const [listed, again, evidence] = await Promise.all([
    aws.images.find({ ids, includeDisabled: true }),
    users.again(ids),
    stale.length === 0 ? new Map() : evidenceAgain(stale, batch[0]?.region ?? '', aws, accounts),
  ]);
  const reasons = batch.flatMap(decision => {
    // Listings are eventually consistent: an image that this one lacks may still exist.
    const image = listed.find(({ id }) => id === decision.image.id) ?? decision.image;
    const isReused = reusedAt(image, policy.scheme) !== reusedAt(decision.image, policy.scheme);
    const reason =
      guard({ ...decision, image, users: [...usersOf(again, image), ...(evidence.get(image.id) ?? [])] }, policy) ??
      (isReused ? 'reused by an unchanged build' : undefined);
    return reason === undefined ? [] : [[decision, reason] as const];
  });
  return new Map(reasons);
}

/** Without usage reports, which are days late. */
async function evidenceAgain(
  imageIds: readonly string[],
  region: string,
  { imageUsers, removal }: Ports,
  accounts: RemovalDeps['accounts'],
): Promise<UsersById> {
  const [references, shared] = await Promise.all([
    usersByReference(imageIds, imageUsers),
    concurrently(imageIds, IMAGES_AT_ONCE, async id => [id, await removal.sharedWith(id)] as const),
  ]);
  const elsewhere = await accounts?.again(region, new Map(shared));
  return new Map(
    shared.map(([id, shares]) => [id, [...references(id), ...(elsewhere?.get(id) ?? shares.map(share => unreadable(share)))]]),
  );
}
