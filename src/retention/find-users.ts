import { UsageError } from '../kit/errors.ts';
import { count, list, optional, text } from '../kit/fields.ts';
import { type PointerNames, pointerNames, type UserFacts, whoUses } from '../model/image-users.ts';
import type { RegionClients, Reporter } from '../ports/deps.ts';

/** Who may still launch the images of a family. Every mode that removes one asks this way, and whoever cannot answer forbids it. */

export const users = {
  rollbackDepth: count('How many earlier images of each environment stay, so that it can be rolled back.', {
    min: 0,
    max: 99,
    fallback: 3,
  }),
  templateDepth: count('How many of the newest versions of every launch template count as used, besides its default version.', {
    min: 1,
    max: 10_000,
    fallback: 1,
    neededBy: 'teams that go back to older launch template versions by hand',
  }),
  ignoreParameters: optional(
    list(
      'Parameters whose name begins so hold no image ID: they are not read. All others are, and one that cannot be read stops everything.',
      {
        pattern: /^\/?[\w.-][\w./-]*$/,
        message: 'must be the beginning of a parameter name',
        neededBy: 'accounts with parameters that the role may not read',
      },
    ),
  ),
};

export const price = text('What a GiB of snapshots costs a month, in dollars.', {
  fallback: '0.05',
  pattern: /^\d{1,4}(\.\d{1,6})?$/,
  message: 'must be a price such as 0.05',
  neededBy: 'regions and contracts with other prices',
});

export interface Asked {
  readonly family: string;
  readonly pointer: string;
  /** Those of other environments, where they are called otherwise. */
  readonly pointers: readonly string[];
  readonly rollbackDepth: number;
  readonly templateDepth?: number;
  readonly ignoreParameters?: readonly string[] | undefined;
}

export interface Users {
  readonly facts: UserFacts;
  /** Image ID -> who may launch it. */
  readonly all: ReadonlyMap<string, readonly string[]>;
  /** Looks again, just before these go. */
  again(imageIds: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
}

export const pointersOf = ({ pointer, pointers, family }: Pick<Asked, 'pointer' | 'pointers' | 'family'>): PointerNames =>
  pointerNames([...new Set([pointer, ...pointers])], family);

/** Reads every source completely, or rejects. */
export async function findUsers(asked: Asked, aws: Pick<RegionClients, 'imageUsers'>, report: Reporter): Promise<Users> {
  const scope = { pointers: pointersOf(asked), ignoredParameters: asked.ignoreParameters ?? [], templateDepth: asked.templateDepth ?? 1 };
  const facts = await aws.imageUsers.read(scope);
  report.info(
    `${facts.instances.length} instances, ${facts.launchers.length} groups, refreshes and launch configurations, ` +
      `${facts.versions.length} launch template versions and ${facts.parameters.length} parameters were read.`,
  );
  return {
    facts,
    all: whoUses(facts, asked.rollbackDepth),
    again: async imageIds => whoUses(await aws.imageUsers.read({ ...scope, again: imageIds }), asked.rollbackDepth),
  };
}

/** For whoever is about to remove something: what cannot be read forbids it. */
export async function failClosed<T>(report: Reporter, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (!(failure instanceof UsageError)) report.warn('Nothing was removed: what cannot be read counts as in use.');
    throw failure;
  }
}
