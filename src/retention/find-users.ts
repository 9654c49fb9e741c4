import { UsageError } from '../kit/errors.ts';
import { count, list, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import type { family } from '../model/common-settings.ts';
import { type PointerNames, pointerNames, type UserFacts, type UsersById, usersById } from '../model/image-users.ts';
import type { RegionClients, Reporter } from '../ports/deps.ts';
import type { pointer } from '../selection/settings.ts';

/** What may still launch the images of a family. Every mode that removes an image asks here; a source that cannot be read forbids the removal. */

export const users = {
  rollbackDepth: count('How many earlier images of each environment are kept for rollback.', {
    min: 0,
    max: 99,
    fallback: 3,
  }),
  templateDepth: count('How many of the newest versions of every launch template count as in use, in addition to its default version.', {
    min: 1,
    max: 10_000,
    fallback: 1,
    neededBy: 'teams that go back to older launch template versions by hand',
  }),
  ignoreParameters: optional(
    list(
      'Prefixes of parameter names that hold no image ID. Those parameters are not read. All others are read, and one that cannot be read stops the run.',
      {
        pattern: /^\/?[\w.-][\w./-]*$/,
        message: 'must be the beginning of a parameter name',
        neededBy: 'accounts with parameters that the role may not read',
      },
    ),
  ),
};

export const price = text('Price of one GiB of snapshots per month, in dollars.', {
  fallback: '0.05',
  pattern: /^\d{1,4}(\.\d{1,6})?$/,
  message: 'must be a price such as 0.05',
  neededBy: 'regions and contracts with other prices',
});

type Declared = Values<typeof users & { readonly family: typeof family; readonly pointer: typeof pointer }>;

/** `pointers`: those of all environments in the file. */
export type UserOptions = Pick<Declared, 'family' | 'pointer' | 'rollbackDepth'> &
  Partial<Pick<Declared, 'templateDepth' | 'ignoreParameters'>> & { readonly pointers: readonly string[] };

export interface Users {
  readonly facts: UserFacts;
  readonly all: UsersById;
  /** Reads everything again, just before these images are removed. */
  again(imageIds: readonly string[]): Promise<UsersById>;
  /** What pointers and candidates name at this moment. */
  pointed(): Promise<UsersById>;
}

export const pointersOf = ({ pointer, pointers, family }: Pick<UserOptions, 'pointer' | 'pointers' | 'family'>): PointerNames =>
  pointerNames([...new Set([pointer, ...pointers])], family);

/** Reads every source completely, or rejects. */
export async function findUsers(options: UserOptions, aws: Pick<RegionClients, 'imageUsers'>, report: Reporter): Promise<Users> {
  const scope = {
    pointers: pointersOf(options),
    ignoredParameters: options.ignoreParameters ?? [],
    templateDepth: options.templateDepth ?? 1,
  };
  const facts = await aws.imageUsers.read(scope);
  report.info(
    `Read ${facts.instances.length} instances, ${facts.launchers.length} groups, refreshes, fleets and launch configurations, ` +
      `${facts.versions.length} launch template versions and ${facts.parameters.length} parameters.`,
  );
  return {
    facts,
    all: usersById(facts, options.rollbackDepth),
    pointed: async () => usersById({ ...NO_FACTS, parameters: await aws.imageUsers.pointed(scope.pointers) }, 0),
    again: async imageIds => usersById(await aws.imageUsers.read({ ...scope, again: imageIds }), options.rollbackDepth),
  };
}

const NO_FACTS: UserFacts = { instances: [], launchers: [], versions: [], parameters: [], aliases: new Map() };

/** Runs what decides on a removal. A failure other than bad settings is reported with its effect: nothing is removed. */
export async function failClosed<T>(report: Reporter, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (!(failure instanceof UsageError)) report.warn('No changes were made: an image counts as in use if a source cannot be read.');
    throw failure;
  }
}
