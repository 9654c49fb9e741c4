import { hasKeepTag, type Image, identity, isOurs, type TagScheme, tagKey } from '../../model/image.ts';
import { classOf, type Keep, type RetentionClass } from './classes.ts';

/** What a team wants to keep beyond what is in use. */
export interface Policy {
  readonly scheme: TagScheme;
  readonly family: string;
  readonly accountId: string;
  readonly keep: Keep;
  readonly classes: readonly RetentionClass[];
  /** How long an image stays after it was found unused; 0 removes at once. */
  readonly graceSeconds: number;
  /** Whether it cannot be launched while it waits for its end. */
  readonly disable?: boolean;
  /** Also what kept images were built from. */
  readonly keepAncestors?: boolean;
  readonly maxRemovals: number;
  /** Of the family's images, in percent. */
  readonly maxShare: number;
}

/** An image, and who may still launch it (domain/references.ts). */
export interface Candidate {
  readonly image: Image;
  readonly region: string;
  readonly users: readonly string[];
  /** Whom its owner allows to launch it, as far as anybody asked. */
  readonly sharedWith?: readonly string[];
}

/** `mark`: found unused, goes when its grace is over; `unmark`: needed again. */
export interface Decision extends Candidate {
  readonly action: 'keep' | 'mark' | 'unmark' | 'remove';
  readonly reason: string;
  /** Nothing speaks for keeping it; it only goes later. */
  readonly waits: boolean;
  readonly marked: boolean;
  /** Of a mark: it is disabled as well. */
  readonly disables?: boolean;
}

/** What forbids the removal of an image, whatever anybody wishes. Ordered: the first that speaks gives the reason. */
const GUARDS: readonly ((candidate: Candidate, policy: Policy) => string | false)[] = [
  ({ image }, { scheme, family }) => !isOurs(image, scheme, family) && `not ours: no tag says family "${family}"`,
  ({ image }, { accountId }) => image.ownerId !== accountId && `owned by ${image.ownerId}`,
  ({ image }) => image.public && 'public: anybody may use it',
  ({ image }) => isBackup(image) && 'belongs to AWS Backup',
  ({ image }) => (image.state === 'pending' || image.state === 'transient') && `still ${image.state}`,
  ({ users }) => users.length > 0 && `used by ${sayUsers(users)}`,
  ({ image }) => image.protected && 'protected from deregistration',
  ({ image }, { scheme }) => hasKeepTag(image, scheme) && `tagged ${tagKey(scheme, 'keep')}`,
];

/** Undefined: nothing speaks against removing it. */
export const guard = (candidate: Candidate, policy: Policy): string | undefined =>
  GUARDS.map(forbids => forbids(candidate, policy)).find(reason => reason !== false);

// Backup alone may remove these: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/deregister-ami.html
const isBackup = ({ name, tags, ownerAlias }: Image) =>
  ownerAlias === 'aws-backup-vault' || name.startsWith('AwsBackup_') || 'aws:backup:source-resource' in tags;

const sayUsers = (users: readonly string[]): string =>
  users.length <= 3 ? users.join(', ') : `${users.slice(0, 3).join(', ')} and ${users.length - 3} more`;

/** Where an image stands among those that could take its place. */
export interface Standing {
  readonly image: Image;
  readonly scheme: TagScheme;
  readonly keep: Keep;
  readonly now: number;
  /** 1 is the newest of its class, region and architecture. Images that cannot boot have no place. */
  readonly rank: number | undefined;
  readonly passedPlace: number | undefined;
}

// AWS tells launches a day late, so whoever wants a week must wait for eight days.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-last-launched-time.html
const LAUNCHES_ARE_TOLD_AFTER = 86_400;

// Between a push that takes an image once more and what the push does with it lie a validation and perhaps a night.
const TAKEN_STAYS_SECONDS = 86_400;

/** What the team wishes to keep. */
const WISHES: readonly ((standing: Standing) => string | false)[] = [
  ({ rank = Infinity, keep }) => rank <= keep.newest && newestOf(keep.newest),
  ({ passedPlace = Infinity, keep }) => passedPlace <= keep.passed && `${newestOf(keep.passed)} that passed validation`,
  ({ image, keep, now }) => now - image.createdAt.getTime() < keep.youngerThanSeconds * 1000 && 'younger than minimum-age',
  ({ image, keep, now, scheme }) =>
    // Whoever keeps none wants none, taken or not.
    keep.newest > 0 &&
    now - (takenAgainAt(image, scheme) ?? 0) < Math.max(keep.youngerThanSeconds, TAKEN_STAYS_SECONDS) * 1000 &&
    'a push that changed nothing has taken it again lately',
  ({ image, keep, now }) => launchedLately(image.lastLaunchedAt, keep.launchedWithinSeconds, now),
];

const newestOf = (count: number): string => (count === 1 ? 'the newest' : `one of the newest ${count}`);

export const wish = (standing: Standing): string | undefined => WISHES.map(wants => wants(standing)).find(reason => reason !== false);

/** When a build found this image to be what it would make. */
export function takenAgainAt(image: Pick<Image, 'tags'>, scheme: TagScheme): number | undefined {
  const at = Date.parse(identity(image, scheme, 'reused-at') ?? '');
  return Number.isNaN(at) ? undefined : at;
}

function launchedLately(last: Date | undefined, withinSeconds: number | undefined, now: number): string | false {
  if (withinSeconds === undefined) return false;
  // No time is not "never".
  if (last === undefined) return 'AWS does not tell when it was last launched';
  const lately = now - last.getTime() < (withinSeconds + LAUNCHES_ARE_TOLD_AFTER) * 1000;
  return lately && `last launched ${last.toISOString().slice(0, 10)}, within last-launched-within`;
}

export const keepOf = (image: Image, { keep, classes }: Policy): Keep => ({ ...keep, ...classOf(image, classes)?.keep });

export const className = (image: Image, { classes }: Policy): string => classOf(image, classes)?.name ?? '';
