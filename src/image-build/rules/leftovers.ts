import { hasKeepTag, type IdentityKey, type TagScheme, type Tags, tagKey } from '../../model/image.ts';
import { TOKEN_PREFIX } from '../../model/patterns.ts';

/** An image that was adopted into a family stays, and so do its snapshots, whatever tags of a build they still have. */
export const isRemovable = ({ tags }: { readonly tags: Tags }, familyKey: string): boolean => !(familyKey in tags);

/** False for anything that is not a readable time. */
export function isExpired(expiresAt: string | undefined, now: number): boolean {
  const at = expiresAt === undefined || !/^\d{4}-\d\d-\d\dT/.test(expiresAt) ? Number.NaN : Date.parse(expiresAt);
  return at < now;
}

export interface Sweeper {
  readonly scheme: TagScheme;
  /** Repository of the builds. */
  readonly repository: string;
  /** Family of the validations; undefined: builds only. */
  readonly family?: string;
}

/** Why something is a leftover of an interrupted run; undefined while it may be in use. Found by its expiry tag, long after the end of the run, never by age. */
export function expiredReason(
  { kind, tags }: { readonly kind: string; readonly tags: Tags },
  { scheme, repository, family }: Sweeper,
  now: number,
): string | undefined {
  const tag = (key: IdentityKey) => tags[tagKey(scheme, key)];
  const until = tag('expires-at');
  if (!isExpired(until, now) || hasKeepTag({ tags }, scheme)) return undefined;
  const run = `run ${tag('run') ?? 'unknown'}, which needed it until ${until}`;
  if (tag('purpose') === 'build') {
    // An instance that saves itself belongs to no repository: its family tells whose the image is.
    const isOfFamily = repository === '' && family !== undefined && tag('for-family') === family;
    const isMine = tag('repository') === undefined ? isOfFamily : tag('repository') === repository;
    return isMine && isRemovable({ tags }, tagKey(scheme, 'family')) ? `leftover of the build of ${run}` : undefined;
  }
  // A snapshot of a test instance's volume inherits its tags, but a person made it and may need it.
  const isLaunched = kind === 'instance' || kind === 'volume';
  if (tag('purpose') !== 'validate' || !isLaunched || family === undefined || tag('family') !== family) return undefined;
  return `leftover of the validation of ${run}`;
}

// https://developer.hashicorp.com/packer/integrations/hashicorp/amazon/latest/components/builder/ebs: temporary key pairs and groups are named packer_<UUID>.
const NAME_OF_PACKER = 'packer_';

/** Tags alone do not make an instance ours: EC2 must have recorded a client token of the action at its launch, or a key pair or group that Packer created. */
export const isProven = ({ kind, launch }: { readonly kind: string; readonly launch?: { readonly names: readonly string[] } }): boolean =>
  kind !== 'instance' || (launch?.names ?? []).some(name => name.startsWith(NAME_OF_PACKER) || name.startsWith(TOKEN_PREFIX));
