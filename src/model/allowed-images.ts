import { matchesGlob } from '../kit/glob.ts';
import type { Image } from './image.ts';

/** Which images of others an account lets in. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html */
export interface AllowedImages {
  readonly state: 'enabled' | 'audit-mode' | 'disabled';
  /** One of them is enough. */
  readonly criteria: readonly Criterion[];
}

/** All that it says must fit; empty and undefined say nothing. */
export interface Criterion {
  readonly providers: readonly string[];
  /** With `*` and `?`. */
  readonly names: readonly string[];
  readonly daysSinceCreated: number | undefined;
  readonly daysSinceDeprecated: number | undefined;
  /** What else it asks for, which cannot be told from the image: product codes of the marketplace, and whatever AWS adds. */
  readonly further: readonly string[];
}

export type Entry =
  | { readonly lets: 'in' }
  | { readonly lets: 'out'; readonly reason: string }
  /** Nothing that could be judged speaks against it. */
  | { readonly lets: 'unknown'; readonly reason: string };

type Facts = Pick<Image, 'ownerId' | 'name' | 'createdAt' | 'deprecatedAt'>;

/** Whether an account lets this image in. Undefined: it may not be asked. */
export function entryOf(allowed: AllowedImages | undefined, image: Facts, now: number): Entry {
  if (allowed === undefined) return { lets: 'unknown', reason: 'they may not be read (ec2:GetAllowedImagesSettings)' };
  // In audit mode AWS only notes what it would keep out.
  if (allowed.state !== 'enabled') return { lets: 'in' };
  const judged = allowed.criteria.map(criterion => ({ against: objection(criterion, image, now), further: criterion.further }));
  if (judged.some(({ against, further }) => against === undefined && further.length === 0)) return { lets: 'in' };
  const open = judged.find(({ against }) => against === undefined);
  if (open !== undefined) return { lets: 'unknown', reason: `they ask for ${open.further.join(', ')}` };
  const reasons = [...new Set(judged.map(({ against }) => against))];
  return { lets: 'out', reason: `its Allowed AMIs ${reasons.length === 0 ? 'let nothing in' : reasons.join('; ')}` };
}

const DAY_MS = 86_400_000;

/** Whichever of its parts is first against the image. */
function objection(criterion: Criterion, image: Facts, now: number): string | undefined {
  const { providers, names, daysSinceCreated, daysSinceDeprecated } = criterion;
  const days = (since: Date) => (now - since.getTime()) / DAY_MS;
  if (providers.length > 0 && !providers.includes(image.ownerId)) return `do not list account ${image.ownerId}`;
  if (names.length > 0 && !names.some(pattern => matchesGlob(pattern, image.name))) return `want other names than "${image.name}"`;
  if (daysSinceCreated !== undefined && days(image.createdAt) > daysSinceCreated)
    return `want images of at most ${daysSinceCreated} days, and it is ${Math.floor(days(image.createdAt))} days old`;
  if (daysSinceDeprecated !== undefined && image.deprecatedAt !== undefined && days(image.deprecatedAt) > daysSinceDeprecated)
    return `want none that is deprecated for more than ${daysSinceDeprecated} days`;
  return undefined;
}
