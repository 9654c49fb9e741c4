import { slice } from '../place.ts';

/** What goes wrong on purpose inside EC2, set by tests. Faults of the wire are in ../faults.ts. */
export interface Mishaps {
  /** Instance types, zones or `type/zone` that have no capacity left. */
  readonly noCapacity: Set<string>;
  /** Image ID, or `*` -> why an instance of it goes from pending to terminated. */
  readonly launchFails: Map<string, { code: string; message: string }>;
  /** Image IDs, or `*`, whose instances never pass their status checks. */
  readonly impaired: Set<string>;
  /** Image name, or `*` -> why CreateImage or CopyImage, having answered, ends in `failed`. */
  readonly imageFails: Map<string, string>;
  /** Snapshot ID -> what DeregisterImage says of deleting it, instead of doing so. */
  readonly snapshotDeletion: Map<string, 'missing-permissions' | 'internal-error' | 'client-error'>;
  /** Usage reports end in `error`. */
  usageReportsFail: boolean;
  /** An answer never has more than so many items. Undefined: as many as the caller asks for. */
  pageSize: number | undefined;
}

export const mishaps = slice(
  (): Mishaps => ({
    noCapacity: new Set(),
    launchFails: new Map(),
    impaired: new Set(),
    imageFails: new Map(),
    snapshotDeletion: new Map(),
    usageReportsFail: false,
    pageSize: undefined,
  }),
);
