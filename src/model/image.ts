/** What an image is, and which tags make it ours. */

export type Architecture = 'x86_64' | 'arm64' | 'i386' | 'x86_64_mac' | 'arm64_mac';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html */
export type ImageState = 'pending' | 'available' | 'invalid' | 'deregistered' | 'transient' | 'failed' | 'error' | 'disabled';

export type Tags = Readonly<Record<string, string>>;

export interface Image {
  readonly id: string;
  readonly name: string;
  readonly state: ImageState;
  readonly stateReason: string;
  readonly architecture: Architecture;
  readonly ownerId: string;
  /** `aws-backup-vault` for what AWS Backup keeps in our account: it alone may remove it. */
  readonly ownerAlias?: string | undefined;
  readonly createdAt: Date;
  readonly public: boolean;
  readonly tags: Tags;
  readonly snapshotIds: readonly string[];
  /** Undefined is Linux, or anything that AWS does not bill as something else. */
  readonly platform?: 'windows' | undefined;
  /** Names of its EBS volumes, as a launch calls them: /dev/xvda. */
  readonly devices?: readonly string[];
  /** The instance it was made of, the image it was copied of: where AWS tells. */
  readonly sourceInstanceId?: string | undefined;
  readonly sourceImageId?: string | undefined;
  readonly sizeGiB: number;
  /** True only if every volume of it is. */
  readonly encrypted: boolean;
  readonly imdsV2: boolean;
  readonly ena: boolean;
  readonly deprecatedAt: Date | undefined;
  /** Reported a day late by AWS: proof of use, never of disuse. */
  readonly lastLaunchedAt: Date | undefined;
  readonly protected: boolean;
}

/** Identity lives in tags. The prefix is a setting, and so is the key of the commit: many teams have a scheme already. */
export interface TagScheme {
  readonly prefix: string;
  readonly commitKey: string;
}

export type IdentityKey =
  | 'family'
  | 'version'
  | 'commit'
  | 'ref'
  | 'repository'
  | 'run'
  | 'fingerprint'
  | 'base-ami'
  | 'created-at'
  | 'verdict'
  | 'expires-at'
  | 'build'
  | 'inputs'
  | 'source'
  /** Of a copy: the image that it has its content from. */
  | 'copied-from'
  | 'siblings'
  | 'same-commits'
  | 'from-instance'
  | 'purpose'
  | 'vetoed-in'
  /** Of an image that is not one of the family yet: which it is meant for. */
  | 'for-family'
  /** When a push that changed nothing last took it. */
  | 'reused-at'
  /** A person asks that it stays. */
  | 'keep'
  /** Found unused by prune, which removes it after its grace. */
  | 'marked-at';

export const tagKey = (scheme: TagScheme, key: IdentityKey): string => (key === 'commit' ? scheme.commitKey : `${scheme.prefix}${key}`);

export const identity = (image: Pick<Image, 'tags'>, scheme: TagScheme, key: IdentityKey): string | undefined =>
  image.tags[tagKey(scheme, key)];

/** An image without our family tag is not ours: never changed, never removed. */
export const isOurs = (image: Pick<Image, 'tags'>, scheme: TagScheme, family: string): boolean =>
  identity(image, scheme, 'family') === family;

export const newestFirst = (a: Image, b: Image): number => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1);

const FINAL_STATES: ReadonlySet<ImageState> = new Set(['failed', 'error', 'invalid', 'deregistered', 'disabled']);

/** Why this image can never become available; undefined while it may. */
export const unavailableReason = (image: Image): string | undefined =>
  FINAL_STATES.has(image.state) ? `${image.state}${image.stateReason === '' ? '' : `: ${image.stateReason}`}` : undefined;

export const hasKeepTag = ({ tags }: Pick<Image, 'tags'>, scheme: TagScheme): boolean =>
  !['false', undefined].includes(tags[tagKey(scheme, 'keep')]);

/** What a snapshot says about itself. */
export interface Snapshot {
  readonly id: string;
  readonly description: string;
  readonly startedAt: Date;
  readonly sizeGiB: number;
  readonly tags: Tags;
}
