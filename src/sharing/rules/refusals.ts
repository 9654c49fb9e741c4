import { type Image, isOurs, type TagScheme, unavailableReason } from '../../model/image.ts';
import type { ImageKey } from '../../model/image-key.ts';
import { mayPass } from '../../model/verdict.ts';
import type { Origin, ShareOptions } from './plan.ts';

/** Why an image cannot be shared at all, each with the remedy; known before anything is touched. */

export interface Sharing {
  readonly scheme: TagScheme;
  readonly family: string;
  readonly options: ShareOptions;
  readonly own: string;
  readonly allowPublic: boolean;
  readonly allowedAccountIds: readonly string[] | undefined;
  /** Key per region for copies. */
  readonly kmsKey: Readonly<Record<string, string>>;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-quotas.html
const MOST_ENTITIES = 1000;

export function settingProblems({ options, allowPublic, allowedAccountIds, kmsKey }: Omit<Sharing, 'own' | 'scheme' | 'family'>): string[] {
  const { accounts, organizations, copy, regions } = options;
  const written = [...accounts, ...copy].filter(who => options.roleOf(who) !== undefined);
  const strangers = allowedAccountIds === undefined ? [] : written.filter(who => !allowedAccountIds.includes(who));
  const keyless = Object.keys(kmsKey).filter(region => !regions.includes(region));
  return [
    accounts.length + organizations.length + copy.length + regions.length === 1 &&
      '"accounts", "organizations", "regions" or "copy" must say with whom it is shared: all are empty',
    accounts.includes('all') && !allowPublic && '"accounts" says "all", which is everybody: set "allow-public: true" if that is meant',
    ...copy
      .filter(who => options.roleOf(who) === undefined)
      .map(who => `"target-role" is missing: a copy in account ${who} is made by a role of that account`),
    ...copy
      .filter(who => accounts.includes(who))
      .map(who => `"accounts" and "copy" both name ${who}: it would have two images of one commit, and no selector could choose`),
    strangers.length > 0 &&
      `"allowed-account-ids" does not list ${[...new Set(strangers)].join(', ')}, where "target-role" would write: add what is missing`,
    ...keyless.map(region => `"kms-key" names ${region}, which is neither "region" nor in "regions"`),
  ].filter(problem => problem !== false);
}

export function imageRefusals(image: Image, { scheme, family, own }: Sharing): string[] {
  const dead = unavailableReason(image);
  const passed = mayPass(image, scheme);
  return [
    dead !== undefined && `${image.id} cannot be launched, it is ${dead}: choose another image`,
    dead === undefined && image.state !== 'available' && `${image.id} is still ${image.state}: wait until it is available`,
    !isOurs(image, scheme, family) && `${image.id} carries no tag that makes it one of family "${family}": build it with "build"`,
    image.ownerId !== own && `${image.id} belongs to account ${image.ownerId}, and only its owner can share it: run this with a role there`,
    !passed.ok && `${image.id} has no passed verdict (${passed.reason}): run "validate" on it first`,
  ].filter(refusal => refusal !== false);
}

/** `keys`: those that encrypt the image; empty where nothing does. */
export function sharingRefusals(image: Image, keys: readonly ImageKey[], origins: readonly Origin[], sharing: Sharing): string[] {
  const { options, kmsKey } = sharing;
  const sharers = [...options.accounts, ...options.organizations].filter(who => who !== sharing.own);
  const given = [...sharers, ...options.copy].length > 0;
  const [, ...further] = options.regions;
  const byAws = keys.find(({ managedByAws }) => managedByAws);
  const off = keys.find(({ usable }) => !usable);
  return [
    given &&
      byAws !== undefined &&
      `${image.id} is encrypted with the key that AWS manages (aws/ebs, ${byAws.arn}), and what that encrypts cannot be shared: build it with a key of your own (kms_key_id in the template), and let the other accounts use that key`,
    off !== undefined && `the key ${off.arn} that encrypts ${image.id} is not enabled: enable it`,
    options.accounts.includes('all') && keys.length > 0 && `${image.id} is encrypted, and an encrypted image cannot be public`,
    ...(keys.length === 0 || sharers.length === 0 ? [] : further.filter(region => kmsKey[region] === undefined)).map(
      region =>
        `the copy in ${region} would be encrypted with the key that AWS manages there, and could not be shared: say the key with "kms-key: { ${region}: ... }"`,
    ),
    ...origins.map(origin => tooManyEntities(origin, options)),
  ].filter(refusal => refusal !== false && refusal !== undefined);
}

function tooManyEntities({ region, launchers }: Origin, { accounts, organizations, copy }: ShareOptions): string | undefined {
  const all = new Set([...launchers, ...accounts, ...organizations, ...copy]).size;
  if (all <= MOST_ENTITIES) return undefined;
  return `in ${region} it would be shared with ${all} accounts and organizations, and AWS allows ${MOST_ENTITIES}: share it with an organization or a unit of it instead`;
}
