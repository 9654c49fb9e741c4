import { count, duration, flag, list, map, oneOf, optional, text } from '../kit/fields.ts';
import { ACCOUNT_ID, REGION, ROLE_ARN, whole } from './patterns.ts';

/** Settings that several modes have. One key has one meaning in all of them. */

export const FAMILY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/;
const ENVIRONMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const family = text('The images of one application: the value of their tag `ami-action:family`.', {
  pattern: FAMILY,
  message: 'must be 1 to 100 letters, digits, "-", "_", "." or "/", starting with a letter or digit',
});

export const environment = text('Name of the environment that runs the image: stage, prod, ...', {
  pattern: ENVIRONMENT,
  message: 'must be 1 to 63 letters, digits, "-", "_" or ".", starting with a letter or digit',
});

/** Every mode has these. A file that chose the tags could step around verdicts and vetoes. */
export const common = {
  region: text('AWS region.', { fallbackFrom: 'AWS_REGION', pattern: whole(REGION), message: 'must be a region such as eu-central-1' }),
  roleToAssume: optional(
    text(
      'ARN of the IAM role to use. The action exchanges the OIDC token itself and renews the session. Default: the credentials of the environment.',
      { pattern: whole(ROLE_ARN), message: 'must be the ARN of a role, such as arn:aws:iam::111122223333:role/ami-delivery' },
    ),
  ),
  roleDuration: duration('Duration of one session of the role. The action renews it in time, so an hour is enough.', {
    fallback: '1h',
    minSeconds: 900,
    maxSeconds: 43_200,
    neededBy: 'admins who want short sessions',
  }),
  roleChaining: flag('Assume the role with the credentials of the environment, also where the job can get an OIDC token.', false, {
    neededBy: 'jobs that have both',
  }),
  allowInstanceRole: flag('Use the instance role of the runner, where there are no other credentials.', false, {
    withOnly: true,
    neededBy: 'self-hosted runners on EC2',
  }),
  allowedAccountIds: optional(
    list('Accounts that the action may change. Checked before the first change.', {
      pattern: whole(ACCOUNT_ID),
      message: 'must be a 12-digit account ID, in quotes where it begins with 0',
      withOnly: true,
      neededBy: 'teams with several accounts',
    }),
  ),
  summary: flag('Write the job summary.', true, { neededBy: 'workflows that write a summary of their own' }),
  tagPrefix: text("Prefix of the tags that hold an image's identity.", {
    fallback: 'ami-action:',
    withOnly: true,
    neededBy: 'teams with a tag scheme of their own',
    pattern: /^(?!aws:)[\w.:/=+@-]{0,60}$/,
    message: 'must be a prefix of at most 60 letters, digits and . : / = + - @ _, and not start with "aws:"',
  }),
  commitTag: text('Tag that holds the commit. Default: `ami-action:commit`.', {
    fallback: 'ami-action:commit',
    withOnly: true,
    neededBy: 'teams with a tag scheme of their own',
    pattern: /^(?!aws:)[\w .:/=+@-]{1,128}$/,
    message: 'must be a tag key, and not start with "aws:"',
  }),
  githubToken: optional(
    text(
      'Token that records deployments, writes the `comment`, and reads the history for `last-known-good`. Default: `GITHUB_TOKEN` of the environment.',
      { withOnly: true, secret: true, neededBy: 'users of `last-known-good`, `comment` and deployments' },
    ),
  ),
  comment: optional(
    count(
      'Number of a pull request. The summary becomes a section of one comment there, which later runs edit. Needs `github-token` and `permissions: pull-requests: write`.',
      { min: 1, max: 1_000_000_000, withOnly: true, neededBy: 'workflows of pull requests' },
    ),
  ),
};

export const dryRun = (fallback: boolean) => flag('Print the plan of a real run and change nothing.', fallback, { withOnly: true });

/** In addition to `region`, never instead of it. */
export const regions = list(
  'Further regions, in addition to `region`. `build` and `share` copy the image there, `validate` writes its verdict on the copies, `promote` and `rollback` move its pointer and roll out its groups there, `prune` and `list` read them.',
  { fallback: '', pattern: whole(REGION), message: 'must be a region such as eu-west-1', neededBy: 'fleets in several regions' },
);

/** `region` first. */
export const regionsOf = ({
  region,
  regions: further = [],
}: {
  readonly region: string;
  readonly regions?: readonly string[] | undefined;
}) => [...new Set([region, ...further])];

export const architecture = optional(
  oneOf('Architecture of the image, for a family that has one for each. It replaces `{architecture}` in a name.', ['x86_64', 'arm64'], {
    message: 'must be x86_64 (also called amd64) or arm64 (also called aarch64)',
    neededBy: 'families with several architectures',
  }),
);

export const targetRole = optional(
  text(
    'Role in the accounts that receive the image, as an ARN with `{account}`: `share` writes tags and verdict with it, `prune` reads with it what they use.',
    {
      pattern: whole(ROLE_ARN.replace(ACCOUNT_ID, `(${ACCOUNT_ID}|\\{account\\})`).replace(',.@/-]', ',.@/{}-]')),
      message: 'must be the ARN of a role, such as arn:aws:iam::{account}:role/ami-delivery',
      neededBy: 'teams that share images with other accounts',
    },
  ),
);

export const tags = map(
  'Tags of your own, in addition to those of the action: on image and snapshots (`build`), on the test instance (`validate`).',
  { fallback: '{}' },
);

export const wait = flag(
  '`false` ends the run when the work has started: a rollout of `promote`, or an image `from-instance` of `build`. The next run with the same settings watches and finishes it.',
  true,
  { neededBy: 'work that takes longer than a job' },
);
