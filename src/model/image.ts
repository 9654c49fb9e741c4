/** An image, and the tags that identify it. */

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
  /** `aws-backup-vault` for an image of AWS Backup, which only AWS Backup may remove. */
  readonly ownerAlias?: string | undefined;
  /** Of this image ID, so of a copy when it was copied. Undefined: missing or unreadable. */
  readonly createdAt: Date | undefined;
  readonly public: boolean;
  readonly tags: Tags;
  readonly snapshotIds: readonly string[];
  /** Undefined for Linux. */
  readonly platform?: 'windows' | undefined;
  /** Device names of its EBS volumes: /dev/xvda. */
  readonly devices?: readonly string[];
  readonly rootDevice?: string | undefined;
  /** The instance or image that it was made from, where AWS reports it. */
  readonly sourceInstanceId?: string | undefined;
  readonly sourceImageId?: string | undefined;
  readonly sizeGiB: number;
  /** All volumes are encrypted. */
  readonly encrypted: boolean;
  readonly imdsV2: boolean;
  readonly ena: boolean;
  readonly deprecatedAt: Date | undefined;
  /** Reported by AWS up to a day late: proof of use, never of disuse. */
  readonly lastLaunchedAt: Date | undefined;
  readonly protected: boolean;
}

/** The identity of an image is in its tags. The prefix and the key of the commit are settings. */
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
  /** Of a copy: the image that was copied. */
  | 'copied-from'
  | 'siblings'
  | 'same-commits'
  | 'from-instance'
  | 'purpose'
  | 'vetoed-in'
  /** The family that an unfinished image is meant for. */
  | 'for-family'
  /** When a push that changed nothing last reused it. */
  | 'reused-at'
  /** Of an incremental build: its inputs without the application, when its last full build was made, how many builds ago, and on which image. */
  | 'foundation'
  | 'full-at'
  | 'increment'
  | 'built-on'
  /** A person wants to keep it. */
  | 'keep'
  /** When prune found it unused. It is removed after the grace period. */
  | 'marked-at';

/** A tag's value ends at 256 characters. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html */
export const tagValue = (value: string): string => value.slice(0, 256);

export const tagKey = (scheme: TagScheme, key: IdentityKey): string => (key === 'commit' ? scheme.commitKey : `${scheme.prefix}${key}`);

export const identity = (image: Pick<Image, 'tags'>, scheme: TagScheme, key: IdentityKey): string | undefined =>
  image.tags[tagKey(scheme, key)];

/** Built by a workflow for a pull request: its code is not merged. https://docs.github.com/en/actions/reference/workflows-and-actions/variables (GITHUB_REF) */
export const isOfPullRequest = (image: Pick<Image, 'tags'>, scheme: TagScheme): boolean =>
  identity(image, scheme, 'ref')?.startsWith('refs/pull/') ?? false;

/** An image without the family tag is never changed and never removed. */
export const isOurs = (image: Pick<Image, 'tags'>, scheme: TagScheme, family: string): boolean =>
  identity(image, scheme, 'family') === family;

/**
 * When the content was built, in milliseconds since 1970: the tag `created-at`, which copies keep, else the date of AWS, which of a copy is that of copying.
 * Undefined: neither can be read.
 */
export function builtAt(image: Pick<Image, 'tags' | 'createdAt'>, scheme?: TagScheme): number | undefined {
  const tagged = scheme === undefined ? undefined : identity(image, scheme, 'created-at');
  const at = tagged !== undefined && /^\d{4}-\d\d-\d\dT/.test(tagged) ? Date.parse(tagged) : Number.NaN;
  return Number.isNaN(at) ? image.createdAt?.getTime() : at;
}

/** Images without a date come last. */
export const newestFirst =
  (scheme?: TagScheme) =>
  (a: Image, b: Image): number => {
    const [first = Number.NEGATIVE_INFINITY, second = Number.NEGATIVE_INFINITY] = [builtAt(a, scheme), builtAt(b, scheme)];
    return first === second ? (a.id < b.id ? 1 : -1) : second - first;
  };

const FINAL_STATES: ReadonlySet<ImageState> = new Set(['failed', 'error', 'invalid', 'deregistered', 'disabled']);

/** Why this image can never become available; undefined while it can. */
export const unavailableReason = (image: Image): string | undefined =>
  FINAL_STATES.has(image.state) ? `${image.state}${image.stateReason === '' ? '' : `: ${image.stateReason}`}` : undefined;

export const hasKeepTag = ({ tags }: Pick<Image, 'tags'>, scheme: TagScheme): boolean =>
  !['false', undefined].includes(tags[tagKey(scheme, 'keep')]);

export interface Snapshot {
  readonly id: string;
  readonly description: string;
  readonly startedAt: Date;
  readonly sizeGiB: number;
  readonly tags: Tags;
}
