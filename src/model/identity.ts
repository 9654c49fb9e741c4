import { type IdentityKey, type TagScheme, type Tags, tagKey } from './image.ts';

/** Which tags the images of a run get, so that everybody after us knows what they are. */
export interface Origin {
  readonly family: string;
  readonly version: string;
  readonly commit: string;
  readonly ref: string;
  readonly repository: string;
  readonly run: string;
  readonly createdAt: Date;
  readonly fingerprint?: string | undefined;
  readonly baseAmi?: string | undefined;
}

export function identityTags(origin: Origin, name: string, own: Tags, scheme: TagScheme): Tags {
  const ours: readonly (readonly [IdentityKey, string | undefined])[] = [
    ['family', origin.family],
    ['version', origin.version],
    ['commit', origin.commit],
    ['ref', origin.ref],
    ['repository', origin.repository],
    ['run', origin.run],
    ['fingerprint', origin.fingerprint],
    ['base-ami', origin.baseAmi],
    ['created-at', origin.createdAt.toISOString()],
  ];
  const identity = ours.flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [[tagKey(scheme, key), shortened(value)] as const],
  );
  return { Name: name, ...own, ManagedBy: 'ami-action', ...Object.fromEntries(identity) };
}

/** A tag's value ends at 256 characters. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html */
const shortened = (value: string): string => value.slice(0, 256);

/** Of the fifty that AWS allows; ours are seventeen while an image is made, and some more come in its life. */
const MOST_OWN_TAGS = 25;

/** What is wrong with the user's own tags, before AWS says it in the middle of a build. */
export function tagProblems(own: Tags, scheme: TagScheme): readonly string[] {
  const tooMany = Object.keys(own).length > MOST_OWN_TAGS ? [`"tags" holds ${Object.keys(own).length} tags: at most ${MOST_OWN_TAGS}`] : [];
  const each = Object.entries(own).flatMap(([key, value]) => {
    if (key.startsWith('aws:')) return [`"tags.${key}" starts with "aws:", which AWS keeps for itself`];
    if ((scheme.prefix !== '' && key.startsWith(scheme.prefix)) || key === scheme.commitKey || key === 'ManagedBy') {
      return [`"tags.${key}" is written by the action itself: take another key`];
    }
    if (key === '' || key.length > 128) return [`"tags.${key.slice(0, 40)}" must be 1 to 128 characters`];
    return value.length > 256 ? [`"tags.${key}" has a value of ${value.length} characters: at most 256`] : [];
  });
  return [...tooMany, ...each];
}

/** Tags that an image lacks or holds with another value: the read-back of tagging. */
export const missingTags = (wanted: Tags, held: Tags): readonly string[] => Object.keys(wanted).filter(key => held[key] !== wanted[key]);
