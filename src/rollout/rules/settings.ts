import { count, duration, flag, list, map, oneOf, optional, text } from '../../kit/fields.ts';
import type { Inputs, Setting, Values } from '../../kit/settings.ts';
import { wait } from '../../model/common-settings.ts';

/** How groups are rolled out: the settings of promote and rollback. */

const numbers = (inner: Setting<readonly string[]>): Setting<readonly number[]> => ({
  ...inner,
  schema: () => inner.schema().transform(items => items.map(Number)),
});

export const rolloutSettings = {
  groups: optional(
    list('Names of the Auto Scaling groups that run the image. `{architecture}` in a name stands for the setting `architecture`.', {
      pattern: /^[^:\p{Cc}]{1,255}$/u,
      message: 'must be the name of a group',
    }),
  ),
  groupTags: optional(
    map('Tags of the groups that run the image, instead of or in addition to `groups`: every group that has all of them.', {
      neededBy: 'teams whose groups come and go, or have generated names',
    }),
  ),
  stack: optional(
    text(
      'Name of the CloudFormation stack whose groups run the image, instead of `groups`. Its update policy replaces the instances, and its rollback leads back.',
      {
        pattern: /^[a-zA-Z][-a-zA-Z0-9]{0,127}$/,
        message: 'must be the name of a stack',
        neededBy: 'groups that CloudFormation or the CDK manages',
      },
    ),
  ),
  stackParameter: optional(
    text(
      'The parameter of the `stack` that holds the image, of type `AWS::EC2::Image::Id`, or reads the pointer (`AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>`): then the pointer moves before the update. All other parameters keep their values.',
      {
        pattern: /^[a-zA-Z0-9]{1,255}$/,
        message: 'must be the name of a parameter',
        neededBy: 'users of `stack`',
      },
    ),
  ),
  nodeGroups: optional(
    list('Managed node groups of EKS that run the image, as `cluster/nodegroup`. They need a launch template that names an image.', {
      pattern: /^[\w-]+\/[\w-]+$/,
      message: 'must be cluster/nodegroup',
      neededBy: 'environments whose nodes are managed by EKS',
    }),
  ),
  strategy: oneOf(
    '`rolling` replaces instances in batches. `blue-green` creates a second group behind the same load balancers (`web` and `web-green` alternate) and deletes the old one once the new one is healthy. `two-groups` takes `groups` in pairs that exist permanently (`web-blue, web-green`): one serves, the other has no instances, and their sizes change places. `none` moves the pointer only.',
    ['rolling', 'blue-green', 'two-groups', 'none'],
    { fallback: 'rolling' },
  ),
  shiftAt: optional(
    text(
      'Blue-green and two-groups, for one group: what divides the traffic by weight. The ARN of a listener (its default action) or of a listener rule, whose forward action has exactly two target groups; the group that serves is attached to one, the other one takes the new group. Or `zone/name/type` of two weighted Route 53 records, such as `Z0123456789/www.example.com/A`, each of which leads to a load balancer of its own.',
      {
        pattern:
          /^(arn:aws[\w-]*:elasticloadbalancing:[\w-]+:\d{12}:listener(-rule)?\/(app|net)\/[\w./-]+|Z[A-Z0-9]{1,31}\/[\w.*-]{1,120}\/(A|AAAA|CNAME))$/,
        message: 'must be the ARN of a listener or of a listener rule, or "zone/name/type" of two records',
        neededBy: 'teams that try a new image on a part of their traffic',
      },
    ),
  ),
  shift: optional(
    numbers(
      list(
        'Percentages of the traffic that the new group gets by `shift-at`, one after the other: ascending, the last one 100. Each is watched for `checkpoint-delay` (default: `bake`), the last one for `bake`; a failed check, an unhealthy instance or one of the `alarms` sends all traffic back. Default: 10, 50, 100.',
        { pattern: /^(100|[1-9]\d?)$/, message: 'must be a percentage from 1 to 100', neededBy: 'users of `shift-at`' },
      ),
    ),
  ),
  hold: flag(
    'Blue-green and two-groups: keep both groups once the new one is healthy. Run again without `hold` to finish; `rollback` removes the new one, or empties it.',
    false,
    { neededBy: 'teams that compare both groups before they decide' },
  ),
  pace: oneOf(
    'How a rolling update trades time for instances. `safe` keeps to the maintenance policy of the group, or replaces a tenth at a time. `fast` launches all new instances next to the old ones. Both launch before they terminate. The plan shows batches, time and peak of both.',
    ['safe', 'fast'],
    { fallback: 'safe', neededBy: 'teams that pay for more instances to be done in minutes' },
  ),
  minHealthy: optional(
    count(
      "Percent of the group that must stay in service. Default: the group's instance maintenance policy; without one 100, with `max-healthy` 110, so that new instances launch before old ones terminate.",
      { min: 0, max: 100 },
    ),
  ),
  maxHealthy: optional(
    count(
      'Percent that the group may grow to during the rollout; needs `min-healthy`. Above 100, new instances launch before old ones terminate.',
      { min: 100, max: 200, neededBy: 'groups of one or two instances that must stay in service' },
    ),
  ),
  warmUp: optional(
    duration("How long a new instance is in service before it counts. Default: the group's instance warmup.", {
      maxSeconds: 21_600,
      neededBy: 'services that pass their health check before they are ready',
    }),
  ),
  checkpoints: optional(
    numbers(
      list('Percentages at which the rollout pauses: ascending, the last one 100.', {
        pattern: /^(100|[1-9]\d?)$/,
        message: 'must be a percentage from 1 to 100',
        neededBy: 'teams that inspect a part of the group before they continue',
      }),
    ),
  ),
  checkpointDelay: optional(
    duration('How long the rollout pauses at each of the `checkpoints`, or is watched at each step of `shift`.', {
      maxSeconds: 172_800,
      neededBy: 'users of `checkpoints` or `shift`',
    }),
  ),
  bake: duration(
    'Bake time: how long AWS watches after the last replacement. Rollback is still possible in this window, so health is verified in it.',
    { fallback: '5m', minSeconds: 60, maxSeconds: 172_800 },
  ),
  alarms: optional(list('CloudWatch alarms that fail the rollout, at most 10.', { neededBy: 'teams whose alarms detect a bad release' })),
  protectedInstances: optional(
    oneOf(
      'Instances protected from scale-in: `refresh` replaces them, `ignore` keeps their image, `wait` lets AWS wait an hour for you to remove the protection.',
      ['refresh', 'ignore', 'wait'],
      { neededBy: 'groups with protected instances' },
    ),
  ),
  standbyInstances: optional(
    oneOf(
      'Instances in standby: `terminate` replaces them, `ignore` keeps their image, `wait` lets AWS wait an hour for you to return them to service.',
      ['terminate', 'ignore', 'wait'],
      { neededBy: 'groups with instances in standby' },
    ),
  ),
  skipMatching: flag('Keep instances that already run the image. `false` replaces every instance.', true, {
    neededBy: 'teams that want every instance to be new after a rollout',
  }),
  batchSize: optional(
    count('Instances replaced at a time, instead of percentages.', { min: 1, max: 10_000, neededBy: 'teams that count in instances' }),
  ),
  order: oneOf('Several groups: `parallel`, or `one-by-one` in the order of `groups`.', ['parallel', 'one-by-one'], {
    fallback: 'parallel',
    neededBy: 'environments of several groups',
  }),
  undo: oneOf('If one group fails: revert `all` groups, or only the `failed` one.', ['all', 'failed'], {
    fallback: 'all',
    neededBy: 'environments whose groups may run different images',
  }),
  foreignRefresh: oneOf(
    'If another instance refresh is in progress: `refuse`, `wait` for its end, or `supersede` it (roll it back).',
    ['refuse', 'wait', 'supersede'],
    { fallback: 'refuse', neededBy: 'groups that other tools refresh too' },
  ),
  parameterTemplates: oneOf(
    'A launch template with `resolve:ssm:` reads its image from a parameter, and AWS cannot roll it back. `refuse` it, `pin` the group to a version with the image ID, or `follow`: the pointer moves first, and the action reverts the group itself.',
    ['refuse', 'pin', 'follow'],
    { fallback: 'refuse', neededBy: 'launch templates with `resolve:ssm:`' },
  ),
  launchConfigurations: oneOf(
    'A group that launches from a launch configuration, whose image cannot change: `refuse` it and show the conversion, `convert` it to an equal launch template, or `keep` launch configurations and copy the current one with the new image.',
    ['refuse', 'convert', 'keep'],
    { fallback: 'refuse', neededBy: 'groups that still launch from launch configurations' },
  ),
  onCancel: oneOf(
    'If the workflow is cancelled during a rollout: `leave` the refresh in progress, or start its `rollback`.',
    ['leave', 'rollback'],
    { fallback: 'leave', neededBy: 'teams whose cancel means stop' },
  ),
  wait,
  rollTimeout: duration('How long the rollout is watched. On timeout the refresh continues; re-run the job to watch it again.', {
    fallback: '2h',
    minSeconds: 60,
    neededBy: 'large groups',
  }),
};

export type RolloutOptions = Values<typeof rolloutSettings>;

/** The same, where an optional setting may be left out. */
export type RolloutInputs = Inputs<typeof rolloutSettings>;
