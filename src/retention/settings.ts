import { UsageError } from '../kit/errors.ts';
import { count, duration, flag, optional, text, yaml } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family, regions, targetRole } from '../model/common-settings.ts';
import type { TagScheme } from '../model/image.ts';
import { pointer } from '../selection/settings.ts';
import { price, type UserOptions, users } from './find-users.ts';
import { classesSchema } from './rules/classes.ts';
import type { Policy } from './rules/rules.ts';

/** The settings of `prune`. */

const retention = {
  keepNewest: count('How many of the newest images are kept, used or not; for each architecture.', { min: 0, max: 10_000, fallback: 3 }),
  minimumAge: duration('Images younger than this are kept.', { fallback: '7d' }),
  keepPassed: count('How many of the newest images that passed validation are kept, used or not; for each architecture.', {
    min: 0,
    max: 10_000,
    fallback: 1,
  }),
  grace: duration(
    'How long an unused image is kept, marked and deprecated, before it is removed. An image that is used again is unmarked. `0s` removes at once.',
    { fallback: '0s' },
  ),
  maxRemovals: count('Maximum number of images that one run removes or disables, oldest first.', { min: 1, max: 100_000, fallback: 25 }),
};

const furtherRetention = {
  lastLaunchedWithin: optional(
    duration('Images launched within this time are kept, and images whose last launch AWS does not report.', {
      neededBy: 'teams whose images are launched by services that this action does not read',
    }),
  ),
  classes: yaml(
    'Other rules for images with certain tags: a list of `name`, `tags` (a map; `*` matches anything), `keep-newest`, `keep-passed`, `minimum-age`, `last-launched-within`. The first class that matches decides.',
    classesSchema,
    { fallback: '[]', neededBy: 'teams that keep pull requests, stage and prod differently' },
  ),
  keepAncestors: flag('Images that kept images were built from are kept, too.', false, { neededBy: 'teams that build images upon images' }),
  disable: flag(
    'Disables marked images until their grace is over, so that no account can launch them and a missing image is noticed in time. Accounts that an image is shared with lose it permanently.',
    false,
    { withOnly: true, neededBy: 'teams that want a last trial before an image is removed' },
  ),
  maxShare: count("Maximum percentage of the family's images that one run removes or disables.", {
    min: 1,
    max: 100,
    fallback: 80,
    neededBy: 'teams that clean up for the first time',
  }),
  minInUse: count('Stops when fewer images than this are in use, which usually means a wrong account, region or pointer.', {
    min: 0,
    max: 10_000,
    fallback: 1,
    neededBy: 'families that no instance runs yet',
  }),
  retireFamily: flag('For an application that no longer exists: allows `keep-newest: 0` and a family of which nothing is in use.', false, {
    withOnly: true,
    neededBy: 'teams that give up an application',
  }),
};

export const settings = {
  family,
  ...retention,
  dryRun: dryRun(true),
  pointer,
  ...users,
  regions,
  targetRole,
  ...furtherRetention,
  orphanSnapshots: flag('Removes snapshots of the family that no image has, if they are at least a day old.', true, {
    neededBy: 'teams that keep snapshots of their own under our tags',
  }),
  leftovers: flag('Removes leftovers of interrupted builds and validations, found by their expiry tag.', true, {
    neededBy: 'roles that may remove only images',
  }),
  templateVersions: flag('Also removes launch template versions that name a removed image, except default, latest and used ones.', false, {
    neededBy: 'teams whose launch templates fill up',
  }),
  usageReports: flag(
    'Also asks EC2 for usage reports of images in other accounts. Takes minutes; a report is only a reason to keep an image.',
    false,
    { neededBy: 'teams that share images with accounts that the role cannot enter' },
  ),
  planHash: optional(
    text('Runs only the plan that has this hash: the output `plan-hash` of an approved dry run.', {
      pattern: /^[0-9a-f]{32}$/,
      message: 'must be the output "plan-hash" of a dry run',
      withOnly: true,
      neededBy: 'teams in which a person approves the plan',
    }),
  ),
  pricePerGib: price,
  ...common,
};

export type PruneOptions = Values<typeof settings> & Pick<UserOptions, 'pointers'>;

export function policyOf(options: PruneOptions, scheme: TagScheme, accountId: string): Policy {
  if (options.keepNewest === 0 && !options.retireFamily) {
    throw new UsageError(['"keep-newest" must be at least 1, got "0": no image would be left for a rollback'], {
      next: 'If the application no longer exists, set "retire-family: true".',
    });
  }
  if (options.disable && options.grace === 0) {
    throw new UsageError(['"disable" requires "grace": how long images are disabled before they are removed'], {
      next: 'Set "grace: 7d".',
    });
  }
  return {
    scheme,
    family: options.family,
    accountId,
    keep: {
      newest: options.keepNewest,
      passed: options.keepPassed,
      youngerThanSeconds: options.minimumAge,
      launchedWithinSeconds: options.lastLaunchedWithin,
    },
    classes: options.classes,
    graceSeconds: options.grace,
    disable: options.disable,
    keepAncestors: options.keepAncestors,
    maxRemovals: options.maxRemovals,
    maxShare: options.maxShare,
  };
}
