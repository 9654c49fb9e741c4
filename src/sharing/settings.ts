import { UsageError } from '../kit/errors.ts';
import { duration, flag, list, map } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { type common, type family, regions, targetRole } from '../model/common-settings.ts';
import type { TagScheme } from '../model/image.ts';
import { ACCOUNT_ID, whole } from '../model/patterns.ts';
import type { verdictKey } from '../selection/verdict-key.ts';
import type { ShareOptions } from './rules/plan.ts';
import { type Sharing, settingProblems } from './rules/refusals.ts';

/** The settings of mode share. */

export const targets = {
  accounts: list('Accounts that may launch the image: 12-digit IDs. `all` makes it public and needs `allow-public: true`.', {
    fallback: '',
    pattern: whole(`(${ACCOUNT_ID}|all)`),
    message: 'must be a 12-digit account ID, or all',
  }),
  organizations: list('ARNs of organizations and organizational units whose accounts may launch the image.', {
    fallback: '',
    pattern: /^arn:aws[a-z-]*:organizations::\d{12}:(organization\/o-[a-z0-9]{10,32}|ou\/o-[a-z0-9]{10,32}\/ou-[a-z0-9-]{6,66})$/,
    message:
      'must be the ARN of an organization or organizational unit, such as arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678',
  }),
  regions,
  copy: list(
    'Accounts that get their own copy in every region. A copy survives the removal of the original. Needs `target-role`. With the ID of this account, `regions` get a copy too.',
    {
      fallback: '',
      pattern: whole(ACCOUNT_ID),
      message: 'must be a 12-digit account ID',
    },
  ),
  targetRole,
};

export const furtherTargets = {
  kmsKey: map('KMS key per region that encrypts the copies there: ID, ARN or alias. `{account}` stands for the account.', {
    fallback: '{}',
    neededBy: 'teams that encrypt their images',
  }),
  allowPublic: flag('Allow `accounts: all` to make the image public.', false, { withOnly: true, neededBy: 'publishers of public images' }),
  unshare: flag(
    'Remove launch permission in the listed regions from accounts and organizations that are on no list. Their own copies remain; with `target-role` they are reported.',
    false,
    {
      withOnly: true,
      neededBy: 'teams whose list of accounts shrinks',
    },
  ),
  prepare: flag(
    'Start the copies of `regions` and `copy` while the image is validated. They join the family in the run of `share` after a passed verdict. Of an image that failed they are removed.',
    false,
    { withOnly: true, neededBy: 'pipelines that copy while they validate' },
  ),
  timeout: duration('Time limit. On timeout Packer is stopped and cleans up; pending copies continue in the background.', {
    fallback: '1h',
    minSeconds: 60,
    maxSeconds: 86_400,
    neededBy: 'teams with images of hundreds of GiB',
  }),
};

type ShareInputs = Values<typeof targets & typeof furtherTargets & typeof verdictKey> &
  Pick<Values<typeof common & { family: typeof family }>, 'family' | 'region' | 'allowedAccountIds'>;

/** The options of share. Throws one `UsageError` with everything that is wrong. */
export function sharingOf(inputs: ShareInputs, scheme: TagScheme): Omit<Sharing, 'own'> {
  const { family, allowPublic, allowedAccountIds, kmsKey, targetRole, verdictKey, prepare } = inputs;
  const options: ShareOptions = {
    accounts: [...new Set(inputs.accounts)],
    organizations: [...new Set(inputs.organizations)],
    regions: [...new Set([inputs.region, ...inputs.regions])],
    copy: [...new Set(inputs.copy)],
    unshare: inputs.unshare,
    roleOf: account => (account === 'all' ? undefined : targetRole?.replaceAll('{account}', account)),
  };
  const sharing = { scheme, family, options, allowPublic, allowedAccountIds, kmsKey, verdictKey, prepare };
  const problems = settingProblems(sharing);
  if (problems.length > 0) throw new UsageError(problems);
  return sharing;
}
