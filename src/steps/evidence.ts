import { type Decision, planPrune } from '../domain/retention.ts';
import type { Candidate, Policy } from '../domain/retention-rules.ts';
import { concurrently } from '../kit/concurrently.ts';
import type { Place } from '../world.ts';

/** What is asked only of images that would go, since it takes calls for each: launch permissions, and the references that AWS knows. */

export type Ports = Pick<Place, 'imageUsers' | 'removal'>;

const ASKED_AT_ONCE = 8;

/** Plans, asks about what would go, and plans again, until nothing would go that was not asked about. */
export async function planWithEvidence(
  candidates: readonly Candidate[],
  policy: Policy,
  now: number,
  at: (region: string) => Ports,
): Promise<readonly Decision[]> {
  const known = new Map<string, readonly string[]>();
  for (;;) {
    const informed = candidates.map(candidate => ({ ...candidate, users: [...candidate.users, ...(known.get(candidate.image.id) ?? [])] }));
    const plan = planPrune(informed, policy, now);
    const unasked = plan.filter(({ action, image }) => (action === 'remove' || action === 'mark') && !known.has(image.id));
    if (unasked.length === 0) return plan;
    for (const region of new Set(unasked.map(decision => decision.region))) {
      const ids = unasked.filter(decision => decision.region === region).map(({ image }) => image.id);
      for (const [id, users] of await ask(ids, at(region))) known.set(id, users);
    }
  }
}

async function ask(imageIds: readonly string[], { imageUsers, removal }: Ports): Promise<ReadonlyMap<string, readonly string[]>> {
  const [edges, shares] = await Promise.all([
    imageUsers.references(imageIds),
    concurrently(imageIds, ASKED_AT_ONCE, async id => [id, await removal.sharedWith(id)] as const),
  ]);
  return new Map(
    shares.map(([id, sharedWith]) => [
      id,
      [
        ...edges.filter(({ imageId }) => imageId === id).map(({ user }) => user),
        ...sharedWith.map(who => `${who}, which it is shared with and which cannot be looked into`),
      ],
    ]),
  );
}
