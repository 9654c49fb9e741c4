import { concurrently } from '../kit/concurrently.ts';
import type { RegionClients } from '../ports/deps.ts';
import { type Consumers, unknowable } from './other-accounts.ts';
import { planPrune } from './rules/plan.ts';
import type { Candidate, Decision, Policy } from './rules/rules.ts';

/** What is asked only of images that would go, now or after their grace, since it takes calls for each: launch permissions, and the references that AWS knows. */

export type Ports = Pick<RegionClients, 'imageUsers' | 'removal'>;

/** Image ID -> who may launch it. */
type UsersByImage = ReadonlyMap<string, readonly string[]>;

export interface Inquiry {
  /** Without it, everybody that an image is shared with counts as a user. */
  readonly consumers?: Pick<Consumers, 'users'>;
  readonly usage?: (imageIds: readonly string[], region: string) => Promise<UsersByImage>;
}

const ASKED_AT_ONCE = 8;

/** Plans, asks about what would go, and plans again, until nothing would go that was not asked about. */
export async function planWithEvidence(
  candidates: readonly Candidate[],
  policy: Policy,
  now: number,
  at: (region: string) => Ports,
  inquiry: Inquiry = {},
): Promise<readonly Decision[]> {
  const known = new Map<string, Found>();
  for (;;) {
    const informed = candidates.map(candidate => {
      const found = known.get(candidate.image.id);
      return found === undefined ? candidate : { ...candidate, ...found, users: [...candidate.users, ...found.users] };
    });
    const plan = planPrune(informed, policy, now);
    const unasked = plan.filter(decision => isAtStake(decision, policy) && !known.has(decision.image.id));
    if (unasked.length === 0) return plan;
    for (const region of new Set(unasked.map(decision => decision.region))) {
      const ids = unasked.filter(decision => decision.region === region).map(({ image }) => image.id);
      for (const [id, found] of await ask(ids, region, at(region), inquiry)) known.set(id, found);
    }
  }
}

// One that waits may have come into use where only asking shows it: then its mark goes, and what it was built from stays.
const isAtStake = ({ action, marked, waits }: Decision, { keepAncestors = false }: Policy) =>
  action === 'remove' || action === 'mark' || (waits && (marked || keepAncestors));

type Found = Required<Pick<Candidate, 'users' | 'sharedWith'>>;

async function ask(
  imageIds: readonly string[],
  region: string,
  { imageUsers, removal }: Ports,
  { consumers, usage }: Inquiry,
): Promise<ReadonlyMap<string, Found>> {
  const abroad = async (id: string) => {
    const shares = await removal.sharedWith(id);
    const users = consumers === undefined ? shares.map(unknowable) : await consumers.users(region, id, shares);
    return { id, users, sharedWith: shares.map(({ account, who }) => (account === undefined ? who : `account ${account}`)) };
  };
  const [edges, shared, elsewhere] = await Promise.all([
    imageUsers.references(imageIds),
    concurrently(imageIds, ASKED_AT_ONCE, abroad),
    usage?.(imageIds, region),
  ]);
  const references = (id: string) => edges.filter(({ imageId }) => imageId === id).map(({ user }) => user);
  return new Map(
    shared.map(({ id, users, sharedWith }) => [id, { sharedWith, users: [...references(id), ...users, ...(elsewhere?.get(id) ?? [])] }]),
  );
}

/** The same once more, just before they go: what was shared or came to refer to them since. Usage reports are later than that. */
export async function askAgain(
  imageIds: readonly string[],
  region: string,
  { imageUsers, removal }: Ports,
  consumers: Pick<Consumers, 'again'> | undefined,
): Promise<UsersByImage> {
  const [edges, shared] = await Promise.all([
    imageUsers.references(imageIds),
    concurrently(imageIds, ASKED_AT_ONCE, async id => [id, await removal.sharedWith(id)] as const),
  ]);
  const abroad = await consumers?.again(region, new Map(shared));
  return new Map(
    shared.map(([id, shares]) => [
      id,
      [...edges.filter(({ imageId }) => imageId === id).map(({ user }) => user), ...(abroad?.get(id) ?? shares.map(unknowable))],
    ]),
  );
}
