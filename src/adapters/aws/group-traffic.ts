import {
  AttachTrafficSourcesCommand,
  type AutoScalingClient,
  type AutoScalingGroup,
  type AvailabilityZoneImpairmentPolicy,
  DetachTrafficSourcesCommand,
  type TrafficSourceIdentifier,
} from '@aws-sdk/client-auto-scaling';
import { batches } from '../../kit/concurrently.ts';
import type { GroupCopies } from '../../ports/groups.ts';
import { getGroup } from './group-reads.ts';
import { orBusy } from './refreshes.ts';

/** Puts a group behind load balancers, and takes it away. */

export const groupTraffic = (client: AutoScalingClient): Pick<GroupCopies, 'attachTraffic' | 'detachTraffic'> => ({
  async attachTraffic(from, as, receives) {
    const group = await getGroup(client, from);
    const sources =
      receives === undefined ? group : { TargetGroupARNs: [...receives.targetGroups], LoadBalancerNames: [...receives.balancers] };
    await attach(client, as, sourcesOf(sources), group.AvailabilityZoneImpairmentPolicy);
  },

  async detachTraffic(group) {
    for (const TrafficSources of batches(sourcesOf(await getGroup(client, group)), MOST_SOURCES_PER_CALL)) {
      await client
        .send(new DetachTrafficSourcesCommand({ AutoScalingGroupName: group, TrafficSources }))
        .catch(orBusy(`detach load balancers from ${group} (autoscaling:DetachTrafficSources)`));
    }
  },
});

/** The first group has the same zonal shift behind the same load balancers, so AWS need not validate the pair again. */
export const skipping = (policy: AvailabilityZoneImpairmentPolicy | undefined) =>
  policy?.ZonalShiftEnabled ? { SkipZonalShiftValidation: true } : {};

function sourcesOf({
  TrafficSources = [],
  TargetGroupARNs = [],
  LoadBalancerNames = [],
}: Pick<AutoScalingGroup, 'TrafficSources' | 'TargetGroupARNs' | 'LoadBalancerNames'>) {
  const all = [
    ...TrafficSources,
    ...TargetGroupARNs.map(Identifier => ({ Identifier, Type: 'elbv2' })),
    ...LoadBalancerNames.map(Identifier => ({ Identifier, Type: 'elb' })),
  ];
  return [...new Map(all.map(source => [source.Identifier, source])).values()];
}

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AttachTrafficSources.html
const MOST_SOURCES_PER_CALL = 10;

/** Attaching twice changes nothing. */
async function attach(
  client: AutoScalingClient,
  group: string,
  sources: readonly TrafficSourceIdentifier[],
  policy: AvailabilityZoneImpairmentPolicy | undefined,
): Promise<void> {
  for (const TrafficSources of batches(sources, MOST_SOURCES_PER_CALL)) {
    await client
      .send(new AttachTrafficSourcesCommand({ AutoScalingGroupName: group, TrafficSources, ...skipping(policy) }))
      .catch(orBusy(`attach load balancers to ${group} (autoscaling:AttachTrafficSources)`));
  }
}
