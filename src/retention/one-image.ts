import type { Image, TagScheme } from '../model/image.ts';
import { usersOf } from '../model/image-users.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { planWithEvidence } from './evidence.ts';
import { failClosed, findUsers, type UserOptions, type Users } from './find-users.ts';
import { type RemovalResult, removeAll } from './removal.ts';
import { NO_RETENTION_POLICY } from './rules/plan.ts';
import type { Decision, Policy } from './rules/rules.ts';

/** Removal of one image by name: no retention policy applies, but all guards do. */

interface OnePlan {
  readonly decision: Decision;
  readonly policy: Policy;
  readonly users: Users;
}

type Ports = Pick<RegionClients, 'account' | 'images' | 'imageUsers' | 'removal'>;

/** Rejects if a source of users cannot be read. */
export async function planOne(
  image: Image,
  options: UserOptions & { readonly region: string },
  scheme: TagScheme,
  aws: Ports,
  { report, clock }: Deps<never>,
): Promise<OnePlan> {
  const policy = { ...NO_RETENTION_POLICY, scheme, family: options.family, accountId: await aws.account.id() };
  return failClosed(report, async () => {
    const users = await report.step('Find what may launch it', () => findUsers(options, aws, report));
    const candidate = { image, region: options.region, users: usersOf(users.all, image) };
    const [decision] = await planWithEvidence([candidate], policy, clock, () => aws);
    return { policy, users, decision: decision ?? { ...candidate, action: 'keep', reason: 'no decision', waits: false, marked: false } };
  });
}

export async function removeOne({ decision, policy, users }: OnePlan, keepSnapshots: boolean, aws: Ports, deps: Deps<never>) {
  const [result] = await removeAll([decision], policy, { keepSnapshots }, { ...deps, aws, users });
  return result ?? ({ decision, result: 'failed', remaining: [{ what: `image ${decision.image.id}` }] } satisfies RemovalResult);
}
