import type { GroupFacts, LaunchedBy, PlanOptions } from './facts.ts';
import type { GroupAction } from './group-action.ts';

/** Groups whose capacity AWS counts or limits so that a refresh, or a second group, cannot work. */

type CapacityOptions = Pick<PlanOptions, 'batchSize'> & { readonly action: GroupAction; readonly by: LaunchedBy };

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html (Limitations) */
export function capacityRefusals({ group, versions }: GroupFacts, { action, by, batchSize }: CapacityOptions): string[] {
  const { launch, sizeUnit } = group;
  const byRequirements =
    (launch.kind === 'mixed' && launch.overrides.some(override => override.byRequirements)) ||
    [...versions.values()].some(({ content }) => content.includes('"InstanceRequirements"'));
  return [
    byRequirements &&
      action === 'refresh' &&
      by === 'version' &&
      'it selects instance types by requirements, and AWS neither changes the image of such a group by a refresh nor rolls it back: set "strategy: blue-green", or name the instance types',
    sizeUnit !== undefined &&
      action === 'swap' &&
      `its sizes count ${sizeUnit}, not instances, so blue-green cannot tell when the green group is complete: set "strategy: rolling"`,
    sizeUnit !== undefined &&
      action === 'refresh' &&
      batchSize !== undefined &&
      `its sizes count ${sizeUnit}, not instances: set "min-healthy" instead of "batch-size"`,
  ].filter(refusal => refusal !== false);
}

/** What a launch template gives to one instance or one reservation only. */
const EXCLUSIVE: readonly (readonly [inTemplate: RegExp, what: string])[] = [
  [/"NetworkInterfaceId":"(eni-[^"]+)"/, 'its launch template attaches the network interface $1'],
  [/"PrivateIpAddress":"([^"]+)"/, 'its launch template sets the private IP address $1'],
  [/"MarketType":"(capacity-block)"/, 'its launch template launches into a $1'],
  [/"CapacityReservationPreference":"(capacity-reservations-only)"/, 'its launch template launches into capacity reservations only'],
];

/** Why a second group next to this one could not launch, or would differ. A shortage that no setting shows is in the scaling activities. */
export function copyRefusals({ group, versions, cannotCopy }: GroupFacts): string[] {
  const exclusive = [...versions.values()].flatMap(({ content }) =>
    EXCLUSIVE.flatMap(([pattern, what]) => {
      const found = pattern.exec(content);
      return found === null ? [] : [what.replace('$1', found[1] ?? '')];
    }),
  );
  return [
    ...exclusive.map(reason => `${reason}, so the green group could not launch next to ${group.name}: set "strategy: rolling"`),
    ...cannotCopy.map(reason => `${reason}, so the green group would differ from ${group.name}: set "strategy: rolling"`),
  ];
}
