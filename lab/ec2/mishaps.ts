import { slice } from '../place.ts';

/** Failures inside EC2, set by tests. Faults of the wire are in ../faults.ts. */
export interface Mishaps {
  /** Instance types, zones or `type/zone` without capacity. */
  readonly noCapacity: Set<string>;
  /** Image ID or `*` -> reason for which its instances go from pending to terminated. */
  readonly launchFails: Map<string, { code: string; message: string }>;
  /** Image IDs, or `*`, whose instances never pass their status checks. */
  readonly impaired: Set<string>;
  /** Image name or `*` -> reason for which CreateImage or CopyImage ends in `failed` after the call succeeded. */
  readonly imageFails: Map<string, string>;
  /** Snapshot ID -> code that DeregisterImage returns for it instead of deleting it. */
  readonly snapshotDeletion: Map<string, 'missing-permissions' | 'internal-error' | 'client-error'>;
  /** Seconds for which DescribeTags still returns the tags of a deleted resource: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
  tagsLingerSeconds: number;
  /** Usage reports end in `error`. */
  usageReportsFail: boolean;
  /** Maximum number of items per page. Undefined: the number that the caller requests. */
  pageSize: number | undefined;
}

export const mishaps = slice(
  (): Mishaps => ({
    noCapacity: new Set(),
    launchFails: new Map(),
    impaired: new Set(),
    imageFails: new Map(),
    snapshotDeletion: new Map(),
    tagsLingerSeconds: 0,
    usageReportsFail: false,
    pageSize: undefined,
  }),
);
