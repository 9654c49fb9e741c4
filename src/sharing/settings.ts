import { UsageError } from '../kit/errors.ts';
import { duration, flag, list, map } from '../kit/fields.ts';
import { regions, targetRole } from '../model/common-settings.ts';
import type { TagScheme } from '../model/image.ts';
import { ACCOUNT_ID, whole } from '../model/patterns.ts';
import type { ShareOptions } from './rules/plan.ts';
import { type Sharing, settingProblems } from './rules/refusals.ts';

/** With whom an image is shared, as settings say it. */

export const targets = {
  accounts: list('Accounts that may launch the image: 12-digit IDs. `all` makes it public, and needs `allow-public`.', {
    fallback: '',
    pattern: whole(`(${ACCOUNT_ID}|all)`),
    message: 'must be a 12-digit account ID, or all',
  }),
  organizations: list('Organizations and organizational units whose accounts may launch it: their ARNs.', {
    fallback: '',
    pattern: /^arn:aws[a-z-]*:organizations::\d{12}:(organization\/o-[a-z0-9]{10,32}|ou\/o-[a-z0-9]{10,32}\/ou-[a-z0-9-]{6,66})$/,
    message: 'must be the ARN of an organization or a unit: arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678',
  }),
  regions,
  copy: list('Accounts that get a copy of their own in every region, which lives on without us. Needs `target-role`.', {
    fallback: '',
    pattern: whole(ACCOUNT_ID),
    message: 'must be a 12-digit account ID',
  }),
  targetRole,
};

export const furtherTargets = {
  kmsKey: map('Key per region that encrypts the copies there: ID, ARN or alias; `{account}` stands for the account.', {
    fallback: '{}',
    neededBy: 'teams that encrypt their images',
  }),
  allowPublic: flag('Let `accounts: all` make the image public.', false, { withOnly: true, neededBy: 'publishers of public images' }),
  unshare: flag(
    'Take launch permission, in the listed regions, from everybody who is on no list any more. Copies of their own stay theirs; with `target-role` they are named.',
    false,
    {
      withOnly: true,
      neededBy: 'teams whose list of accounts shrinks',
    },
  ),
  timeout: duration('After this the mode gives up: Packer is told to stop and to clean up, a copy is no longer waited for.', {
    fallback: '1h',
    minSeconds: 60,
    maxSeconds: 86_400,
    neededBy: 'teams with images of hundreds of GiB',
  }),
};

export interface ShareInputs {
  readonly family: string;
  readonly region: string;
  readonly accounts: readonly string[];
  readonly organizations: readonly string[];
  readonly regions: readonly string[];
  readonly copy: readonly string[];
  readonly targetRole?: string | undefined;
  readonly kmsKey: Readonly<Record<string, string>>;
  readonly allowPublic: boolean;
  readonly unshare: boolean;
  readonly timeout: number;
  readonly allowedAccountIds?: readonly string[] | undefined;
}

/** What is wanted, or everything that is wrong about it. */
export function sharingOf(inputs: ShareInputs, scheme: TagScheme): Omit<Sharing, 'own'> {
  const { family, allowPublic, allowedAccountIds, kmsKey, targetRole } = inputs;
  const options: ShareOptions = {
    accounts: [...new Set(inputs.accounts)],
    organizations: [...new Set(inputs.organizations)],
    regions: [...new Set([inputs.region, ...inputs.regions])],
    copy: [...new Set(inputs.copy)],
    unshare: inputs.unshare,
    roleOf: account => (account === 'all' ? undefined : targetRole?.replaceAll('{account}', account)),
  };
  const sharing = { scheme, family, options, allowPublic, allowedAccountIds, kmsKey };
  const problems = settingProblems(sharing);
  if (problems.length > 0) throw new UsageError(problems);
  return sharing;
}
