import { UsageError } from '../../kit/errors.ts';
import { count, duration, flag, list, map, oneOf, optional } from '../../kit/fields.ts';
import type { Setting, Values } from '../../kit/settings.ts';
import { wait } from '../../model/wait-setting.ts';
import { preferenceProblems } from './preferences.ts';

/** How groups are rolled: the settings of promote and rollback. */

const numbers = (inner: Setting<readonly string[]>): Setting<readonly number[]> => ({
  ...inner,
  schema: () => inner.schema().transform(items => items.map(Number)),
});

export const rolloutSettings = {
  groups: optional(
    list('Names of the Auto Scaling groups that run the image.', {
      pattern: /^[^:\p{Cc}]{1,255}$/u,
      message: 'must be the name of a group',
    }),
  ),
  groupTags: optional(
    map('Tags of the groups that run the image, instead of or besides their names: every group that carries all of them.', {
      neededBy: 'teams whose groups come and go, or have generated names',
    }),
  ),
  strategy: oneOf(
    '`rolling` replaces instances a few at a time; `blue-green` makes a second group behind the same load balancers (`web` and `web-green` take turns) and removes the old one when the new one has proven itself; `none` moves the pointer only.',
    ['rolling', 'blue-green', 'none'],
    { fallback: 'rolling' },
  ),
  hold: flag(
    'Blue-green: both groups stay when the new one has proven itself. The same settings again finish it, a rollback drops the new one.',
    false,
    {
      neededBy: 'teams that look at both side by side before they decide',
    },
  ),
  minHealthy: optional(
    count('Percent of a group that must stay in service. Default: the maintenance policy of the group, or 90.', { min: 0, max: 100 }),
  ),
  maxHealthy: optional(
    count(
      'Percent that a group may grow to while it is rolled; needs `min-healthy`. 100 and above launches before it ends old instances.',
      {
        min: 100,
        max: 200,
        neededBy: 'groups of one or two instances that must never be without one',
      },
    ),
  ),
  warmUp: optional(
    duration('How long an instance is in service before it counts. Default: what the group says.', {
      maxSeconds: 21_600,
      neededBy: 'services that take longer to be ready than their health check tells',
    }),
  ),
  checkpoints: optional(
    numbers(
      list('Percentages at which the roll pauses, rising, the last one 100.', {
        pattern: /^(100|[1-9]\d?)$/,
        message: 'must be a percentage from 1 to 100',
        neededBy: 'teams that look at a part of the group before they go on',
      }),
    ),
  ),
  checkpointDelay: optional(
    duration('How long it pauses at each of the `checkpoints`.', { maxSeconds: 172_800, neededBy: 'users of `checkpoints`' }),
  ),
  bake: duration(
    'How long AWS watches after the last instance was replaced. Until then it can still roll back, so the proof is made in this time.',
    {
      fallback: '5m',
      minSeconds: 60,
      maxSeconds: 172_800,
    },
  ),
  alarms: optional(list('CloudWatch alarms that fail the roll, at most 10.', { neededBy: 'teams with alarms that tell a bad release' })),
  protectedInstances: optional(
    oneOf(
      'Instances protected from scale-in: replace them, let them keep their image, or let AWS wait an hour for you.',
      ['refresh', 'ignore', 'wait'],
      {
        neededBy: 'groups with protected instances',
      },
    ),
  ),
  standbyInstances: optional(
    oneOf('Instances in standby: end them, let them keep their image, or let AWS wait an hour for you.', ['terminate', 'ignore', 'wait'], {
      neededBy: 'groups with instances in standby',
    }),
  ),
  skipMatching: flag('Leave the instances of a group alone that run what it is brought to. false: every instance is replaced.', true, {
    neededBy: 'teams that want every instance of a group that is rolled to be a fresh one',
  }),
  batchSize: optional(
    count('Instances replaced at a time, instead of percentages.', { min: 1, max: 10_000, neededBy: 'teams that think in instances' }),
  ),
  order: oneOf('Several groups: all at once, or one after another in the order named.', ['parallel', 'one-by-one'], {
    fallback: 'parallel',
    neededBy: 'environments of several groups',
  }),
  undo: oneOf('When one group fails: put all of them back, or only the failed one.', ['all', 'failed'], {
    fallback: 'all',
    neededBy: 'environments of several groups that need not run the same image',
  }),
  foreignRefresh: oneOf(
    'A refresh of somebody else runs already: refuse, wait for its end, or roll it back.',
    ['refuse', 'wait', 'supersede'],
    {
      fallback: 'refuse',
      neededBy: 'groups that others roll too',
    },
  ),
  parameterTemplates: oneOf(
    'A launch template reads its image from a parameter, so AWS cannot roll back: refuse, `pin` the group to a version that names the image, or `follow`: move the pointer first and lead the way back ourselves.',
    ['refuse', 'pin', 'follow'],
    { fallback: 'refuse', neededBy: 'launch templates with `resolve:ssm:`' },
  ),
  onCancel: oneOf(
    'The workflow is cancelled while groups are rolled: leave the roll to AWS, or tell AWS to roll back.',
    ['leave', 'rollback'],
    {
      fallback: 'leave',
      neededBy: 'teams whose cancel means stop',
    },
  ),
  wait,
  rollTimeout: duration('How long the roll is watched. It goes on without us; run the job again to watch on.', {
    fallback: '2h',
    minSeconds: 60,
    neededBy: 'large groups',
  }),
};

export type RolloutOptions = Values<typeof rolloutSettings>;

/** What no single setting can tell. Before anything is read. */
export function throwIfUnfit(wanted: RolloutOptions & { readonly checksSeconds?: number | undefined }): void {
  const named = (wanted.groups?.length ?? 0) + Object.keys(wanted.groupTags ?? {}).length;
  const problems = [
    ...preferenceProblems(wanted),
    ...(wanted.hold && wanted.strategy !== 'blue-green' ? ['"hold" does nothing without "strategy: blue-green"'] : []),
    ...(!wanted.wait && wanted.order === 'one-by-one'
      ? ['"wait: false" begins all groups at once, so "order: one-by-one" does not go with it']
      : []),
    ...(wanted.strategy === 'none' && named > 0
      ? [
          '"strategy: none" moves the pointer only, and "groups" or "group-tags" name groups to roll: leave them out (under "with:", "groups: []" beats the file), or say "strategy: rolling"',
        ]
      : []),
    ...(wanted.strategy !== 'none' && named === 0
      ? ['"groups" is missing: name the groups that run the image, or say "strategy: none" to move the pointer only']
      : []),
  ];
  if (problems.length > 0) throw new UsageError(problems);
}
