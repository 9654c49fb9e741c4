import { UsageError } from '../kit/errors.ts';
import { count, duration, flag, optional, yaml } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import type { TagScheme } from '../model/image.ts';
import { classesSchema } from './rules/classes.ts';
import type { Policy } from './rules/rules.ts';

/** How a team says what to keep. */

export const retention = {
  keepNewest: count('How many of the newest images stay, used or not; for each architecture.', { min: 0, max: 10_000, fallback: 3 }),
  minimumAge: duration('Images younger than this stay.', { fallback: '7d' }),
  keepPassed: count('How many of the newest images that passed validation stay, used or not; for each architecture.', {
    min: 0,
    max: 10_000,
    fallback: 1,
  }),
  grace: duration(
    'How long an unused image stays, marked and deprecated, before it goes; one that comes into use is unmarked. `0s` removes at once.',
    { fallback: '0s' },
  ),
  maxRemovals: count('The most that one run removes or disables, the oldest first.', { min: 1, max: 100_000, fallback: 25 }),
};

/** For the end of the table. */
export const furtherRetention = {
  lastLaunchedWithin: optional(
    duration('Images that were launched within this stay, and those of which AWS does not tell it.', {
      neededBy: 'teams whose images are launched by things that this cannot see',
    }),
  ),
  classes: yaml(
    'Other rules for some images, told by their tags: a list of `name`, `tags` (a map, `*` stands for anything), `keep-newest`, `keep-passed`, `minimum-age`, `last-launched-within`. The first class that fits decides.',
    classesSchema,
    { fallback: '[]', neededBy: 'teams that keep pull requests, stage and prod differently' },
  ),
  keepAncestors: flag('Images that kept ones were built from stay, too.', false, { neededBy: 'teams that build images upon images' }),
  disable: flag(
    'Marked images are disabled until their grace is over: nobody can launch them, so whoever misses one speaks up. AWS takes them for good from those that they are shared with.',
    false,
    { withOnly: true, neededBy: 'teams that want a last trial before an image goes' },
  ),
  maxShare: count('The most that one run removes or disables, in percent of the images of the family.', {
    min: 1,
    max: 100,
    fallback: 80,
    neededBy: 'teams that clean up for the first time',
  }),
  minInUse: count('Stops when fewer images of the family than this are in use: it looks into the wrong place.', {
    min: 0,
    max: 10_000,
    fallback: 1,
    neededBy: 'families that nothing runs yet',
  }),
  retireFamily: flag('The application is gone: allows `keep-newest: 0` and that nothing is in use.', false, {
    withOnly: true,
    neededBy: 'teams that give up an application',
  }),
};

type Wanted = Values<typeof retention> & Values<typeof furtherRetention> & { readonly family: string };

export function policyOf(wanted: Wanted, scheme: TagScheme, accountId: string): Policy {
  if (wanted.keepNewest === 0 && !wanted.retireFamily) {
    throw new UsageError(['"keep-newest" must be at least 1, got "0": that would leave nothing to go back to'], {
      next: 'If the application is gone for good, say "retire-family: true".',
    });
  }
  if (wanted.disable && wanted.grace === 0) {
    throw new UsageError(['"disable" needs a "grace", which is how long images stay disabled before they go'], {
      next: 'Say "grace: 7d".',
    });
  }
  return {
    scheme,
    family: wanted.family,
    accountId,
    keep: {
      newest: wanted.keepNewest,
      passed: wanted.keepPassed,
      youngerThanSeconds: wanted.minimumAge,
      launchedWithinSeconds: wanted.lastLaunchedWithin,
    },
    classes: wanted.classes,
    graceSeconds: wanted.grace,
    disable: wanted.disable,
    keepAncestors: wanted.keepAncestors,
    maxRemovals: wanted.maxRemovals,
    maxShare: wanted.maxShare,
  };
}
