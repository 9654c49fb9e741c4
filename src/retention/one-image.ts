import type { Image, TagScheme } from '../model/image.ts';
import { usersOf } from '../model/image-users.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { planWithEvidence } from './evidence.ts';
import { type Asked, failClosed, findUsers, type Users } from './find-users.ts';
import { type Ended, removeAll } from './removal.ts';
import { NO_WISHES } from './rules/plan.ts';
import type { Decision, Policy } from './rules/rules.ts';

/** An image that somebody asks to remove by name: no policy keeps it, and every guard of prune does. */

export interface Judged {
  readonly decision: Decision;
  readonly policy: Policy;
  readonly users: Users;
}

type Ports = Pick<RegionClients, 'account' | 'images' | 'imageUsers' | 'removal'>;

/** If one who may launch it cannot be seen, this rejects and nothing is removed. */
export async function planOne(
  image: Image,
  asked: Asked & { readonly region: string },
  scheme: TagScheme,
  aws: Ports,
  { report, clock }: Deps<never>,
): Promise<Judged> {
  const policy = { ...NO_WISHES, scheme, family: asked.family, accountId: await aws.account.id() };
  return failClosed(report, async () => {
    const users = await report.step('Find what may still launch it', () => findUsers(asked, aws, report));
    const candidate = { image, region: asked.region, users: usersOf(users.all, image) };
    const [decision] = await planWithEvidence([candidate], policy, clock.now(), () => aws);
    return { policy, users, decision: decision ?? { ...candidate, action: 'keep', reason: 'no decision', waits: false, marked: false } };
  });
}

/** How it ended. `kept`: somebody came to use it since it was judged. */
export async function removeOne(judged: Judged, keepSnapshots: boolean, aws: Ports, deps: Deps<never>): Promise<Ended> {
  const { decision, policy, users } = judged;
  const [end] = await removeAll([decision], policy, { keepSnapshots }, { ...deps, aws, users });
  return end ?? { decision, result: 'failed', remaining: [{ what: `image ${decision.image.id}` }] };
}
