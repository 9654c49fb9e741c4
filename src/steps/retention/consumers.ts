import { Expected } from '../../kit/errors.ts';
import type { Share } from '../../world/images.ts';
import type { Place, Powers } from '../../world.ts';
import { unknowable } from './evidence.ts';
import { type Asked, findUsers, type Users } from './image-users.ts';

/** Other accounts that an image is shared with. One that cannot be read keeps its images: nobody here knows what it boots tomorrow. */

export interface Consumers {
  /** Who may launch the image in the accounts that it is shared with. Never rejects: what cannot be read is a user. */
  users(region: string, imageId: string, shares: readonly Share[]): Promise<readonly string[]>;
  /** Looks again, just before these go, into the accounts that they are shared with. */
  again(region: string, imageIds: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
}

interface Wanted extends Asked {
  readonly targetRole?: string | undefined;
}

export function consumers(wanted: Wanted, { at, report }: Powers<'imageUsers'>): Consumers {
  const read = new Map<string, Promise<Users>>();
  const sharedWith = new Map<string, readonly Share[]>();
  const usersIn = (account: string, region: string, role: string): Promise<Users> => {
    const key = `${account} ${region}`;
    const known = read.get(key);
    if (known !== undefined) return known;
    const started = findUsers(wanted, at({ region, role }) as Pick<Place, 'imageUsers'>, report);
    read.set(key, started);
    return started;
  };
  const ask = async (imageId: string, region: string, { account, who }: Share, again: boolean): Promise<readonly string[]> => {
    const role = account === undefined ? undefined : wanted.targetRole?.replaceAll('{account}', account);
    // A role that is spelt out belongs to one account; what it sees says nothing of the others.
    if (account === undefined || role === undefined || !role.includes(`:${account}:`)) return [unknowable({ account, who })];
    try {
      const users = await usersIn(account, region, role);
      const found = (again ? await users.again([imageId]) : users.all).get(imageId) ?? [];
      return found.map(user => `${user} in account ${account}`);
    } catch (failure) {
      if (!(failure instanceof Expected)) throw failure;
      return [`${unknowable({ account, who })}: ${failure.message}`];
    }
  };
  const usersOf = async (region: string, imageId: string, shares: readonly Share[], again: boolean) =>
    (await Promise.all(shares.map(share => ask(imageId, region, share, again)))).flat();
  return {
    async users(region, imageId, shares) {
      sharedWith.set(imageId, shares);
      return usersOf(region, imageId, shares, false);
    },
    async again(region, imageIds) {
      const shared = imageIds.filter(id => (sharedWith.get(id) ?? []).length > 0);
      return new Map(await Promise.all(shared.map(async id => [id, await usersOf(region, id, sharedWith.get(id) ?? [], true)] as const)));
    },
  };
}
