import type { Image } from '../image.ts';

/** Which images of others an account lets in. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html */
export interface AllowedImages {
  readonly state: 'enabled' | 'audit-mode' | 'disabled';
  /** One of them is enough. Empty providers: the criterion is about something else, such as names. */
  readonly criteria: readonly { readonly providers: readonly string[] }[];
}

/** Why an account would not let this image in; undefined when it may. */
export function keptOutBecause(allowed: AllowedImages | undefined, image: Pick<Image, 'ownerId'>): string | undefined {
  if (allowed === undefined || allowed.state === 'disabled') return undefined;
  // What is said of names or dates AWS judges when the image is shared; here only the owner is looked at.
  if (allowed.criteria.some(({ providers }) => providers.length === 0 || providers.includes(image.ownerId))) return undefined;
  return `its Allowed AMIs do not list account ${image.ownerId}`;
}
