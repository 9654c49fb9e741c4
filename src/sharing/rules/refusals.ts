import { type Image, isOurs, type TagScheme, unavailableReason } from '../../model/image.ts';
import type { ImageKey } from '../../model/image-access.ts';
import { mayPass } from '../../model/verdict.ts';
import type { Origin, ShareOptions } from './plan.ts';

/** What is shared, and its targets. The functions below return why that is refused, each with the fix, before anything is changed. */
export interface Sharing {
  readonly scheme: TagScheme;
  readonly family: string;
  readonly options: ShareOptions;
  readonly own: string;
  readonly allowPublic: boolean;
  readonly allowedAccountIds: readonly string[] | undefined;
  /** Key per region for copies. */
  readonly kmsKey: Readonly<Record<string, string>>;
  /** Signs the verdict of copies. */
  readonly verdictKey?: string | undefined;
  /** Copies only, before the verdict. */
  readonly prepare: boolean;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-quotas.html
const MOST_ENTITIES = 1000;

export function settingProblems({ options, allowPublic, allowedAccountIds, kmsKey }: Omit<Sharing, 'own' | 'scheme' | 'family'>): string[] {
  const { accounts, organizations, copy, regions } = options;
  const written = [...accounts, ...copy].filter(who => options.roleOf(who) !== undefined);
  const notAllowed = allowedAccountIds === undefined ? [] : written.filter(who => !allowedAccountIds.includes(who));
  return [
    accounts.length + organizations.length + copy.length + regions.length === 1 &&
      '"accounts", "organizations", "regions" and "copy" are all empty: set one of them',
    accounts.includes('all') && !allowPublic && '"accounts" is "all", which makes the image public: set "allow-public: true" to allow it',
    ...copy
      .filter(who => options.roleOf(who) === undefined)
      .map(who => `"target-role" is required: a role of account ${who} makes the copy there`),
    ...copy
      .filter(who => accounts.includes(who))
      .map(who => `"accounts" and "copy" both name ${who}: it would have two images of one commit. Remove it from one of them`),
    notAllowed.length > 0 &&
      `"allowed-account-ids" does not list ${[...new Set(notAllowed)].join(', ')}, where "target-role" writes: add what is missing`,
    ...Object.keys(kmsKey)
      .filter(region => !regions.includes(region))
      .map(region => `"kms-key" names ${region}, which is neither "region" nor in "regions"`),
  ].filter(problem => problem !== false);
}

export function imageRefusals(image: Image, { scheme, family, own, prepare }: Sharing): string[] {
  const dead = unavailableReason(image);
  const passed = mayPass(image, scheme);
  return [
    dead !== undefined && `${image.id} is ${dead}. Choose another image`,
    dead === undefined && image.state !== 'available' && `${image.id} is ${image.state}. Wait until it is available`,
    !isOurs(image, scheme, family) && `${image.id} is not in family "${family}" (no family tag). Build it with mode "build"`,
    image.ownerId !== own && `${image.id} belongs to account ${image.ownerId}. Only its owner can share it: use a role of that account`,
    !prepare && !passed.ok && `${image.id} has no passed verdict (${passed.reason}). Run mode "validate" on it first`,
  ].filter(refusal => refusal !== false);
}

/** `keys`: those that encrypt the image; empty where it is not encrypted. */
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
      `${image.id} is encrypted with the AWS managed key aws/ebs (${byAws.arn}), which other accounts cannot use. Build it with a customer managed key (kms_key_id in the template) that allows them`,
    off !== undefined && `Key ${off.arn}, which encrypts ${image.id}, is not enabled. Enable it`,
    options.accounts.includes('all') && keys.length > 0 && `${image.id} is encrypted, and an encrypted image cannot be public`,
    ...(keys.length === 0 || sharers.length === 0 ? [] : further.filter(region => kmsKey[region] === undefined)).map(
      region =>
        `The copy in ${region} would be encrypted with the AWS managed key there and could not be shared. Set "kms-key: { ${region}: ... }"`,
    ),
    ...origins.map(origin => tooManyEntities(origin, options)),
  ].filter(refusal => refusal !== false && refusal !== undefined);
}

function tooManyEntities({ region, launchers }: Origin, { accounts, organizations, copy }: ShareOptions): string | undefined {
  const all = new Set([...launchers, ...accounts, ...organizations, ...copy]).size;
  if (all <= MOST_ENTITIES) return undefined;
  return `In ${region} the image would be shared with ${all} accounts and organizations, and AWS allows ${MOST_ENTITIES}. Share it with an organization or a unit of it`;
}
