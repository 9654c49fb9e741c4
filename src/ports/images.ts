import type { Image, Snapshot, Tags } from '../model/image.ts';
import type { AllowedImages, ImageKey } from '../model/image-access.ts';
import type { Edge, PointerNames, UserFacts } from '../model/image-users.ts';

/** The ports to images: finding, tagging, sharing, copying, and removing them with all that hangs on them. */

export interface ImageQuery {
  /** Every pair must match. */
  readonly tags?: Tags;
  readonly names?: readonly string[];
  readonly ids?: readonly string[];
  /** "self", "amazon", an account; default self. */
  readonly owners?: readonly string[];
  /** Also images that others share with this account. */
  readonly shared?: boolean;
  readonly includeDisabled?: boolean;
}

export interface Images {
  get(id: string): Promise<Image | undefined>;
  /** All pages; no order is promised. */
  find(query: ImageQuery): Promise<readonly Image[]>;
  /** On images, snapshots, instances alike. */
  tag(ids: readonly string[], tags: Tags): Promise<void>;
  untag(ids: readonly string[], keys: readonly string[]): Promise<void>;
}

export interface UserScope {
  /** Their history is read too. */
  readonly pointers: PointerNames;
  /** Parameters that begin so hold no image ID, somebody says: they are not read. Pointers are all the same. */
  readonly ignoredParameters: readonly string[];
  /** How many of the newest versions of every launch template count as current; default 1, besides the default version. */
  readonly templateDepth?: number;
  /** A second look just before these images go: of instances only those of these images, everything else anew. */
  readonly again?: readonly string[];
}

export interface ImageUsers {
  /** Everything in this account and region that may launch an image. Rejects rather than answering in part. */
  read(scope: UserScope): Promise<UserFacts>;
  /** What AWS itself knows of this account's references, Image Builder's recipes among them. A reason to keep, never one to remove. */
  references(imageIds: readonly string[]): Promise<readonly Edge[]>;
  /** Starts a report of who in any account uses an image; the same token is the same report. */
  startUsageReport(imageId: string, token: string): Promise<string>;
  usage(reportId: string): Promise<UsageReport>;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html */
export interface UsageReport {
  readonly state: 'pending' | 'available' | 'error';
  readonly entries: readonly { readonly account: string; readonly resourceType: string; readonly count: number }[];
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshotReturnCode.html */
export interface SnapshotResult {
  readonly snapshotId: string;
  readonly code: 'success' | 'skipped' | 'missing-permissions' | 'internal-error' | 'client-error';
}

/** `gone`: it was no longer there, which is as good. `protected`: AWS does not let it go yet. */
export type Removed =
  | { readonly result: 'removed'; readonly snapshots: readonly SnapshotResult[] }
  | { readonly result: 'gone' }
  | { readonly result: 'protected'; readonly reason: string };

/** A launch permission. */
export interface Share {
  /** An account ID, the ARN of an organization or a unit, or `all`. */
  readonly who: string;
  /** Undefined where it is more than one account. */
  readonly account: string | undefined;
}

/** Something that was deleted, and that a retention rule keeps for a while. https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html */
export interface Recycled {
  readonly id: string;
  /** Then it is gone for good. */
  readonly until: Date | undefined;
}

export interface Removal {
  deregister(imageId: string, options: { keepSnapshots: boolean }): Promise<Removed>;
  sharedWith(imageId: string): Promise<readonly Share[]>;
  /** Hides it from everybody else; whoever knows its ID may still launch it. */
  deprecate(imageId: string, at: Date): Promise<void>;
  undeprecate(imageId: string): Promise<void>;
  /** Nobody can launch it, not even its owner; and nobody it was shared with gets it back when it is enabled. */
  disable(imageId: string): Promise<void>;
  enable(imageId: string): Promise<void>;
  /** What the Recycle Bin holds. All pages. */
  recycled(kind: 'image' | 'snapshot'): Promise<readonly Recycled[]>;
  /** Own ones; every pair must match. All pages. */
  snapshots(tags: Tags): Promise<readonly Snapshot[]>;
  /** `gone`: it was no longer there; `in-use`: an image or somebody else holds it. */
  deleteSnapshot(snapshotId: string): Promise<'deleted' | 'gone' | 'in-use'>;
}

export interface CopyOrder {
  readonly from: { readonly region: string; readonly imageId: string };
  readonly name: string;
  readonly description: string;
  /** On the copy and its snapshots, from the moment they exist. */
  readonly tags: Tags;
  /** Key, alias or ARN in the region of the copy; undefined: as the source, with the region's default key where it is encrypted. */
  readonly kmsKey: string | undefined;
  readonly token: string;
}

/** What the owner of an image gives to others. Who: account IDs, ARNs of organizations and units, or `all`. */
export interface Sharing {
  launchers(imageId: string): Promise<readonly string[]>;
  /** Adding who is there already changes nothing, and so does removing who is not. */
  allowLaunch(imageId: string, who: readonly string[]): Promise<void>;
  forbidLaunch(imageId: string, who: readonly string[]): Promise<void>;
  /** Who may read the content; needed to copy, not to launch. */
  readers(snapshotId: string): Promise<readonly string[]>;
  allowReading(snapshotId: string, accounts: readonly string[]): Promise<void>;
  forbidReading(snapshotId: string, accounts: readonly string[]): Promise<void>;
  /** Into this region and account. The ID, long before there is content; undefined when the name is taken. */
  copy(order: CopyOrder): Promise<string | undefined>;
  /** ARNs of the keys that encrypt these snapshots. */
  keysOf(snapshotIds: readonly string[]): Promise<readonly string[]>;
  key(arn: string): Promise<ImageKey>;
  /** Which images of others this account lets in; undefined where it may not be asked. */
  allowed(): Promise<AllowedImages | undefined>;
}

/** An image of a machine as it is. */
export interface Capture {
  /** Undefined where the name is taken: by somebody else, or by a call of ours whose answer got lost. */
  image(order: { instanceId: string; name: string; noReboot: boolean; tags: Tags }): Promise<string | undefined>;
}

/** What a build makes beside its image, or leaves when it dies. */
export interface Leftovers {
  /** Everything that has this tag with this value, or with any; what has ended for good is not there any more. */
  tagged(key: string, value?: string): Promise<readonly Leftover[]>;
  /** `busy`: something that is ending still uses it, ask again. `held`: it is gone, and these snapshots of it are not. */
  remove(leftover: Pick<Leftover, 'kind' | 'id'>): Promise<'asked' | 'gone' | 'busy' | { readonly held: readonly string[] }>;
}

export interface Leftover {
  readonly kind: 'instance' | 'image' | 'snapshot' | 'volume' | 'security-group' | 'key-pair';
  readonly id: string;
  readonly tags: Tags;
  /** On its way out; it may still keep others from going. */
  readonly ending: boolean;
}
