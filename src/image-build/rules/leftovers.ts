import { hasKeepTag, type IdentityKey, type TagScheme, type Tags, tagKey } from '../../model/image.ts';

/** An image of a family was adopted, and so were its snapshots: whatever marks of a build they still bear, they stay. */
export const isRemovable = ({ tags }: { readonly tags: Tags }, familyKey: string): boolean => !(familyKey in tags);

/** What bears no time that can be read is not touched. */
export function isExpired(expiresAt: string | undefined, now: number): boolean {
  const at = expiresAt === undefined || !/^\d{4}-\d\d-\d\dT/.test(expiresAt) ? Number.NaN : Date.parse(expiresAt);
  return at < now;
}

export interface Sweeper {
  readonly scheme: TagScheme;
  /** Whose builds they are. */
  readonly repository: string;
  /** Whose validations they are; undefined: no validation's. */
  readonly family?: string;
}

/** Why something is what a dead run left; undefined while it may be somebody's. Told by an expiry that lies long after the end of the run, never by age. */
export function expiredReason(
  { kind, tags }: { readonly kind: string; readonly tags: Tags },
  { scheme, repository, family }: Sweeper,
  now: number,
): string | undefined {
  const tag = (key: IdentityKey) => tags[tagKey(scheme, key)];
  const until = tag('expires-at');
  if (!isExpired(until, now) || hasKeepTag({ tags }, scheme)) return undefined;
  const said = `run ${tag('run') ?? 'unknown'}, which needed it until ${until}`;
  if (tag('purpose') === 'build') {
    return tag('repository') === repository && isRemovable({ tags }, tagKey(scheme, 'family')) ? `left by the build of ${said}` : undefined;
  }
  // A snapshot of a test machine's volume takes over its tags: somebody made it, and may want it.
  const isMachine = kind === 'instance' || kind === 'volume';
  if (tag('purpose') !== 'validate' || !isMachine || family === undefined || tag('family') !== family) return undefined;
  return `left by the validation of ${said}`;
}
