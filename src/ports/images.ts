import type { Image, Snapshot, Tags } from '../model/image.ts';
import type { AllowedImages, ImageKey } from '../model/image-access.ts';
import type { Edge, ParameterFact, PointerNames, UserFacts } from '../model/image-users.ts';

/** The ports to images: find, tag, share, copy and remove them, with their snapshots. */

export interface ImageQuery {
  /** Every pair must match. */
  readonly tags?: Tags;
  readonly names?: readonly string[];
  readonly ids?: readonly string[];
  /** Created from one of these instances. */
  readonly sourceInstances?: readonly string[];
  /** "self", "amazon", an account; default self. */
  readonly owners?: readonly string[];
  /** Also images that other accounts share with this one. */
  readonly shared?: boolean;
  readonly includeDisabled?: boolean;
}

export interface Images {
  get(id: string): Promise<Image | undefined>;
  /** All pages, in no order. */
  find(query: ImageQuery): Promise<readonly Image[]>;
  /** On images, snapshots and instances. */
  tag(ids: readonly string[], tags: Tags): Promise<void>;
  untag(ids: readonly string[], keys: readonly string[]): Promise<void>;
}

export interface UserScope {
  /** Their history is read as well. */
  readonly pointers: PointerNames;
  /** Prefixes of parameters that are not read, because the settings say they hold no image ID. Pointers are always read. */
  readonly ignoredParameters: readonly string[];
  /** How many of the newest versions of a launch template count as current, in addition to the default version. Default 1. */
  readonly templateDepth?: number;
  /** The check just before these images are removed: only instances of these images, everything else again. */
  readonly again?: readonly string[];
}

export interface ImageUsers {
  /** Everything in this account and region that may launch an image. Rejects when a part cannot be read. */
  read(scope: UserScope): Promise<UserFacts>;
  /** The image IDs that pointers and candidates hold at this moment; no history. */
  pointed(pointers: PointerNames): Promise<readonly ParameterFact[]>;
  /** The references that AWS finds in this account, Image Builder recipes included. A reason to keep an image, never one to remove it. */
  references(imageIds: readonly string[]): Promise<readonly Edge[]>;
  /** Starts a report of the uses of an image in any account. The same token is the same report. */
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

/** `gone`: it did not exist any more. `protected`: deregistration protection. */
export type Removed =
  | { readonly result: 'removed'; readonly snapshots: readonly SnapshotResult[] }
  | { readonly result: 'gone' }
  | { readonly result: 'protected'; readonly reason: string };

/** A launch permission. */
export interface Share {
  /** An account ID, the ARN of an organization or a unit, or `all`. */
  readonly who: string;
  /** Undefined for more than one account. */
  readonly account: string | undefined;
}

/** A deleted resource in the Recycle Bin. https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html */
export interface Recycled {
  readonly id: string;
  /** When the Recycle Bin deletes it. */
  readonly until: Date | undefined;
}

export interface Removal {
  deregister(imageId: string, options: { keepSnapshots: boolean }): Promise<Removed>;
  sharedWith(imageId: string): Promise<readonly Share[]>;
  /** Other accounts no longer list it; with its ID it can still be launched. */
  deprecate(imageId: string, at: Date): Promise<void>;
  undeprecate(imageId: string): Promise<void>;
  /** No account can launch it, and its shares are lost: enabling it does not restore them. */
  disable(imageId: string): Promise<void>;
  enable(imageId: string): Promise<void>;
  /** Content of the Recycle Bin. All pages. */
  recycled(kind: 'image' | 'snapshot'): Promise<readonly Recycled[]>;
  /** Of this account; every pair must match. All pages. */
  snapshots(tags: Tags): Promise<readonly Snapshot[]>;
  /** `gone`: it did not exist any more. `in-use`: an image or another resource uses it. */
  deleteSnapshot(snapshotId: string): Promise<'deleted' | 'gone' | 'in-use'>;
}

export interface CopyOrder {
  readonly from: { readonly region: string; readonly imageId: string };
  readonly name: string;
  readonly description: string;
  /** Of the copy and its snapshots, set by the call that creates them. */
  readonly tags: Tags;
  /** Key, alias or ARN in the region of the copy. Undefined: encrypted as the source is, with the default key of the region. */
  readonly kmsKey: string | undefined;
  readonly token: string;
}

/** `name exists`: in the target account. `source not visible`: right after it was shared, EC2 may not show it to the other account yet. */
export type Copied = { readonly imageId: string } | 'name exists' | 'source not visible';

/** Permissions on an image and its snapshots. Who: account IDs, ARNs of organizations and units, or `all`. */
export interface Sharing {
  launchers(imageId: string): Promise<readonly string[]>;
  /** Can be repeated, as can `forbidLaunch`. */
  allowLaunch(imageId: string, who: readonly string[]): Promise<void>;
  forbidLaunch(imageId: string, who: readonly string[]): Promise<void>;
  /** Who may read the content: needed to copy an image, not to launch it. */
  readers(snapshotId: string): Promise<readonly string[]>;
  allowReading(snapshotId: string, accounts: readonly string[]): Promise<void>;
  forbidReading(snapshotId: string, accounts: readonly string[]): Promise<void>;
  /** Starts a copy into this region and account. */
  copy(order: CopyOrder): Promise<Copied>;
  /** ARNs of the keys that encrypt these snapshots. */
  keysOf(snapshotIds: readonly string[]): Promise<readonly string[]>;
  key(arn: string): Promise<ImageKey>;
  /** Which images of others this account lets in; undefined where it may not be asked. */
  allowed(): Promise<AllowedImages | undefined>;
}

/** Creates images of instances. */
export interface Capture {
  /** Undefined where the name is taken: by another image, or by our own call when its answer got lost. */
  image(order: { instanceId: string; name: string; noReboot: boolean; tags: Tags }): Promise<string | undefined>;
  /** ID of the instance that this process runs on. Rejects with UsageError elsewhere. */
  self(): Promise<string>;
}

/** Resources that an interrupted build or validation did not remove. */
export interface Leftovers {
  /** The regions that are enabled for the account. */
  regions(): Promise<readonly string[]>;
  /** Everything with this tag, and this value if given. Terminated instances are left out. */
  tagged(key: string, value?: string): Promise<readonly Leftover[]>;
  /** The tags that an instance had from its launch, by the event history of the account. Undefined: it does not show that launch, or not yet. */
  launchTags(instance: { readonly id: string; readonly at: Date }): Promise<Tags | undefined>;
  /** `busy`: another resource still uses it, try again. `held`: it was removed, and these snapshots were not. */
  remove(
    leftover: Pick<Leftover, 'kind' | 'id'> & Partial<Pick<Leftover, 'tags'>>,
  ): Promise<'asked' | 'gone' | 'busy' | { readonly held: readonly string[] }>;
}

export interface Leftover {
  readonly kind: 'instance' | 'image' | 'snapshot' | 'volume' | 'security-group' | 'key-pair' | 'launch-template';
  readonly id: string;
  readonly tags: Tags;
  /** It is being terminated, and may still block the removal of others. */
  readonly ending: boolean;
  /** What EC2 recorded when it launched an instance: client token, names of key pair and security groups. Tags may be written later by others. */
  readonly launch?: { readonly at: Date; readonly names: readonly string[] };
}
