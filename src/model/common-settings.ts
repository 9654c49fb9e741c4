import { duration, flag, list, map, oneOf, optional, text } from '../kit/fields.ts';
import { ACCOUNT_ID, REGION, ROLE_ARN, whole } from './patterns.ts';

/** Settings that several modes have. One key has one meaning in all of them. */

export const FAMILY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/;
const ENVIRONMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const family = text('The images of one application: the value of their tag `ami-action:family`.', {
  pattern: FAMILY,
  message: 'must be 1 to 100 letters, digits, "-", "_", "." or "/", starting with a letter or digit',
});

export const environment = text('stage, prod, ...: who runs the image.', {
  pattern: ENVIRONMENT,
  message: 'must be 1 to 63 letters, digits, "-", "_" or ".", starting with a letter or digit',
});

/** Every mode has these. */
export const common = {
  region: text('AWS region.', {
    fallbackFrom: 'AWS_REGION',
    pattern: whole(REGION),
    message: 'must be a region such as eu-central-1',
  }),
  roleToAssume: optional(
    text(
      'ARN of the role to work with; the action exchanges the OIDC token itself and renews it. Default: the credentials of the environment.',
      {
        pattern: whole(ROLE_ARN),
        message: 'must be the ARN of a role, such as arn:aws:iam::111122223333:role/ami-delivery',
      },
    ),
  ),
  roleDuration: duration('How long one session of a role lasts; the action renews it in time, so an hour is enough.', {
    fallback: '1h',
    minSeconds: 900,
    maxSeconds: 43_200,
    neededBy: 'admins who want short sessions',
  }),
  roleChaining: flag('Assume the role from the credentials of the environment, although the job could get an OIDC token.', false, {
    neededBy: 'jobs that have both',
  }),
  allowInstanceRole: flag('Use the role of the machine that the runner is, where there are no other credentials.', false, {
    withOnly: true,
    neededBy: 'self-hosted runners on EC2',
  }),
  allowedAccountIds: optional(
    list('Accounts that this may write to; checked before the first write.', {
      pattern: whole(ACCOUNT_ID),
      message: 'must be a 12-digit account ID, in quotes where it begins with 0',
      withOnly: true,
      neededBy: 'teams with several accounts, who fear the wrong one',
    }),
  ),
  tagPrefix: text("Prefix of the tags that carry an image's identity.", {
    fallback: 'ami-action:',
    neededBy: 'teams that have a tag scheme already',
    pattern: /^(?!aws:)[\w.:/=+@-]{0,60}$/,
    message: 'must be a prefix of at most 60 letters, digits and . : / = + - @ _, and not start with "aws:"',
  }),
  commitTag: text('Tag that holds the commit, for teams that have one already. Default: `ami-action:commit`.', {
    fallback: 'ami-action:commit',
    neededBy: 'teams that have a tag scheme already',
    pattern: /^(?!aws:)[\w .:/=+@-]{1,128}$/,
    message: 'must be a tag key, and not start with "aws:"',
  }),
};

export const dryRun = (fallback: boolean) => flag('Print the plan of a real run and change nothing.', fallback, { withOnly: true });

const OTHER_REGION = { pattern: whole(REGION), message: 'must be a region such as eu-west-1' };

/** Beside `region`, never instead of it. */
export const regions = list(
  'Further regions, beside `region`: where `build` and `share` copy the image to, where `promote` and `rollback` move its pointer and roll its groups too, and where `prune` and `list` look too.',
  {
    fallback: '',
    ...OTHER_REGION,
    neededBy: 'fleets in several regions',
  },
);

/** Home first. */
export const regionsOf = ({
  region,
  regions: further = [],
}: {
  readonly region: string;
  readonly regions?: readonly string[] | undefined;
}) => [...new Set([region, ...further])];

export const architecture = optional(
  oneOf('Which image is meant, where a family has one for each; and what `{architecture}` in a name stands for.', ['x86_64', 'arm64'], {
    neededBy: 'families with several architectures',
  }),
);

export const targetRole = optional(
  text(
    'Role in the other accounts that have the image, as an ARN with `{account}`: `share` writes tags and verdict with it, `prune` sees with it what they use.',
    {
      pattern: /^arn:aws[a-z-]*:iam::(\d{12}|\{account\}):role\/[\w+=,.@/{}-]+$/,
      message: 'must be the ARN of a role, such as arn:aws:iam::{account}:role/ami-delivery',
      neededBy: 'teams that share images with other accounts',
    },
  ),
);

export const tags = map(
  'Tags of your own, beside those of the action: on image and snapshots (`build`), on the test machine (`validate`).',
  {
    fallback: '{}',
  },
);
