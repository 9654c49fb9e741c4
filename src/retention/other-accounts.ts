import { ActionError } from '../kit/errors.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Share } from '../ports/images.ts';
import { type Asked, findUsers, type Users } from './find-users.ts';
import { PERHAPS } from './usage-reports.ts';

/** Other accounts that an image is shared with. One that cannot be read keeps its images: nobody here knows what it boots tomorrow. */

export interface Consumers {
  /** Who may launch the image in the accounts that it is shared with. Never rejects: what cannot be read is a user. */
  users(region: string, imageId: string, shares: readonly Share[]): Promise<readonly string[]>;
  /** Looks again, just before these go, into the accounts that they are shared with. */
  again(region: string, sharedWith: ReadonlyMap<string, readonly Share[]>): Promise<ReadonlyMap<string, readonly string[]>>;
}

interface Wanted extends Asked {
  readonly targetRole?: string | undefined;
}

export function consumers(wanted: Wanted, { inRegion, report }: Deps<'imageUsers'>): Consumers {
  const read = new Map<string, Promise<Users>>();
  const usersIn = (account: string, region: string, role: string): Promise<Users> => {
    const key = `${account} ${region}`;
    const known = read.get(key);
    if (known !== undefined) return known;
    const started = findUsers(wanted, inRegion({ region, role }) as Pick<RegionClients, 'imageUsers'>, report);
    read.set(key, started);
    return started;
  };
  type Look = (users: Users) => ReadonlyMap<string, readonly string[]> | Promise<ReadonlyMap<string, readonly string[]>>;
  const ask = async (imageId: string, region: string, { account, who }: Share, look: Look): Promise<readonly string[]> => {
    const role = account === undefined ? undefined : wanted.targetRole?.replaceAll('{account}', account);
    // A role that is spelt out belongs to one account; what it sees says nothing of the others.
    if (account === undefined || role === undefined || !role.includes(`:${account}:`)) return [unknowable({ account, who })];
    try {
      const found = (await look(await usersIn(account, region, role))).get(imageId) ?? [];
      return found.map(user => `${user} in account ${account}`);
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      return [`${unknowable({ account, who })}: ${failure.message}`];
    }
  };
  const usersOf = async (region: string, imageId: string, shares: readonly Share[], look: Look) =>
    (await Promise.all(shares.map(share => ask(imageId, region, share, look)))).flat();
  return {
    users: (region, imageId, shares) => usersOf(region, imageId, shares, ({ all }) => all),
    async again(region, sharedWith) {
      // Once for each account, not for each image.
      const looks = new Map<Users, ReturnType<Look>>();
      const look: Look = users => {
        const begun = looks.get(users) ?? users.again([...sharedWith.keys()]);
        looks.set(users, begun);
        return begun;
      };
      const all = [...sharedWith].map(async ([id, shares]) => [id, await usersOf(region, id, shares, look)] as const);
      return new Map(await Promise.all(all));
    },
  };
}

const UNKNOWN = 'and which cannot be looked into';

export const unknowable = ({ account, who }: Share): string =>
  `${account === undefined ? who : `account ${account}`}, which it is shared with ${UNKNOWN}`;

/** Who cannot be seen forbids a removal, and proves no use. */
export const isSeen = (user: string): boolean => !user.includes(UNKNOWN) && !user.startsWith(PERHAPS);
