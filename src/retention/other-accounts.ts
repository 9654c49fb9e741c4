import { ActionError } from '../kit/errors.ts';
import type { Values } from '../kit/settings.ts';
import type { targetRole } from '../model/common-settings.ts';
import type { ImageUser, UsersById } from '../model/image-users.ts';
import type { Deps } from '../ports/deps.ts';
import type { Share } from '../ports/images.ts';
import { findUsers, type UserOptions, type Users } from './find-users.ts';

/** Other accounts that an image is shared with. An account that cannot be read keeps its images. */

export interface CrossAccount {
  /** What may launch the image in the accounts that it is shared with. Never rejects: an account that cannot be read is a user. */
  users(region: string, imageId: string, shares: readonly Share[]): Promise<readonly ImageUser[]>;
  /** Reads those accounts again, just before these images are removed. */
  again(region: string, sharedWith: ReadonlyMap<string, readonly Share[]>): Promise<UsersById>;
}

type CrossAccountOptions = UserOptions & Values<{ readonly targetRole: typeof targetRole }>;
type Read = (users: Users) => UsersById | Promise<UsersById>;

export function crossAccount(options: CrossAccountOptions, { inRegion, report }: Deps<'imageUsers'>): CrossAccount {
  const started = new Map<string, Promise<Users>>();
  const usersIn = (account: string, region: string, role: string): Promise<Users> => {
    const key = `${account} ${region}`;
    const users = started.get(key) ?? findUsers(options, inRegion({ region, role }), report);
    started.set(key, users);
    return users;
  };
  const usersOfShare = async (imageId: string, region: string, share: Share, read: Read): Promise<readonly ImageUser[]> => {
    const { account } = share;
    const role = account === undefined ? undefined : options.targetRole?.replaceAll('{account}', account);
    // A role without {account} belongs to one account and sees nothing of the others.
    if (account === undefined || role === undefined || !role.includes(`:${account}:`)) return [unreadable(share)];
    try {
      const found = (await read(await usersIn(account, region, role))).get(imageId) ?? [];
      return found.map(user => ({ ...user, label: `${user.label} in account ${account}` }));
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      return [unreadable(share, failure)];
    }
  };
  const usersOf = async (region: string, imageId: string, shares: readonly Share[], read: Read) =>
    (await Promise.all(shares.map(share => usersOfShare(imageId, region, share, read)))).flat();
  return {
    users: (region, imageId, shares) => usersOf(region, imageId, shares, ({ all }) => all),
    async again(region, sharedWith) {
      // Once for each account, not for each image.
      const reads = new Map<Users, ReturnType<Read>>();
      const read: Read = users => {
        const begun = reads.get(users) ?? users.again([...sharedWith.keys()]);
        reads.set(users, begun);
        return begun;
      };
      const all = [...sharedWith].map(async ([id, shares]) => [id, await usersOf(region, id, shares, read)] as const);
      return new Map(await Promise.all(all));
    },
  };
}

export const unreadable = ({ account, who }: Share, failure?: ActionError): ImageUser => ({
  kind: 'unreadable',
  label: `${account === undefined ? who : `account ${account}`} (shared; not readable${failure === undefined ? '' : `: ${failure.message}`})`,
});
