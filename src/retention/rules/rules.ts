import { formatList } from '../../kit/format.ts';
import { builtAt, hasKeepTag, type Image, identity, isOfPullRequest, isOurs, type TagScheme, tagKey } from '../../model/image.ts';
import type { ImageUser } from '../../model/image-users.ts';
import { classOf, type Keep, type RetentionClass } from './classes.ts';

export interface Policy {
  readonly scheme: TagScheme;
  readonly family: string;
  readonly accountId: string;
  readonly keep: Keep;
  readonly classes: readonly RetentionClass[];
  /** How long an unused image stays marked before it is removed; 0 removes at once. */
  readonly graceSeconds: number;
  /** A marked image is disabled as well. */
  readonly disable?: boolean;
  /** Images that kept ones were built from are kept, too. */
  readonly keepAncestors?: boolean;
  readonly maxRemovals: number;
  /** In percent of the family's images. */
  readonly maxShare: number;
}

export interface Candidate {
  readonly image: Image;
  readonly region: string;
  readonly users: readonly ImageUser[];
  /** Accounts and organizations that may launch it, where they were read. */
  readonly sharedWith?: readonly string[];
  /** When launch permissions and references were read. Milliseconds since 1970. */
  readonly evidenceAt?: number;
}

/** `mark`: found unused, removed when its grace is over; `unmark`: needed again. */
export interface Decision extends Candidate {
  readonly action: 'keep' | 'mark' | 'unmark' | 'remove';
  readonly reason: string;
  /** No rule keeps it; it is only removed later. */
  readonly waits: boolean;
  readonly marked: boolean;
  /** Of a mark: the image is disabled as well. */
  readonly disables?: boolean;
}

export const isToRemove = ({ action }: Decision): boolean => action === 'remove';

// `disabled` was such a new state in 2023: a state that AWS adds may mean that the image is in use.
const FINAL_OR_USABLE: ReadonlySet<string> = new Set(['available', 'disabled', 'failed', 'error', 'invalid', 'deregistered']);

/** What forbids a removal under every policy. The first that applies gives the reason. */
const GUARDS: readonly ((candidate: Candidate, policy: Policy) => string | false)[] = [
  ({ image }, { scheme, family }) => !isOurs(image, scheme, family) && `not in family "${family}" (tag ${tagKey(scheme, 'family')})`,
  ({ image }, { accountId }) => image.ownerId !== accountId && `owned by account ${image.ownerId}`,
  ({ image }) => image.public && 'public: any account can launch it',
  ({ image }) => isBackup(image) && 'managed by AWS Backup',
  ({ image }) => (image.state === 'pending' || image.state === 'transient') && `still ${image.state}`,
  ({ image }) => !FINAL_OR_USABLE.has(image.state) && `in state "${image.state}", which this version does not know`,
  ({ users }) => users.length > 0 && formatUsers(users),
  ({ image }) => image.protected && 'protected from deregistration',
  ({ image }, { scheme }) => hasKeepTag(image, scheme) && `tagged ${tagKey(scheme, 'keep')}`,
];

/** Why the image must not be removed; undefined: no guard applies. */
export const guard = (candidate: Candidate, policy: Policy): string | undefined =>
  GUARDS.map(forbids => forbids(candidate, policy)).find(reason => reason !== false);

// Only AWS Backup can remove these: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/deregister-ami.html
const isBackup = ({ name, tags, ownerAlias }: Image) =>
  ownerAlias === 'aws-backup-vault' || name.startsWith('AwsBackup_') || 'aws:backup:source-resource' in tags;

const formatUsers = (users: readonly ImageUser[]): string => {
  const labels = users.map(({ label }) => label);
  return `${users.some(({ kind }) => kind === 'known') ? '' : 'may be '}used by ${formatList(labels, 3)}`;
};

/** Where an image ranks among those that could replace it. */
export interface Rank {
  readonly image: Image;
  readonly scheme: TagScheme;
  readonly keep: Keep;
  readonly now: number;
  /** 1 is the newest of its class, region and architecture. Images that cannot be launched have no rank. */
  readonly rank: number | undefined;
  readonly passedRank: number | undefined;
}

// AWS reports launches up to a day late. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-last-launched-time.html
const LAUNCH_DELAY_SECONDS = 86_400;

// Between a build that reuses an image and its promotion lie a validation and perhaps a night.
const REUSED_SECONDS = 86_400;

/** What the policy keeps. */
const KEEP_RULES: readonly ((rank: Rank) => string | false)[] = [
  ({ rank = Infinity, keep }) => rank <= keep.newest && newestOf(keep.newest),
  ({ passedRank = Infinity, keep }) => passedRank <= keep.passed && `${newestOf(keep.passed)} that passed validation`,
  ({ image, keep, scheme }) =>
    builtAt(image, scheme) === undefined && (keep.newest > 0 || keep.passed > 0 || keep.youngerThanSeconds > 0) && 'creation date unknown',
  // A new copy of an old image is as young as the copy.
  ({ image, keep, now, scheme }) =>
    now - Math.max(builtAt(image, scheme) ?? 0, image.createdAt?.getTime() ?? 0) < keep.youngerThanSeconds * 1000 &&
    'younger than minimum-age',
  ({ image, keep, now, scheme }) =>
    // "keep-newest: 0" keeps none, reused or not.
    keep.newest > 0 &&
    now - (reusedAt(image, scheme) ?? 0) < Math.max(keep.youngerThanSeconds, REUSED_SECONDS) * 1000 &&
    'reused recently by an unchanged build',
  ({ image, keep, now }) => launchedRecently(image.lastLaunchedAt, keep.launchedWithinSeconds, now),
];

const newestOf = (count: number): string => (count === 1 ? 'the newest' : `one of the newest ${count}`);

export const keptByPolicy = (rank: Rank): string | undefined => KEEP_RULES.map(keeps => keeps(rank)).find(reason => reason !== false);

/** When a build last found this image to be up to date. Milliseconds since 1970. */
export function reusedAt(image: Pick<Image, 'tags'>, scheme: TagScheme): number | undefined {
  const at = Date.parse(identity(image, scheme, 'reused-at') ?? '');
  return Number.isNaN(at) ? undefined : at;
}

function launchedRecently(last: Date | undefined, withinSeconds: number | undefined, now: number): string | false {
  if (withinSeconds === undefined) return false;
  // Unknown is not "never".
  if (last === undefined) return 'last launch unknown';
  const isRecent = now - last.getTime() < (withinSeconds + LAUNCH_DELAY_SECONDS) * 1000;
  return isRecent && `last launched ${last.toISOString().slice(0, 10)}, within last-launched-within`;
}

/** Images of pull requests are a class of their own, unless the policy has one for them. Prune removes them after a day. */
const PULL_REQUEST: RetentionClass = { name: 'pull request', tags: {}, keep: { newest: 0, passed: 0, youngerThanSeconds: 86_400 } };

const classIn = (image: Image, { classes, scheme }: Policy): RetentionClass | undefined =>
  classOf(image, classes) ?? (isOfPullRequest(image, scheme) ? PULL_REQUEST : undefined);

export const keepOf = (image: Image, policy: Policy): Keep => ({ ...policy.keep, ...classIn(image, policy)?.keep });

export const className = (image: Image, policy: Policy): string => classIn(image, policy)?.name ?? '';
