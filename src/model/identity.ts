import { type IdentityKey, type TagScheme, type Tags, tagKey, tagValue } from './image.ts';

/** The tags that identify an image. */
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
  const written = ours.flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [[tagKey(scheme, key), tagValue(value)] as const],
  );
  return { Name: name, ...own, ManagedBy: 'ami-action', ...Object.fromEntries(written) };
}

/** AWS allows fifty. The action writes seventeen during a build, and more later. */
const MOST_OWN_TAGS = 25;

/** What AWS would refuse of the user's own tags in the middle of a build. */
export function tagProblems(own: Tags, scheme: TagScheme): readonly string[] {
  const tooMany =
    Object.keys(own).length > MOST_OWN_TAGS ? [`"tags" must be at most ${MOST_OWN_TAGS} tags, got ${Object.keys(own).length}`] : [];
  const each = Object.entries(own).flatMap(([key, value]) => {
    if (key.startsWith('aws:')) return [`"tags.${key}" starts with "aws:", which is reserved by AWS`];
    if ((scheme.prefix !== '' && key.startsWith(scheme.prefix)) || key === scheme.commitKey || key === 'ManagedBy') {
      return [`"tags.${key}" is a tag of the action: use another key`];
    }
    if (key === '' || key.length > 128) return [`"tags.${key.slice(0, 40)}" must be 1 to 128 characters`];
    return value.length > 256 ? [`"tags.${key}" must have a value of at most 256 characters, got ${value.length}`] : [];
  });
  return [...tooMany, ...each];
}

/** The keys of tags that an image lacks or has with another value. */
export const missingTags = (expected: Tags, actual: Tags): readonly string[] =>
  Object.keys(expected).filter(key => actual[key] !== expected[key]);
