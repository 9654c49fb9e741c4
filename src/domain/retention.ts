import { type Image, isOurs, newestFirst, type TagScheme } from './image.ts';
import { verdictOf } from './verdict.ts';

/** What a team wants to keep beyond what is in use. */
export interface Policy {
  readonly scheme: TagScheme;
  readonly family: string;
  readonly accountId: string;
  /** Per architecture. */
  readonly keepNewest: number;
  readonly keepPassed: number;
  readonly minimumAgeSeconds: number;
  readonly maxRemovals: number;
  /** Of the family's images, in percent. */
  readonly maxShare: number;
}

/** For an image that somebody asks to remove by name: nothing but the guards speaks. */
export const NO_WISHES = { keepNewest: 0, keepPassed: 0, minimumAgeSeconds: 0, maxRemovals: 1, maxShare: 100 } as const;

/** An image, and who may still launch it (domain/references.ts). */
export interface Candidate {
  readonly image: Image;
  readonly region: string;
  readonly users: readonly string[];
}

export interface Decision extends Candidate {
  readonly action: 'keep' | 'remove';
  readonly because: string;
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
  ({ image }, { scheme }) => isMarkedToKeep(image, scheme) && `tagged ${scheme.prefix}keep`,
];

/** Undefined: nothing speaks against removing it. */
export const guard = (candidate: Candidate, policy: Policy): string | undefined =>
  GUARDS.map(forbids => forbids(candidate, policy)).find(reason => reason !== false);

// Backup alone may remove these: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/deregister-ami.html
const isBackup = ({ name, tags, ownerAlias }: Image) =>
  ownerAlias === 'aws-backup-vault' || name.startsWith('AwsBackup_') || 'aws:backup:source-resource' in tags;

const isMarkedToKeep = ({ tags }: Image, { prefix }: TagScheme) => !['false', undefined].includes(tags[`${prefix}keep`]);

const sayUsers = (users: readonly string[]): string =>
  users.length <= 3 ? users.join(', ') : `${users.slice(0, 3).join(', ')} and ${users.length - 3} more`;

interface Standing {
  readonly image: Image;
  readonly policy: Policy;
  readonly now: number;
  /** 1 is the newest of its architecture. Images that cannot boot have no place. */
  readonly place: number | undefined;
  readonly passedPlace: number | undefined;
}

/** What the team wishes to keep. */
const WISHES: readonly ((standing: Standing) => string | false)[] = [
  ({ place = Infinity, policy }) => place <= policy.keepNewest && `one of the newest ${policy.keepNewest}`,
  ({ passedPlace = Infinity, policy }) =>
    passedPlace <= policy.keepPassed && `one of the newest ${policy.keepPassed} that passed validation`,
  ({ image, policy, now }) => now - image.createdAt.getTime() < policy.minimumAgeSeconds * 1000 && 'younger than minimum-age',
];

/** Every image of the family with a deed and its reason, newest first. The same in a dry run and in a real one. */
export function planPrune(candidates: readonly Candidate[], policy: Policy, now: number): readonly Decision[] {
  const sorted = [...candidates].sort((a, b) => newestFirst(a.image, b.image) || a.region.localeCompare(b.region));
  const places = placesAmong(sorted, ({ image }) => image.state === 'available');
  const passed = placesAmong(sorted, ({ image }) => image.state === 'available' && verdictOf(image, policy.scheme).result === 'passed');
  const decided = sorted.map((candidate): Decision => {
    const standing = { image: candidate.image, policy, now, place: places.get(candidate), passedPlace: passed.get(candidate) };
    const because = guard(candidate, policy) ?? WISHES.map(wish => wish(standing)).find(reason => reason !== false);
    return because === undefined
      ? { ...candidate, action: 'remove', because: 'nothing uses it' }
      : { ...candidate, action: 'keep', because };
  });
  return capped(decided, policy);
}

function placesAmong(sorted: readonly Candidate[], counts: (candidate: Candidate) => boolean): ReadonlyMap<Candidate, number> {
  const next = new Map<string, number>();
  const places = new Map<Candidate, number>();
  for (const candidate of sorted.filter(counts)) {
    const kind = `${candidate.region} ${candidate.image.architecture}`;
    const place = (next.get(kind) ?? 0) + 1;
    next.set(kind, place);
    places.set(candidate, place);
  }
  return places;
}

/** The oldest go first; the rest waits for the next run. */
function capped(decisions: readonly Decision[], { maxRemovals, maxShare }: Policy): readonly Decision[] {
  const byShare = Math.ceil((decisions.length * maxShare) / 100);
  const most = Math.min(maxRemovals, byShare);
  const going = decisions.filter(({ action }) => action === 'remove');
  const goes = new Set(going.slice(Math.max(0, going.length - most)));
  const limit = most === maxRemovals ? `max-removals (${maxRemovals})` : `max-share (${maxShare} % of ${decisions.length} images)`;
  return decisions.map(decision => {
    if (decision.action === 'keep' || goes.has(decision)) return decision;
    return { ...decision, action: 'keep', because: `nothing uses it, but ${limit} is reached: next run` };
  });
}
