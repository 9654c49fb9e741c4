import type { Tags } from '../image.ts';

/** An image of a family was adopted, and so were its snapshots: whatever marks of a build they still bear, they stay. */
export const mayGo = ({ tags }: { readonly tags: Tags }, familyKey: string): boolean => !(familyKey in tags);

/** What bears no time that can be read is not touched. */
export function isExpired(expiresAt: string | undefined, now: number): boolean {
  const at = expiresAt === undefined || !/^\d{4}-\d\d-\d\dT/.test(expiresAt) ? Number.NaN : Date.parse(expiresAt);
  return at < now;
}
