import { matchesGlob } from '../kit/glob.ts';
import type { Image } from './image.ts';

/** A KMS key that encrypts an image, with its policy and grants as its owner sees them. */
export interface ImageKey {
  readonly arn: string;
  /** aws/ebs: its policy cannot be changed, so what it encrypts stays in this account. */
  readonly managedByAws: boolean;
  readonly usable: boolean;
  /** Undefined: the role may not read it. */
  readonly policy: string | undefined;
  readonly grantees: readonly string[] | undefined;
}

/** The images of other accounts that an account allows. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html */
export interface AllowedImages {
  readonly state: 'enabled' | 'audit-mode' | 'disabled';
  /** One of them is enough. */
  readonly criteria: readonly Criterion[];
}

/** All its conditions must match; empty and undefined are no condition. */
export interface Criterion {
  readonly providers: readonly string[];
  /** With `*` and `?`. */
  readonly names: readonly string[];
  readonly daysSinceCreated: number | undefined;
  readonly daysSinceDeprecated: number | undefined;
  /** Conditions that cannot be evaluated from the image: marketplace product codes, and what AWS adds. */
  readonly further: readonly string[];
}

export type Admission =
  | { readonly state: 'allowed' }
  | { readonly state: 'denied'; readonly reason: string }
  /** No evaluated condition excludes it. */
  | { readonly state: 'unknown'; readonly reason: string };

type Facts = Pick<Image, 'ownerId' | 'name' | 'createdAt' | 'deprecatedAt'>;

/** Whether an account allows this image. `allowed` is undefined where its settings cannot be read. */
export function evaluateAllowedImages(allowed: AllowedImages | undefined, image: Facts, now: number): Admission {
  if (allowed === undefined) return { state: 'unknown', reason: 'the setting cannot be read (ec2:GetAllowedImagesSettings)' };
  // In audit mode AWS only marks what it would exclude.
  if (allowed.state !== 'enabled') return { state: 'allowed' };
  const evaluated = allowed.criteria.map(criterion => ({ violation: violation(criterion, image, now), further: criterion.further }));
  if (evaluated.some(({ violation, further }) => violation === undefined && further.length === 0)) return { state: 'allowed' };
  const open = evaluated.find(({ violation }) => violation === undefined);
  if (open !== undefined) return { state: 'unknown', reason: `the setting has conditions on ${open.further.join(', ')}` };
  const reasons = [...new Set(evaluated.map(({ violation }) => violation))];
  return { state: 'denied', reason: `Allowed AMIs there ${reasons.length === 0 ? 'allow no image' : reasons.join('; ')}` };
}

const DAY_MS = 86_400_000;

/** The first condition that excludes the image. */
function violation(criterion: Criterion, image: Facts, now: number): string | undefined {
  const { providers, names, daysSinceCreated, daysSinceDeprecated } = criterion;
  const days = (since: Date | undefined) => (since === undefined ? 0 : (now - since.getTime()) / DAY_MS);
  if (providers.length > 0 && !providers.includes(image.ownerId)) return `do not list account ${image.ownerId}`;
  if (names.length > 0 && !names.some(pattern => matchesGlob(pattern, image.name))) return `do not match the name "${image.name}"`;
  if (daysSinceCreated !== undefined && days(image.createdAt) > daysSinceCreated)
    return `require images of at most ${daysSinceCreated} days, this one is ${Math.floor(days(image.createdAt))} days old`;
  if (daysSinceDeprecated !== undefined && image.deprecatedAt !== undefined && days(image.deprecatedAt) > daysSinceDeprecated)
    return `exclude images deprecated for more than ${daysSinceDeprecated} days`;
  return undefined;
}
